"""`db copy`: every row arrives on a database of either kind, or none does."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crawler.errors import StoppedError
from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.connect.database import open_as_found, open_for_reading, open_for_writing
from crawler.store.schema import tables
from crawler.store.schema.types import Json
from crawler.store.write import copy_database
from crawler.store.write.copy_database import CopyProgress
from crawler.store.write.crawls import LOCAL, begin_crawl
from crawler.store.write.results import store_results
from tests import postgres
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE, Prepared
from tests.factories import METADATA, NOW, make_header_bytes, make_model, make_result, make_version
from tests.store.connect.test_migrations import _schema as schema
from tests.stored import list_models, rows_of
from tests.sync.conftest import ORIGIN, WHOLE, run_crawl

ROOT = Path(__file__).parents[3]

#: What the two kinds of database, or their formats, could mistake.
BODY = {
    "numbers": [1e300, 0.1, 1e-7, 2**53 + 1, -(2**63), 1.0, -0.0],
    "ü\n": '\x01"\\ \\N \u2028 😀',
    "": None,
}

#: Tables that the source must have rows in.
NOT_EMPTY = ("headers", "old_headers", "problems", "file_tags", "directories", "field_stats")


def fill(engine: sa.Engine) -> None:
    """A crawl, and what it has not."""
    with Sandbox(Catalogue(6, seed=3, faults=Faults.mild())) as sandbox:
        run_crawl(engine, sandbox, WHOLE, key=sandbox.key, origin=ORIGIN)
    versions = (make_version(1, body=BODY, name="a\tb\\N\\.\r\n"),)
    long = make_header_bytes({**METADATA, "ss_noise_offset": "much", "ss_note": "x" * 2_000_000})
    with engine.begin() as connection:
        list_models(connection, make_model(1, versions=versions, body=BODY))
        for header in (make_header_bytes(), long):  # the first one stays as an old header
            store_results(connection, [make_result(1, header)])
        begin_crawl(connection, origin=LOCAL, walk="w", now=NOW)


@pytest.fixture
def source(prepared: Prepared) -> sa.Engine:
    return prepared("copied", fill)


@pytest.fixture(params=("sqlite", "postgresql"))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for a database of either kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "new" / "copy.db")
        return
    copies: postgres.Copies = request.getfixturevalue("copies")
    with copies.copy(f"test_{uuid4().hex}") as url:
        yield place(url)


def place(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def rows(where: str | sa.URL) -> dict[str, list[dict[str, Any]]]:
    engine = open_for_reading(where)
    found = {name: rows_of(engine, table) for name, table in tables.metadata.tables.items()}
    engine.dispose()
    return found


def raw_rows(where: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows as SQLite holds them; only JSON is decoded."""
    engine = open_for_reading(where)
    found = {}
    with engine.connect() as connection:
        for name, table in tables.metadata.tables.items():
            columns = [
                column
                if isinstance(column.type, Json)
                else sa.type_coerce(column, sa.types.NullType())
                for column in table.columns
            ]
            result = connection.execute(sa.select(*columns).order_by(*table.primary_key))
            found[name] = [tuple(row) for row in result]
    engine.dispose()
    return found


def test_every_table_arrives(source: sa.Engine, target: str, run: Run) -> None:
    done = run("db", "copy", place(source.url), target)

    assert done.exit_code == 0, done.stderr
    assert " rows copied in " in done.stdout
    mine, theirs = rows(source.url), rows(target)
    for name, found in mine.items():
        assert theirs[name] == found, name
    assert [name for name in NOT_EMPTY if not mine[name]] == []
    assert run("db", "check", "--db", target).exit_code == 0
    copy = open_for_writing(target)
    with copy.begin() as connection:
        last = begin_crawl(connection, origin=LOCAL, walk="w", now=NOW)
    copy.dispose()
    assert last == 1 + max(row["crawl_id"] for row in mine["crawls"])


def test_the_copy_is_like_a_new_database(
    source: sa.Engine, engine: sa.Engine, tmp_path: Path, database_url: str, run: Run
) -> None:
    assert run("db", "copy", place(source.url), database_url, "-q").output == ""

    copy = open_as_found(database_url)
    assert schema(copy) == schema(engine)
    if copy.dialect.name == "sqlite":
        with copy.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert not list(tmp_path.glob("*-journal"))
    copy.dispose()


@ON_SQLITE
def test_there_and_back_sqlite_has_the_same_texts(
    source: sa.Engine, copies: postgres.Copies, tmp_path: Path, run: Run
) -> None:
    first, last = place(source.url).removeprefix("sqlite+pysqlite:///"), str(tmp_path / "last.db")
    with copies.copy(f"test_{uuid4().hex}") as url:
        for one, other in ((first, place(url)), (place(url), last)):
            assert run("db", "copy", one, other).exit_code == 0

    assert raw_rows(last) == raw_rows(first)


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_one_moment_of_the_source_is_copied(
    source: sa.Engine, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_database, "STEP", 10)
    before = rows(source.url)
    writes = iter([True])

    def going() -> bool:
        if next(writes, False):
            with source.begin() as connection:
                begin_crawl(connection, origin=LOCAL, walk="later", now=NOW)
        return True

    copied_with(source.url, target, going)

    assert rows(target) == before != rows(source.url)


