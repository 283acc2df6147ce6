"""Run a user's SQL statement so that it can only read.

The databases enforce this themselves: SQLite with a read-only connection that cannot reach another
file, PostgreSQL with a read-only transaction. In such a transaction a superuser of PostgreSQL can
still write files and run programs, so superusers are refused.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from crawler.errors import QueryError, UsageError
from crawler.store.connect.db_errors import ENDED, too_late, translated
from crawler.store.read.search import Rows
from crawler.store.read.sqlite_process import rows_in_time

#: Beginnings of SQLite's names for errors: a refused write, a mistake in the statement.
_SQLITE_REFUSED = ("SQLITE_READONLY", "SQLITE_AUTH")
_SQLITE_MISTAKEN = ("SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")

#: PostgreSQL's SQLSTATEs: a write, a missing permission, a change of the transaction mode.
_POSTGRES_REFUSED = ("25006", "42501", "25001")

#: SQLSTATEs and their beginnings that other errors of operation have in common with mistakes: a
#: parameter such as $1 without a value, a statement beyond the server's limits, too little memory.
_POSTGRES_MISTAKEN = ("08P01", "54", "53200")

#: The roles that may do more than read: as one of them a statement could read the server's files,
#: write them, or run programs.
_POWERFUL = (
    "SELECT rolname FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER') AND (rolsuper"
    " OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))"
)

#: Functions that end the work of others of the same role; functions that run a text as a statement,
#: and names written with escapes, which could hide one of the first kind.
_ENDS_OTHERS = re.compile(
    r"pg_(?:terminate|cancel)_backend"
    r"|ts_(?:stat|rewrite)|(?:query|cursor)_to_xml\w*|dblink\w*|crosstab\w*|connectby|xpath_table"
    r'|u&"',
    re.IGNORECASE,
)

_NO_ROWS = "this statement does not return rows, and sql is read-only"

_PLACE = re.compile(r'near "(.+)": syntax error|no such (?:column|table|function): (\S+)')


@contextlib.contextmanager
def run_sql(engine: sa.Engine, statement: str, *, timeout: float) -> Iterator[Rows]:
    """The rows that a statement returns, streamed while the block lasts.

    Values are as the driver of the database returns them. After `timeout` seconds the statement is
    cancelled; 0 means never.

    Raises:
        QueryError: The statement has a mistake, or it does not return rows.
        UsageError: The database refuses the statement, or the time is up.
        DatabaseError: The database cannot be used as it is.
        StoppedError: The database cannot be used now.
    """
    if not statement.strip():
        raise QueryError("give one SQL statement")
    if found := re.search("[\x00\ud800-\udfff]", statement):
        raise QueryError(f"a statement cannot contain the character {ord(found[0]):#06x}")
    run = _sqlite if engine.dialect.name == "sqlite" else _postgres
    with translated(engine.url), run(engine, statement, timeout) as rows:
        yield rows


@contextlib.contextmanager
def _sqlite(engine: sa.Engine, statement: str, timeout: float) -> Iterator[Rows]:
    try:
        path = str(engine.url.database)
        with rows_in_time(path, statement, timeout=timeout) as (columns, rows):
            if not columns:
                raise QueryError(_NO_ROWS)
            yield Rows(columns, rows)
    except sqlite3.Error as error:
        name = error.sqlite_errorname
        if name.startswith(_SQLITE_REFUSED):
            raise _refused(error) from error
        if not name.startswith(_SQLITE_MISTAKEN):
            raise
        place = _place(str(error), statement)
        raise QueryError(str(error), text=statement, start=place.start, end=place.stop) from error


def _place(message: str, statement: str) -> slice:
    """The place of the word that SQLite complains about, if it occurs only once."""
    found = _PLACE.search(message)
    word = (found[1] or found[2]) if found else ""
    if not word or statement.count(word) != 1:
        return slice(None)
    start = statement.index(word)
    return slice(start, start + len(word))


@contextlib.contextmanager
def _postgres(engine: sa.Engine, statement: str, timeout: float) -> Iterator[Rows]:
    import psycopg  # noqa: PLC0415 - an extra; here it is there, since a connection is open

    if found := _ENDS_OTHERS.search(statement):
        raise UsageError(f"{found[0]} could end the work of others; lora-crawl sql only reads")
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            driver.rollback()
            driver.read_only = True
            cursor = driver.cursor()
            _demand_reader(cursor, engine)
            milliseconds = str(round(timeout * 1000))
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
            columns = _described(driver, statement)
            # A stream is a prepared statement, which PostgreSQL limits to one statement.
            yield Rows(columns, cursor.stream(statement))
        except psycopg.Error as error:
            raise _postgres_error(error, statement, timeout) from error
        finally:
            # Its changed settings must not leak to a later user of the connection.
            connection.invalidate()


def _demand_reader(cursor: Any, engine: sa.Engine) -> None:
    """Raise UsageError if the session can become a role that may do more than read.

    A nested statement can take back every right that a session has given up.
    """
    row = cursor.execute(_POWERFUL).fetchone()
    if row is not None:
        database = str(engine.url.database).replace('"', '""')
        raise UsageError(
            f"sql does not run with the rights of {row[0]}, which reach beyond this database; as a"
            " superuser make a role that only reads, and name it in --db:\n"
            "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;"
            f' GRANT CONNECT ON DATABASE "{database}" TO reader;'
        )


def _described(driver: Any, statement: str) -> tuple[str, ...]:
    """The columns of a statement, which is not run: one without columns may do anything."""
    from psycopg.pq import ExecStatus  # noqa: PLC0415 - an extra

    results = [driver.pgconn.prepare(b"", statement.encode())]
    if results[0].status == ExecStatus.COMMAND_OK:
        results.append(driver.pgconn.describe_prepared(b""))
    failed = next((one for one in results if one.status != ExecStatus.COMMAND_OK), None)
    if failed is not None:
        from psycopg.errors import error_from_result  # noqa: PLC0415 - an extra

        raise error_from_result(failed)
    columns = results[1]
    if not columns.nfields:
        raise QueryError(_NO_ROWS)
    return tuple(columns.fname(number).decode() for number in range(columns.nfields))


def _postgres_error(error: Any, statement: str, timeout: float) -> Exception:
    """The error to raise for one of psycopg."""
    import psycopg  # noqa: PLC0415 - an extra

    state = error.sqlstate or ""
    if state in _POSTGRES_REFUSED:
        return _refused(error)
    if state == ENDED:
        return too_late(timeout)
    mistaken = state.startswith(_POSTGRES_MISTAKEN)
    if isinstance(error, psycopg.OperationalError) and not mistaken:
        return sa.exc.DBAPIError(statement, None, error)
    message = error.diag.message_primary if state else _NO_ROWS
    place = error.diag.statement_position
    start = int(place) - 1 if place else None
    return QueryError(message or str(error), text=statement, start=start)


def _refused(error: Exception) -> UsageError:
    message = str(error).strip().splitlines()[0]
    return UsageError(f"the database refuses this: {message}; lora-crawl sql only reads")
