"""A person's own statement: read, bounded, and never a write."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import QueryError, UsageError
from crawler.store.connect.database import open_for_reading
from crawler.store.read.sql import run_sql
from crawler.store.schema.tables import loras

#: Runs for ever on both databases.
ENDLESS = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0"
)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    """An engine that could write: the guards must hold on it too."""
    values = {"version_id": 1, "model_id": 1, "site": "civitai", "outcome": "decoded"}
    with engine.begin() as connection:
        row = {"attempts": 1, "optimizer": "100% ä", **values}
        connection.execute(loras.insert(), [{"file_id": number, **row} for number in range(1200)])
    return engine


@pytest.fixture
def reader(filled: sa.Engine) -> Iterator[sa.Engine]:
    """What the command uses."""
    opened = open_for_reading(filled.url)
    yield opened
    opened.dispose()


def answer(engine: sa.Engine, statement: str, timeout: float = 20) -> Any:
    with run_sql(engine, statement, timeout=timeout) as found:
        return found.columns, list(found.rows)


def count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(loras)) or 0


def test_rows_and_names(reader: sa.Engine) -> None:
    columns, rows = answer(reader, "SELECT file_id AS a, optimizer FROM loras ORDER BY 1;")
    assert columns == ("a", "optimizer")
    assert rows[:2] == [(0, "100% ä"), (1, "100% ä")]
    assert len(rows) == 1200


def test_no_rows_is_an_answer_too(reader: sa.Engine) -> None:
    assert answer(reader, "SELECT file_id FROM loras WHERE optimizer LIKE '%x%'") == (
        ("file_id",), [],
    )  # fmt: skip


def test_a_percent_sign_and_a_question_mark_are_themselves(reader: sa.Engine) -> None:
    assert answer(reader, "SELECT '%s ? %% :x' AS a")[1] == [("%s ? %% :x",)]


def test_reading_may_stop_early(reader: sa.Engine) -> None:
    with run_sql(reader, "SELECT file_id FROM loras ORDER BY 1", timeout=20) as found:
        assert next(found.rows) == (0,)
    assert count(reader) == 1200


WRITES = (
    "DELETE FROM loras",
    "UPDATE loras SET file_id = 1",
    "UPDATE loras SET optimizer = 'x' RETURNING file_id",
    "INSERT INTO tags VALUES (1, 'x')",
    "DROP TABLE loras",
    "CREATE TABLE x (a int)",
    "CREATE TEMP TABLE x AS SELECT 1 AS a",
    "ALTER TABLE loras ADD COLUMN x int",
)


def test_a_write_is_refused_by_the_database(filled: sa.Engine, reader: sa.Engine) -> None:
    for engine in (filled, reader):
        for statement in WRITES:
            with pytest.raises(UsageError, match=r"read-?\s?only") as caught:
                answer(engine, statement)
            assert caught.value.exit_code == 2
    assert count(filled) == 1200


NO_QUESTIONS = (
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "SAVEPOINT x",
    "SELECT 1; DELETE FROM loras",
    "COMMIT; DELETE FROM loras",
    "ANALYZE",
    "VACUUM",
    "-- nothing",
    "",
    ";",
    "SELECT 1 \x00",
    "SELECT '\udc80'",
)


def test_statements_without_an_answer_are_errors(filled: sa.Engine) -> None:
    for statement in NO_QUESTIONS:
        with pytest.raises(UsageError):
            answer(filled, statement)
    assert count(filled) == 1200


#: What each database would do besides reading and writing its tables.
ELSEWHERE = {
    "sqlite": (
        "ATTACH '{folder}/other' AS other",
        "VACUUM INTO '{folder}/other'",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('{folder}/other')",
        "DETACH main",
        "SELECT ?",
    ),
    "postgresql": (
        "SET TRANSACTION READ WRITE",
        "SET statement_timeout = 0",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "COPY (SELECT 1) TO STDOUT",
        "COPY (SELECT 1) TO '{folder}/other'",
        "COPY (SELECT 1) TO PROGRAM 'touch {folder}/other'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT lo_creat(1)",
        "DO $$ BEGIN DELETE FROM loras; END $$",
        "SELECT $1",
    ),
}


def test_nothing_else_is_reached(filled: sa.Engine, tmp_path: Path) -> None:
    for statement in ELSEWHERE[filled.dialect.name]:
        with pytest.raises(UsageError):
            answer(filled, statement.format(folder=tmp_path))
    assert not (tmp_path / "other").exists()
    assert count(filled) == 1200


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_shows_its_schema(reader: sa.Engine) -> None:
    assert ("file_id",) in answer(reader, "SELECT name FROM pragma_table_info('loras')")[1]
    assert answer(reader, "PRAGMA table_info(loras)")[1][0][1] == "file_id"
    assert answer(reader, "SELECT CAST(x'ff41' AS TEXT)")[1] == [("\ufffdA",)]


def test_a_mistake_is_shown_where_it_is(reader: sa.Engine) -> None:
    for statement, word in (
        ("SELEC 1", "SELEC"),
        ("SELECT fil_id FROM loras", "fil_id"),
        ("SELECT 1 FROM lras", "lras"),
    ):
        with pytest.raises(QueryError) as caught:
            answer(reader, statement)
        assert caught.value.text == statement
        assert caught.value.start == statement.index(word)


def test_a_mistake_while_reading(reader: sa.Engine) -> None:
    broken = {
        "sqlite": "SELECT abs(-9223372036854775807 - (file_id > 1000)) FROM loras",
        "postgresql": "SELECT 1 / (1000 - file_id) FROM loras ORDER BY file_id",
    }
    with pytest.raises(QueryError):
        answer(reader, broken[reader.dialect.name])


def test_the_time_is_bounded(reader: sa.Engine) -> None:
    begin = time.monotonic()
    with pytest.raises(UsageError, match=r"no answer within 0\.2 s"):
        answer(reader, ENDLESS, timeout=0.2)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("timeout", [0, 60])
def test_an_interrupt_ends_it(reader: sa.Engine, timeout: float) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            answer(reader, ENDLESS, timeout=timeout)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_nothing_is_left_on_the_connections(filled: sa.Engine) -> None:
    for _ in range(8):
        with pytest.raises(UsageError):
            answer(filled, "DELETE FROM loras")
    assert answer(filled, "SELECT 1", timeout=0)[1] == [(1,)]
    assert count(filled) == 1200
