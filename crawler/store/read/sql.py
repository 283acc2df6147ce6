"""Run a user's SQL statement so that it can only read.

The databases enforce this themselves: SQLite with a read-only connection that cannot reach another
file, PostgreSQL with a read-only transaction. In such a transaction a superuser of PostgreSQL can
still write files and run programs, so a superuser is first reduced to a role that may only read.
"""

import contextlib
import math
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

from crawler.errors import QueryError, UsageError
from crawler.store.connect.db_errors import translated
from crawler.store.read.search import Rows

#: SQLite checks the time after this many virtual-machine steps, less than 1 ms.
_STEPS = 10_000

#: What a read-only connection could still do: reach other files, change its own settings.
_DENIED = frozenset(
    {
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_TRANSACTION,
    }
)

#: Pragmas that only show the schema.
_SHOWING = frozenset(
    {
        *("compile_options", "foreign_key_list", "function_list", "index_info", "index_list"),
        *("index_xinfo", "table_info", "table_list", "table_xinfo"),
    }
)

#: Beginnings of SQLite's names for errors: a refused write, a mistake in the statement.
_SQLITE_REFUSED = ("SQLITE_READONLY", "SQLITE_AUTH")
_SQLITE_MISTAKEN = ("SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")

#: PostgreSQL's SQLSTATEs: a write, a missing permission, a change of the transaction mode.
_POSTGRES_REFUSED = ("25006", "42501", "25001")
_POSTGRES_TIMEOUT = "57014"

#: A parameter such as $1 without a value; the SQLSTATE is that of a protocol violation.
_POSTGRES_PARAMETERS = "08P01"

#: The first version of PostgreSQL with the role pg_read_all_data.
_HAS_READERS = 140_000

_NO_ROWS = "this statement does not return rows"

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
    with translated(engine.url), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            with run(driver, statement, timeout) as rows:
                yield rows
        finally:
            # Its changed settings must not leak to a later user of the connection.
            connection.invalidate()


@contextlib.contextmanager
def _sqlite(driver: sqlite3.Connection, statement: str, timeout: float) -> Iterator[Rows]:
    until = time.monotonic() + timeout if timeout else math.inf
    driver.execute("PRAGMA query_only = ON")
    # Stored text may be invalid UTF-8.
    driver.text_factory = lambda data: data.decode(errors="replace")
    driver.set_authorizer(_authorize)
    # Also without a timeout: Ctrl-C is handled only at these checks.
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        cursor = driver.execute(statement)
        if cursor.description is None:
            raise QueryError(_NO_ROWS)
        yield Rows(_names(cursor.description), iter(cursor))
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or "SQLITE_ERROR"
        if name.startswith(_SQLITE_REFUSED):
            raise _refused(error) from error
        if name == "SQLITE_INTERRUPT":
            if time.monotonic() <= until:
                # Ctrl-C arrived during the check of the time, and the driver swallowed it.
                raise KeyboardInterrupt from error
            raise _late(timeout) from error
        if not name.startswith(_SQLITE_MISTAKEN):
            raise
        place = _place(str(error), statement)
        raise QueryError(str(error), text=statement, start=place.start, end=place.stop) from error


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    denied = action in _DENIED and not (action == sqlite3.SQLITE_PRAGMA and first in _SHOWING)
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def _place(message: str, statement: str) -> slice:
    """The place of the word that SQLite complains about, if it occurs only once."""
    found = _PLACE.search(message)
    word = (found[1] or found[2]) if found else ""
    if not word or statement.count(word) != 1:
        return slice(None)
    start = statement.index(word)
    return slice(start, start + len(word))


@contextlib.contextmanager
def _postgres(driver: Any, statement: str, timeout: float) -> Iterator[Rows]:
    import psycopg  # noqa: PLC0415 - an extra; here it is there, since a connection is open

    driver.rollback()
    driver.read_only = True
    try:
        cursor = driver.cursor()
        if (
            driver.info.parameter_status("is_superuser") == "on"
            and driver.info.server_version >= _HAS_READERS
        ):
            cursor.execute("SET LOCAL ROLE pg_read_all_data")
        milliseconds = str(round(timeout * 1000))
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
        # A stream is a prepared statement, which PostgreSQL limits to one statement.
        stream = cursor.stream(statement)
        first = next(stream, None)
        if first is None:
            yield Rows(_described(driver, statement), iter(()))
        else:
            yield Rows(_names(cursor.description), chain([first], stream))
    except psycopg.Error as error:
        state = error.sqlstate
        if state in _POSTGRES_REFUSED:
            raise _refused(error) from error
        if state == _POSTGRES_TIMEOUT:
            raise _late(timeout) from error
        if isinstance(error, psycopg.OperationalError) and state != _POSTGRES_PARAMETERS:
            raise sa.exc.DBAPIError(statement, None, error) from error
        message = error.diag.message_primary if state else _NO_ROWS
        place = error.diag.statement_position
        start = int(place) - 1 if place else None
        raise QueryError(message or str(error), text=statement, start=start) from error


def _described(driver: Any, statement: str) -> tuple[str, ...]:
    """The columns of a statement that returned no rows; a stream does not give them."""
    driver.pgconn.prepare(b"", statement.encode())
    columns = driver.pgconn.describe_prepared(b"")
    return tuple(columns.fname(number).decode() for number in range(columns.nfields))


def _names(description: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    return tuple(str(column[0]) for column in description)


def _refused(error: Exception) -> UsageError:
    message = str(error).strip().splitlines()[0]
    return UsageError(f"the database refuses this: {message}; lora-crawl sql only reads")


def _late(timeout: float) -> UsageError:
    return UsageError(
        f"no answer within {timeout:g} s; simplify the statement or give a longer --timeout"
    )
