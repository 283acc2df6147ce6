"""What a database says when it cannot go on, in words and as the project's own errors."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store.connect.url import redacted

_Fault = tuple[type[DatabaseError] | type[StoppedError], str]

#: By the beginning of SQLite's own name for an error; the first that fits.
_SQLITE: tuple[tuple[str, _Fault], ...] = (
    (
        "SQLITE_BUSY",
        (StoppedError, "another program is writing to it; run the command again when it is done"),
    ),
    ("SQLITE_LOCKED", (StoppedError, "another program holds it; run the command again later")),
    ("SQLITE_FULL", (StoppedError, "the disk is full; make room and run the command again")),
    ("SQLITE_IOERR", (StoppedError, "the disk could not be read or written")),
    (
        "SQLITE_READONLY",
        (DatabaseError, "it can only be read here; change its permissions or give another --db"),
    ),
    (
        "SQLITE_CANTOPEN",
        (DatabaseError, "it cannot be opened; look at the permissions of its folder"),
    ),
    ("SQLITE_PERM", (DatabaseError, "permission denied")),
    ("SQLITE_NOTADB", (DatabaseError, "this file is no SQLite database; give another --db")),
    ("SQLITE_CORRUPT", (DatabaseError, "the file is damaged; restore a copy of it")),
)

#: By the beginning of PostgreSQL's SQLSTATE; the first that fits.
_POSTGRES: tuple[tuple[str, _Fault], ...] = (
    ("28", (DatabaseError, "it does not let this user in")),
    ("3D000", (DatabaseError, "there is no such database on that server; make it with createdb")),
    ("42501", (DatabaseError, "this user lacks a right")),
    ("25006", (DatabaseError, "it can only be read")),
    ("53100", (StoppedError, "its disk is full; make room and run the command again")),
    ("53", (StoppedError, "the server has too little of something; try again later")),
    ("55P03", (StoppedError, "another program holds a lock; run the command again later")),
    ("57P0", (StoppedError, "the server is stopping or starting; run the command again later")),
    ("40", (StoppedError, "two programs stood in each other's way; run the command again")),
    ("08", (StoppedError, "the connection broke; run the command again")),
)

#: The longest piece of a database's own message that is shown, in characters.
_MAX_MESSAGE = 300


@contextlib.contextmanager
def translated(where: str | sa.URL | None = None) -> Iterator[None]:
    """Turn a database's troubles inside the block into errors a person can act on.

    A mistake of ours (a wrong statement, a broken constraint) goes through unchanged.

    Args:
        where: The database, for the message; None when there is but one it can be.

    Raises:
        DatabaseError: The database cannot be used as it is: not readable, not writable, damaged,
            not there.
        StoppedError: It cannot be used now: locked, full, the server went away.
    """
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        fault = _fault(error)
        if fault is None:
            raise
        kind, words = fault
        raise kind(f"{'the database' if where is None else redacted(where)}: {words}") from error


def _fault(error: sa.exc.DBAPIError | sqlite3.Error) -> _Fault | None:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "")
        return next((fault for start, fault in _SQLITE if name.startswith(start)), None)
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return StoppedError, "the connection broke; run the command again"
    return _postgres_fault(cause)


def _postgres_fault(error: BaseException | None) -> _Fault | None:
    state = getattr(error, "sqlstate", None)
    if state is None:
        # Whoever never got in is told why by libpq, in a text without a code and without a password.
        if type(error).__name__ in {"OperationalError", "ConnectionTimeout"}:
            return DatabaseError, f"PostgreSQL cannot be reached: {_short(str(error))}"
        return None
    for start, (kind, words) in _POSTGRES:
        if state.startswith(start):
            return kind, f"{words} ({_short(str(error))})"
    return None


def _short(message: str) -> str:
    line = re.sub(r"\s+", " ", message).strip()
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"
