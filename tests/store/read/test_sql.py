"""A person's own statement: read, bounded, and never a write."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crawler.errors import QueryError, UsageError
from crawler.query.parser import parse
from crawler.store.connect.database import open_for_reading, open_for_writing
from crawler.store.connect.db_errors import translated
from crawler.store.read.search import Search, search
from crawler.store.read.sql import run_sql
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from tests.conftest import Prepared
from tests.stored import as_user, insert_loras

#: Runs for ever on both databases.
ENDLESS = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r WHERE n < 0"
)


def _fill(engine: sa.Engine) -> None:
    values = {"version_id": 1, "model_id": 1, "site": "civitai", "outcome": "decoded"}
    with engine.begin() as connection:
        row = {"attempts": 1, "optimizer": "100% ä", **values}
        insert_loras(connection, [{"file_id": number, **row} for number in range(1200)])


@pytest.fixture
def filled(prepared: Prepared) -> Iterator[sa.Engine]:
    """An engine that could write: the guards must hold on it too."""
    opened = open_for_writing(place(prepared("many_files", _fill), "writer"))
    yield opened
    opened.dispose()


def place(engine: sa.Engine, role: str) -> str:
    return as_user(engine.url.render_as_string(hide_password=False), role)


@pytest.fixture
def reader(filled: sa.Engine) -> Iterator[sa.Engine]:
    """What the command uses."""
    opened = open_for_reading(place(filled, "reader"))
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
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        "SELECT set_config('role', 'postgres', true)",
    ),
}


def test_nothing_else_is_reached(filled: sa.Engine, tmp_path: Path) -> None:
    for statement in ELSEWHERE[filled.dialect.name]:
        with pytest.raises(UsageError):
            answer(filled, statement.format(folder=tmp_path))
    assert not (tmp_path / "other").exists()
    assert count(filled) == 1200


#: An end of others' work whose function is not written out.
HIDDEN_ENDS = (
    """SELECT U&"pg_t\\0065rminate_backend"(pid) FROM {others}""",
    """SELECT u&"pg_c!0061ncel_backend" UESCAPE '!' (pid) FROM {others}""",
    """SELECT ts_stat('SELECT to_tsvector(pg_term' || 'inate_backend(pid)::text) FROM {others}')""",
    """SELECT * FROM TS_STAT('SELECT to_tsvector(pg_can' || 'cel_backend(pid)::text) FROM {others}')""",
    """SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, (pg_term' ||
       'inate_backend(pid)::text)::tsquery FROM {others}')""",
    """SELECT query_to_xml('SELECT pg_term' || 'inate_backend(pid) FROM {others}', true, true, '')""",
)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", HIDDEN_ENDS)
def test_the_work_of_others_goes_on(filled: sa.Engine, statement: str) -> None:
    with filled.connect() as other:
        pid = other.scalar(sa.text("SELECT pg_backend_pid()"))
        others = f"pg_stat_activity WHERE pid = {pid}"
        with pytest.raises(UsageError, match="the work of others"):
            answer(filled, statement.format(others=others))
        assert other.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_role_that_may_do_more_than_read_is_refused(engine: sa.Engine) -> None:
    name = f"r{uuid4().hex}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        connection.exec_driver_sql(f"GRANT pg_read_all_data, pg_read_server_files TO {name}")
    try:
        for role in (name, str(engine.url.username)):
            opened = open_for_reading(place(engine, role))
            with pytest.raises(UsageError, match="CREATE ROLE reader"):
                answer(opened, "SELECT 1")
            opened.dispose()
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


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


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_search_that_waits_for_a_lock_is_bounded(engine: sa.Engine) -> None:
    with engine.begin() as other, engine.connect() as connection:
        other.exec_driver_sql("LOCK TABLE loras")
        late = pytest.raises(UsageError, match=r"no answer within 0\.2 s")
        with late, translated(engine.url), search(connection, Search(), timeout=0.2) as found:
            list(found.rows)


#: One operation that takes minutes.
SLOW = {
    "sqlite": "SELECT instr(zeroblob(30000000), CAST(zeroblob(15000000) || x'01' AS BLOB))",
    "postgresql": "SELECT count(*) FROM generate_series(1, 100000000000)",
}


def test_the_time_is_bounded_inside_one_operation_too(reader: sa.Engine) -> None:
    with pytest.raises(UsageError, match=r"no answer within 0\.2 s"):
        answer(reader, SLOW[reader.dialect.name], timeout=0.2)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_search_is_bounded_inside_one_operation_too(filled: sa.Engine) -> None:
    pattern, text = "%" + "a" * 11_000 + "b", "a" * 5_000_000
    with filled.begin() as connection:
        connection.execute(loras.update().where(loras.c.file_id == 7).values(optimizer=text))
    asked = Search(tree=parse([f"optimizer like '{pattern}'"], BY_NAME))
    late = pytest.raises(UsageError, match="no answer within")
    with filled.connect() as connection, late, search(connection, asked, timeout=0.2) as found:
        list(found.rows)


TOO_MUCH = {
    "sqlite": ("SELECT zeroblob(1000000000)", "SELECT hex(zeroblob(50000000))"),
    "postgresql": ("SELECT lpad('x', 1000000000)", "SELECT repeat('ab', 1000000000)"),
}


def test_too_much_is_a_mistake_of_the_statement(reader: sa.Engine) -> None:
    for statement in (*TOO_MUCH[reader.dialect.name], f"SELECT {'NOT ' * 200_000} true"):
        with pytest.raises(QueryError):
            answer(reader, statement)


@pytest.mark.parametrize("timeout", [0, 60])
def test_an_interrupt_ends_it(reader: sa.Engine, timeout: float) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # As from a terminal: the system chooses a thread that can take it.
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            answer(reader, SLOW[reader.dialect.name], timeout=timeout)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_nothing_is_left_on_the_connections(filled: sa.Engine) -> None:
    for _ in range(8):
        with pytest.raises(UsageError):
            answer(filled, "DELETE FROM loras")
    assert answer(filled, "SELECT 1", timeout=0)[1] == [(1,)]
    assert count(filled) == 1200
