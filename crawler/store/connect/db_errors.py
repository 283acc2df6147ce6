"""Turn database errors into the project's own, with messages that say what to do."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from crawler.errors import (
    ConflictError,
    DatabaseError,
    LostConnectionError,
    NoServerError,
    SlowError,
    StoppedError,
    UsageError,
)
from crawler.store.connect.url import redacted, resolve

#: PostgreSQL's SQLSTATE for a statement that was ended, mostly because it took too long.
ENDED = "57014"

#: That for a missing permission.
DENIED = "42501"

#: That for a lock that was not free in time.
LOCKED = "55P03"

_Translation = tuple[type[DatabaseError] | type[StoppedError] | type[UsageError], str]

#: By the start of SQLite's name for the error; the first match counts.
_SQLITE: dict[str, _Translation] = {
    "SQLITE_BUSY": (
        StoppedError,
        "another program is writing to it; run the command again when that is done",
    ),
    "SQLITE_LOCKED": (StoppedError, "another program has locked it; run the command again later"),
    "SQLITE_FULL": (StoppedError, "the disk is full; free some space and run the command again"),
    "SQLITE_IOERR": (StoppedError, "the disk could not be read or written"),
    "SQLITE_READONLY": (
        DatabaseError,
        "it can only be read here; change its permissions or choose another database",
    ),
    "SQLITE_CANTOPEN": (
        DatabaseError,
        "it cannot be opened; check the permissions of its folder",
    ),
    "SQLITE_PERM": (DatabaseError, "permission denied"),
    "SQLITE_NOTADB": (DatabaseError, "this file is not a SQLite database; choose another database"),
    "SQLITE_CORRUPT": (DatabaseError, "the file is damaged; restore it from a backup"),
}

#: By the start of PostgreSQL's SQLSTATE; the first match counts.
_POSTGRES: dict[str, _Translation] = {
    "28": (DatabaseError, "the server does not accept this user or password"),
    "3D000": (DatabaseError, "the server has no such database; create it with createdb"),
    DENIED: (DatabaseError, "this user lacks a permission"),
    "25006": (DatabaseError, "it can only be read"),
    "53100": (StoppedError, "its disk is full; free some space and run the command again"),
    "53": (StoppedError, "the server is short of resources; run the command again later"),
    LOCKED: (StoppedError, "another program has locked it; run the command again later"),
    ENDED: (
        StoppedError,
        "the server ended a statement that took long; run the command again later",
    ),
    "54": (UsageError, "this is too much for the server; simplify it"),
    "57P0": (
        LostConnectionError,
        "the server is stopping or starting; run the command again later",
    ),
    "40": (ConflictError, "it conflicted with another program; run the command again"),
    "08": (LostConnectionError, "the connection was lost; run the command again"),
}

#: Characters of a database's own message that are shown at most.
_MAX_MESSAGE = 300


@contextlib.contextmanager
def translated(where: str | sa.URL | None = None) -> Iterator[None]:
    """Translate errors of the database inside the block; the message names it, unless it is None.

    Errors that are bugs of ours, such as a wrong statement, pass through unchanged.

    Raises:
        DatabaseError: The database cannot be used as it is: missing, damaged, no permission.
        StoppedError: It cannot be used now: locked, disk full, connection lost, too slow.
        UsageError: A statement is beyond the limits of the server.
    """
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        translation = _translation(error)
        if translation is None:
            raise
        kind, words = translation
        if isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) == DENIED:
            words += needed_rights(where)
        raise kind(f"{'the database' if where is None else redacted(where)}: {words}") from error


def needed_rights(where: str | sa.URL | None) -> str:
    """The statements that let a role read the database, as further lines of a message."""
    name = None if where is None else resolve(where).username
    role = "THE_ROLE" if name is None else '"' + name.replace('"', '""') + '"'
    return (
        "\nto read, it needs what a superuser or the owner of the tables gives:"
        f"\nGRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
        "\nto write, it must be the role that made the tables"
    )


@contextlib.contextmanager
def driver_errors(connection: sa.Connection) -> Iterator[None]:
    """`translated`, for what goes past SQLAlchemy to the driver of the connection."""
    dialect, driver = connection.dialect, connection.connection.driver_connection
    assert dialect.dbapi is not None  # noqa: S101 - for the type checker
    with translated(connection.engine.url):
        try:
            yield
        except dialect.dbapi.Error as error:
            lost = dialect.is_disconnect(error, driver, None)
            raise sa.exc.DBAPIError(None, None, error, connection_invalidated=lost) from error


def too_late(timeout: float) -> SlowError:
    """The error for a question that has no answer after `timeout` seconds."""
    return SlowError(f"no answer within {timeout:g} s; simplify it or give a longer --timeout")


def _translation(error: sa.exc.DBAPIError | sqlite3.Error) -> _Translation | None:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _first(_SQLITE, getattr(cause, "sqlite_errorname", ""))
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return _POSTGRES["08"]
    code = getattr(cause, "sqlstate", None)
    if code is not None:
        found = _first(_POSTGRES, code)
        return found and (found[0], f"{found[1]} ({short(str(cause))})")
    # A failed connection has no code. libpq's message names the reason, and no password.
    if type(cause).__name__ in {"OperationalError", "ConnectionTimeout"}:
        return NoServerError, f"PostgreSQL cannot be reached: {short(str(cause))}"
    return None


def _first(translations: dict[str, _Translation], code: str) -> _Translation | None:
    return next((found for start, found in translations.items() if code.startswith(start)), None)


def short(message: str) -> str:
    """The message of a database on one line, cut after _MAX_MESSAGE characters."""
    line = re.sub(r"\s+", " ", message).strip()
    return line if len(line) <= _MAX_MESSAGE else line[: _MAX_MESSAGE - 1] + "…"
