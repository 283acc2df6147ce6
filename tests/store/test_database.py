import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store import engines
from crawler.store.database import (
    REVISION,
    State,
    open_as_found,
    open_for_reading,
    open_for_writing,
    redacted,
    state,
    translated,
    upgrade,
)
from crawler.store.tables import crawls, loras, metadata
from tests.factories import NOW

ROW = {
    "file_id": 1,
    "version_id": 1,
    "model_id": 1,
    "site": "civitai",
    "outcome": "pending",
    "attempts": 0,
}


def _text(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def _say(where: str, statement: str) -> None:
    """Run a statement on a database as another program would."""
    engine = open_as_found(where)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_writer_creates_what_is_not_there(database_url: str) -> None:
    assert state(database_url) in {State.MISSING, State.EMPTY}

    engine = open_for_writing(database_url)

    with engine.begin() as connection:
        connection.execute(loras.insert(), ROW)
    engine.dispose()
    assert state(database_url) is State.CURRENT


def test_a_writer_makes_the_folders_above(tmp_path: Path) -> None:
    place = tmp_path / "some" / "folder" / "loras.db"

    open_for_writing(place).dispose()

    assert list(place.parent.iterdir()) == [place]
    assert state(place) is State.CURRENT


def test_looking_and_reading_create_nothing(tmp_path: Path) -> None:
    place = tmp_path / "none" / "loras.db"

    assert state(place) is State.MISSING
    with pytest.raises(DatabaseError) as caught:
        open_for_reading(place)

    assert f"lora-crawl sync --limit 500 --db {place}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_to_run_is_quoted_for_a_shell(tmp_path: Path) -> None:
    place = tmp_path / "my loras; ok.db"

    with pytest.raises(DatabaseError) as caught:
        open_for_reading(place)

    command = str(caught.value).splitlines()[-1].partition(": ")[2]
    assert shlex.split(command)[-2:] == ["--db", str(place)]


def test_an_empty_database_is_named(database_url: str) -> None:
    if "://" not in database_url:
        Path(database_url).touch()

    assert state(database_url) is State.EMPTY
    with pytest.raises(DatabaseError, match=r"empty\n.*lora-crawl sync --limit 500"):
        open_for_reading(database_url)


def test_an_older_database_is_named_and_a_writer_upgrades_it(engine: sa.Engine) -> None:
    _say(_text(engine), "UPDATE alembic_version SET version_num = '0000'")

    assert state(engine.url) is State.OLD
    with pytest.raises(DatabaseError, match=r"older.*\(revision 0000.*\n.*lora-crawl db upgrade"):
        open_for_reading(engine.url)


def test_a_newer_database_is_left_alone(engine: sa.Engine) -> None:
    _say(_text(engine), "UPDATE alembic_version SET version_num = '9999'")

    assert state(engine.url) is State.NEWER
    for opening in (open_for_reading, open_for_writing):
        with pytest.raises(DatabaseError, match=r"newer.*\n.*pip install --upgrade lora-crawl"):
            opening(engine.url)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE recipes (id INTEGER)"],
        # Another program that uses Alembic.
        [
            "CREATE TABLE recipes (id INTEGER)",
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('0001')",
        ],
        ["CREATE TABLE loras (id INTEGER)"],
    ],
)
def test_another_programs_database_is_left_alone(database_url: str, statements: list[str]) -> None:
    for statement in statements:
        _say(database_url, statement)

    assert state(database_url) is State.FOREIGN
    for opening in (open_for_reading, open_for_writing):
        with pytest.raises(DatabaseError, match="no database of lora-crawl, it holds") as caught:
            opening(database_url)
        assert statements[0].split()[2] in str(caught.value)


def test_a_foreign_file_keeps_every_byte(tmp_path: Path) -> None:
    place = tmp_path / "recipes.db"
    connection = sqlite3.connect(place)
    connection.execute("CREATE TABLE recipes (id INTEGER)")
    connection.commit()
    connection.close()
    before = place.read_bytes()

    assert state(place) is State.FOREIGN
    for opening in (open_for_reading, open_for_writing):
        with pytest.raises(DatabaseError):
            opening(place)

    assert place.read_bytes() == before
    assert list(tmp_path.iterdir()) == [place]