def copied_with(source: sa.URL, target: str, going: Any) -> None:
    reading, writing = open_for_reading(source), open_for_writing(target)
    try:
        copy_database.copy_database(reading, writing, progress=CopyProgress(), going=going)
    finally:
        reading.dispose()
        writing.dispose()


def test_a_copy_that_is_stopped_is_undone(
    source: sa.Engine, target: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_database, "STEP", 10)
    with pytest.raises(StoppedError, match="nothing was copied"):
        copied_with(source.url, target, lambda: False)

    empty = open_as_found(target)
    assert sum(map(len, rows(target).values())) == len(rows(target)["field_notes"])
    if empty.dialect.name == engine.dialect.name:
        assert schema(empty) == schema(engine)
    empty.dispose()


# Only the target is full, whatever is copied.
@ON_SQLITE
def test_a_full_disk_undoes_a_copy(source: sa.Engine, target: str) -> None:
    reading, writing = open_for_reading(source.url), open_for_writing(target)

    @sa.event.listens_for(writing, "begin")
    def limit(connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")

    if writing.dialect.name == "postgresql":
        with writing.begin() as connection:
            connection.exec_driver_sql(FULL)
    with pytest.raises(StoppedError, match="disk is full") as stopped:
        copy_database.copy_database(reading, writing, progress=CopyProgress(), going=lambda: True)

    assert target.rpartition("/")[2].partition("?")[0] in str(stopped.value)
    reading.dispose()
    writing.dispose()
    assert sum(map(len, rows(target).values())) == len(rows(target)["field_notes"])


#: A disk that is full at the third of the rows of `loras`.
FULL = """
CREATE SEQUENCE stored;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('stored') = 3 THEN RAISE EXCEPTION 'as told' USING ERRCODE = '53100'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER fail AFTER INSERT ON loras FOR EACH ROW EXECUTE FUNCTION fail()
"""


#: A copy that kills itself: after some rows, or while it makes the indexes (0).
KILLED = """
import os, signal, sys
from crawler.store.connect import sqlite_copies
from crawler.store.connect.database import open_for_reading, open_for_writing
from crawler.store.schema import tables
from crawler.store.write import copy_database
sqlite_copies._FILL_CACHE = 1024  # pages go to the file at once
copy_database.STEP = 1
source, target, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
make = tables.create_missing_indexes
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def indexes(connection):
    make(connection)
    die()
def going():
    global left
    left -= 1
    return left != 0 or die()
tables.create_missing_indexes = indexes
copy_database.copy_database(
    open_for_reading(source), open_for_writing(target), progress=copy_database.CopyProgress(),
    going=going)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be killed so there")
@ON_SQLITE
@pytest.mark.parametrize(
    "share",
    [
        0.9,
        pytest.param(0, marks=pytest.mark.slow),
        *(pytest.param(n / 9, marks=pytest.mark.slow) for n in range(1, 8)),
    ],
)
def test_the_same_command_begins_anew_after_a_kill(
    source: sa.Engine, target: str, share: float, run: Run
) -> None:
    mine = rows(source.url)
    moment = int(share * sum(map(len, mine.values())) - len(mine["field_notes"]) * share)
    words = (place(source.url), target, str(moment))

    died = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, check=False)

    assert died.returncode == -signal.SIGKILL
    if "://" not in target:
        assert Path(f"{target}-journal").stat().st_size
    # Nothing of it can be seen, by a reader either.
    assert run("query", "--count", "--db", target).stdout == "0\n"
    done = run("db", "copy", place(source.url), target)
    assert done.exit_code == 0, done.stderr
    assert rows(target) == mine


def test_a_database_with_rows_or_of_another_kind_is_left_alone(
    source: sa.Engine, engine: sa.Engine, run: Run
) -> None:
    before = rows(source.url)
    with engine.begin() as connection:
        begin_crawl(connection, origin=LOCAL, walk="w", now=NOW)
    for target, words in (
        (engine, "this one has rows in crawls"),
        (source, "FROM and TO are the same database"),
    ):
        done = run("db", "copy", place(source.url), place(target.url))
        assert done.exit_code == 2
        assert words in done.stderr
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    done = run("db", "copy", place(source.url), place(engine.url))
    assert (done.exit_code, "needs an empty database" in done.stderr) == (2, True)
    done = run("db", "copy", "none.db", place(engine.url))
    assert (done.exit_code, done.stderr.endswith(": there is no database to copy\n")) == (3, True)
    done = run("db", "copy", place(engine.url), place(source.url))
    assert (done.exit_code, "lora-crawl db upgrade" in done.stderr) == (3, True)
    assert rows(source.url) == before


@ON_SQLITE
def test_a_value_that_the_other_kind_cannot_hold_is_named(
    source: sa.Engine, copies: postgres.Copies, run: Run
) -> None:
    with source.begin() as connection:
        connection.exec_driver_sql("UPDATE loras SET network_dim = 'many' WHERE file_id = 1")
    with copies.copy(f"test_{uuid4().hex}") as url:
        done = run("db", "copy", place(source.url), place(url))
        assert done.exit_code == 3
        assert "a row of loras from" in done.stderr
        assert '"many"' in done.stderr
        assert run("query", "--count", "--db", place(url)).stdout == "0\n"
