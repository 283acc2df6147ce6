"""What goes wrong with databases, in words."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store.connect import engines
from crawler.store.connect.database import open_as_found, open_for_reading, open_for_writing, state
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import redacted
from crawler.store.schema.tables import crawls, loras
from tests.factories import NOW

ROW = {
    "file_id": 1,
    "version_id": 1,
    "model_id": 1,
    "site": "civitai",
    "outcome": "pending",
    "attempts": 0,
}


@pytest.mark.parametrize("opening", [state, open_for_reading, open_for_writing])
def test_a_path_without_a_database_is_an_error(
    opening: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all, " * 100)
    (tmp_path / "link.db").symlink_to(tmp_path / "link.db")
    for place, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "notes.txt", "not a SQLite database"),
        (tmp_path / "notes.txt" / "loras.db", "Not a directory"),
        (tmp_path / "link.db", "symbolic links"),
        (tmp_path / ("long" * 100), "too long"),
    ):
        with pytest.raises(DatabaseError, match=words) as caught:
            opening(place)
        assert str(place) in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders there")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")

    with pytest.raises(DatabaseError, match="not an ordinary file"):
        open_for_reading(tmp_path / "pipe.db")


def test_a_damaged_file_is_named(sqlite_template: Path, tmp_path: Path) -> None:
    place = tmp_path / "loras.db"
    place.write_bytes(sqlite_template.read_bytes()[:8192] + b"\xff" * 60_000)

    with pytest.raises(DatabaseError, match=r"damaged|no SQLite database"):
        open_for_reading(place)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "127.0.0.1", "port": 1, "password": "hunter2", "query": {}}, "refused"),
        ({"database": "no_such_database", "password": "hunter2"}, "no_such_database"),
        ({"username": "no_such_user", "password": "hunter2"}, "no_such_user"),
    ],
)
def test_a_refusal_by_the_server_is_explained(
    postgres_server: sa.URL, changes: dict[str, Any], words: str
) -> None:
    url = postgres_server.set(**changes)

    for opening in (state, open_for_reading, open_for_writing):
        with pytest.raises(DatabaseError, match=words) as caught:
            opening(url)
        assert "hunter2" not in str(caught.value)
        assert redacted(url) in str(caught.value)


def test_a_database_in_another_encoding_is_refused(postgres_server: sa.URL) -> None:
    server = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(
            "CREATE DATABASE in_latin1 ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"
        )
        try:
            with pytest.raises(DatabaseError, match="LATIN1"):
                open_for_writing(postgres_server.set(database="in_latin1"))
        finally:
            connection.exec_driver_sql("DROP DATABASE in_latin1 WITH (FORCE)")


def test_another_programs_lock_stops_a_writer(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.05)
    place = Path(shutil.copy(sqlite_template, tmp_path / "loras.db"))
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoppedError, match="another program is writing"):
        open_for_writing(place)

    other.close()


def test_a_full_disk_stops_a_writer_and_leaves_nothing_half_stored(
    sqlite_template: Path, tmp_path: Path
) -> None:
    engine = open_for_writing(shutil.copy(sqlite_template, tmp_path / "loras.db"))
    row = {"origin": "https://civitai.com", "walk": "w" * 50_000, "started_at": NOW}

    def fill() -> None:
        with translated(engine.url), engine.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
            connection.execute(crawls.insert(), [row] * 50)

    with pytest.raises(StoppedError, match="disk is full"):
        fill()

    with engine.connect() as connection:
        assert connection.execute(sa.select(crawls)).all() == []
    engine.dispose()


def test_a_lost_connection_stops_a_writer(postgres_server: sa.URL) -> None:
    engine = open_as_found(postgres_server)

    def lose() -> None:
        with translated(), engine.begin() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoppedError, match="run the command again"):
        lose()
    engine.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_statement_that_the_server_ends_stops_a_writer(engine: sa.Engine) -> None:
    ended = pytest.raises(StoppedError, match="took long; run the command again later")
    with ended, translated(engine.url), engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 20")
        connection.exec_driver_sql("SELECT pg_sleep(30)")


def test_our_own_mistakes_are_not_put_into_words(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError), translated(), engine.begin() as connection:
        connection.execute(loras.insert(), ROW | {"outcome": None})