def test_a_reader_can_change_nothing(engine: sa.Engine) -> None:
    reader = open_for_reading(engine.url)

    with pytest.raises(DatabaseError), translated(reader.url), reader.begin() as connection:
        connection.execute(loras.insert(), ROW)

    with reader.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(loras)).scalar() == 0
    reader.dispose()


def test_a_reader_sees_one_snapshot_while_a_writer_writes(engine: sa.Engine) -> None:
    counted = sa.select(sa.func.count()).select_from(loras)
    reader = open_for_reading(engine.url)
    isolation = {"isolation_level": "REPEATABLE READ"} if "postgres" in str(engine.url) else {}
    with reader.connect().execution_options(**isolation) as connection:
        assert connection.execute(counted).scalar() == 0
        with engine.begin() as writing:
            writing.execute(loras.insert(), ROW)

        assert connection.execute(counted).scalar() == 0
    with reader.connect() as connection:
        assert connection.execute(counted).scalar() == 1
    reader.dispose()


def test_a_reader_changes_no_byte_of_the_file(sqlite_template: Path, tmp_path: Path) -> None:
    place = Path(shutil.copy(sqlite_template, tmp_path / "loras.db"))
    before = place.read_bytes()

    reader = open_for_reading(place)
    with reader.connect() as connection:
        connection.execute(sa.select(loras)).all()
    reader.dispose()

    assert place.read_bytes() == before


#: Everything is imported before rights are given up: the project may lie where only root can read.
READ_AS_NOBODY = """
import os, sys
import sqlalchemy as sa
from crawler.store.database import open_for_reading
from crawler.store.tables import loras
sa.create_engine("sqlite://").connect().close()
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
engine = open_for_reading(sys.argv[1])
with engine.connect() as connection:
    print(connection.execute(sa.select(sa.func.count()).select_from(loras)).scalar())
engine.dispose()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def _read_as_nobody(place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READ_AS_NOBODY, str(place)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_a_database_in_a_read_only_folder_can_be_read(
    sqlite_template: Path, open_folder: Path
) -> None:
    place = Path(shutil.copy(sqlite_template, open_folder / "loras.db"))
    place.chmod(0o444)
    open_folder.chmod(0o555)

    found = _read_as_nobody(place)

    assert (found.stdout, found.stderr) == ("0\n", "")
    assert list(open_folder.iterdir()) == [place]


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_transactions_beside_a_read_only_database_are_not_passed_over(
    sqlite_template: Path, open_folder: Path
) -> None:
    place = Path(shutil.copy(sqlite_template, open_folder / "loras.db"))
    (open_folder / "loras.db-wal").write_bytes(b"what a killed writer left")
    for path in open_folder.iterdir():
        path.chmod(0o444)
    open_folder.chmod(0o555)

    found = _read_as_nobody(place)

    assert found.stdout == ""
    assert "DatabaseError" in found.stderr


@pytest.mark.parametrize("opening", [state, open_for_reading, open_for_writing])
def test_what_is_no_database_is_named_in_words(
    opening: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all, " * 100)
    (tmp_path / "link.db").symlink_to(tmp_path / "link.db")
    for place, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "notes.txt", "no SQLite database"),
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

    with pytest.raises(DatabaseError, match="no plain file"):
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
def test_a_server_that_does_not_let_us_in_is_told_in_words(
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


def test_a_lost_connection_stops_a_writer(postgres_template: sa.URL) -> None:
    engine = open_as_found(postgres_template)

    def lose() -> None:
        with translated(), engine.begin() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoppedError, match="run the command again"):
        lose()
    engine.dispose()


def test_our_own_mistakes_are_not_put_into_words(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError), translated(), engine.begin() as connection:
        connection.execute(loras.insert(), ROW | {"outcome": None})


def test_upgrading_twice_changes_nothing(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(loras.insert(), ROW)

    upgrade(engine)

    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(loras)).scalar() == 1
        versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert versions.scalars().all() == [REVISION]


def test_foreign_keys_hold(engine: sa.Engine) -> None:
    table = metadata.tables["headers"]
    row = {"file_id": 404, "data": b"", "decoder_version": 1}

    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(table.insert(), row)


def test_two_can_create_one_database_at_a_time(database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(open_for_writing, [database_url] * 2))

    for engine in opened:
        engine.dispose()
    assert state(database_url) is State.CURRENT
