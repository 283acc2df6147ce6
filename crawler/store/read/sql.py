"""A person's own statement, run so that it can change nothing.

The databases see to that themselves: SQLite by a connection that only reads and that may not reach
another file, PostgreSQL by a transaction that only reads. A transaction that only reads still lets
a superuser of PostgreSQL write files and run programs, so a superuser is first set back to the
rights of somebody who may read all tables.
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

#: SQLite looks at the clock each time it has done this many of its small steps: under 1 ms.
_STEPS = 10_000

#: What a connection that only reads would still do: reach other files, change its own settings.
_DENIED = frozenset(
    {
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_TRANSACTION,
    }
)

#: Pragmas that only tell; whoever looks at an unknown database uses them.
_TELLING = frozenset(
    {
        "compile_options",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)

#: By the beginning of SQLite's own name for an error.
_SQLITE_REFUSED = ("SQLITE_READONLY", "SQLITE_AUTH")
_SQLITE_MISTAKEN = ("SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")

#: PostgreSQL's SQLSTATEs: a write, a missing right, a way around the transaction's mode.
_POSTGRES_REFUSED = ("25006", "42501", "25001")
_POSTGRES_TIMEOUT = "57014"

#: Parameters like $1 that nobody gives: PostgreSQL's name for it sounds like a broken connection.
_POSTGRES_PARAMETERS = "08P01"

#: The first version of PostgreSQL that has a role for whoever reads everything.
_HAS_READERS = 140_000

_NO_ROWS = "this is no statement that gives rows"

_PLACE = re.compile(r'near "(.+)": syntax error|no such (?:column|table|function): (\S+)')


@contextlib.contextmanager
def run_sql(engine: sa.Engine, statement: str, *, timeout: float) -> Iterator[Rows]:
    """The answer to one statement that reads; its rows come while the block lasts.

    Values are what the database's driver makes of them.

    Args:
        engine: On the database; a connection of it is used up.
        statement: As typed.
        timeout: Seconds after which it is given up, 0 for never.

    Raises:
        QueryError: The database does not understand the statement, or it gives no rows.
        UsageError: The database refuses to do it, or the time is up.
        DatabaseError: The database cannot be used as it is.
        StoppedError: It cannot be used now.
    """
    if not statement.strip():
        raise QueryError("give one SQL statement")
    if found := re.search("[\x00\ud800-\udfff]", statement):
        raise QueryError(f"a statement cannot hold the character {ord(found[0]):#06x}")
    run = _sqlite if engine.dialect.name == "sqlite" else _postgres
    with translated(engine.url), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            with run(driver, statement, timeout) as rows:
                yield rows
        finally:
            # What was set on it must not be met by whoever would get it next.
            connection.invalidate()


@contextlib.contextmanager
def _sqlite(driver: sqlite3.Connection, statement: str, timeout: float) -> Iterator[Rows]:
    until = time.monotonic() + timeout if timeout else math.inf
    driver.execute("PRAGMA query_only = ON")
    # What is stored as text may be bytes that are none.
    driver.text_factory = lambda data: data.decode(errors="replace")
    driver.set_authorizer(_authorize)
    # Without a limit too: only between such looks can an interrupt from the keyboard get through.
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
                # It came while the clock was looked at, and the driver has swallowed it.
                raise KeyboardInterrupt from error
            raise _late(timeout) from error
        if not name.startswith(_SQLITE_MISTAKEN):
            raise
        place = _place(str(error), statement)
        raise QueryError(str(error), text=statement, start=place.start, end=place.stop) from error


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    denied = action in _DENIED and not (action == sqlite3.SQLITE_PRAGMA and first in _TELLING)
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def _place(message: str, statement: str) -> slice:
    """Where what SQLite complains of stands, if it stands in one place only."""
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
        # A stream is sent as a prepared statement, of which PostgreSQL takes only one at a time.
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
    """The columns of a statement that gave no row, for which a stream does not tell them."""
    driver.pgconn.prepare(b"", statement.encode())
    columns = driver.pgconn.describe_prepared(b"")
    return tuple(columns.fname(number).decode() for number in range(columns.nfields))


def _names(description: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    return tuple(str(column[0]) for column in description)


def _refused(error: Exception) -> UsageError:
    message = str(error).strip().splitlines()[0]
    return UsageError(f"the database refuses this: {message}; here it is only read")


def _late(timeout: float) -> UsageError:
    return UsageError(f"no answer within {timeout:g} s; ask for less, or give a longer --timeout")
