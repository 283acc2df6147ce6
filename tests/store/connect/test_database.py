"""The states of a database, and what a writer makes of them; on both databases."""

import shlex
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.store.connect.database import (
    REVISION,
    State,
    open_as_found,
    open_for_reading,
    open_for_writing,
    state,
    upgrade,
)
from crawler.store.connect.engines import PAGE_BYTES
from crawler.store.schema.tables import loras, metadata
from tests.stored import insert_loras

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


def test_a_writer_creates_a_missing_database(database_url: str) -> None:
    assert state(database_url) in {State.MISSING, State.EMPTY}

    engine = open_for_writing(database_url)

    with engine.begin() as connection:
        insert_loras(connection, [ROW])
    engine.dispose()
    assert state(database_url) is State.CURRENT


def test_a_new_file_has_long_pages(tmp_path: Path) -> None:
    place = tmp_path / "loras.db"
    open_for_writing(place).dispose()

    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


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

    assert f"lora-crawl sync --limit 50 --db {place}" in str(caught.value)
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
    with pytest.raises(DatabaseError, match=r"empty\n.*lora-crawl sync --limit 50 --db ") as caught:
        open_for_reading(database_url)

    # The command says which database, but for what is secret of it.
    assert shlex.split(str(caught.value))[-1] == database_url.replace(":@", ":***@")


def test_an_older_database_is_named(engine: sa.Engine) -> None:
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
        with pytest.raises(
            DatabaseError, match="this is not a lora-crawl database; its tables are"
        ) as caught:
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


def test_upgrading_twice_changes_nothing(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        insert_loras(connection, [ROW])

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
