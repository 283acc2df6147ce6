"""Databases opened: to read, to write, to bring up to date.

Readers never change a database; whoever writes creates and upgrades it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

import crawler
from crawler.errors import DatabaseError
from crawler.store.connect.db_errors import translated
from crawler.store.connect.engines import postgres, sqlite_reader, sqlite_writer
from crawler.store.connect.schema_state import REVISION, Found, State, advice, is_missing, look
from crawler.store.connect.url import redacted, resolve

__all__ = [
    "REVISION",
    "Connection",
    "Engine",
    "State",
    "changing_tables",
    "migrations_folder",
    "open_as_found",
    "open_for_reading",
    "open_for_writing",
    "redacted",
    "resolve",
    "state",
    "translated",
    "upgrade",
]

Place = str | os.PathLike[str] | sa.URL

#: PostgreSQL's advisory lock that is held while tables change: a number of ours.
_UPGRADE_LOCK = 7_236_180_211


def state(where: Place) -> State:
    """The state of a database; nothing is created or changed.

    Raises:
        UsageError: `where` names no database.
        DatabaseError: It cannot be looked at: a folder, no permission, no server, a wrong password.
    """
    return _find(resolve(where)).state


def open_for_reading(where: Place) -> Engine:
    """An engine that can change nothing. The caller disposes of it.

    Raises:
        UsageError: `where` names no database.
        DatabaseError: None is there in the current state; the message says which and what to run.
    """
    url = resolve(where)
    if is_missing(url):
        raise DatabaseError(advice(url, Found(State.MISSING)))
    with contextlib.ExitStack() as on_error:
        engine = _reader(url)
        on_error.callback(engine.dispose)
        found = look(engine)
        if found.state is not State.CURRENT:
            raise DatabaseError(advice(url, found))
        on_error.pop_all()
    return engine


def open_for_writing(where: Place) -> Engine:
    """An engine on a database that is created or upgraded where needed. The caller disposes of it.

    Raises:
        UsageError: `where` names no database.
        DatabaseError: It is newer than this program, another program's, or cannot be written.
        StoppedError: Another program has been writing to it for BUSY_TIMEOUT.
    """
    url = resolve(where)
    found = _find(url)
    if found.state in {State.NEWER, State.FOREIGN}:
        raise DatabaseError(advice(url, found))
    if found.state is State.MISSING:
        _make_folder(Path(str(url.database)).parent)
    with contextlib.ExitStack() as on_error:
        engine = open_as_found(url)
        on_error.callback(engine.dispose)
        if found.state is not State.CURRENT:
            upgrade(engine)
        with translated(url), engine.begin():
            pass  # a file that cannot be written says so now
        on_error.pop_all()
    return engine


def open_as_found(where: Place) -> Engine:
    """An engine that may write, on a database in whatever state: for migrations and their tests."""
    url = resolve(where)
    if url.get_backend_name() == "sqlite":
        return sqlite_writer(url)
    return postgres(url, read_only=False)


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest revision: all of it happens, or nothing.

    Args:
        engine: Opened for writing, on a database that is empty or ours.

    Raises:
        DatabaseError, StoppedError: As `translated` has it.
    """
    from alembic import command  # noqa: PLC0415 - readers do without it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    with changing_tables(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def migrations_folder() -> Path:
    """Where the revisions lie: inside the installed package, or beside it in a checkout."""
    package = Path(crawler.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


@contextlib.contextmanager
def changing_tables(engine: Engine) -> Iterator[Connection]:
    """A connection in the one transaction in which tables may change; migrations run in it.

    Raises:
        DatabaseError, StoppedError: As `translated` has it.
    """
    change = _postgres_change if engine.dialect.name == "postgresql" else _sqlite_change
    with translated(engine.url), change(engine) as connection:
        yield connection


@contextlib.contextmanager
def _postgres_change(engine: Engine) -> Iterator[Connection]:
    """A transaction beside which no second upgrade runs."""
    with engine.begin() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise DatabaseError(
                f"{redacted(engine.url)}: its encoding is {encoding}; make it with"
                " createdb --encoding=UTF8 --template=template0"
            )
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        yield connection


@contextlib.contextmanager
def _sqlite_change(engine: Engine) -> Iterator[Connection]:
    """A transaction without foreign keys, which are checked at its end.

    A change of a table means a new table and a DROP of the old one on SQLite, and that would take
    along every row that refers to it.
    """
    with engine.connect() as connection:
        # The switch works outside of a transaction only, and `execute` would begin one.
        _pragma(connection, "foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise DatabaseError(
                        f"{redacted(engine.url)}: rows refer to others that are not there"
                    )
        finally:
            _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, setting: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _find(url: sa.URL) -> Found:
    if is_missing(url):
        return Found(State.MISSING)
    engine = _reader(url)
    try:
        return look(engine)
    finally:
        engine.dispose()


def _reader(url: sa.URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return sqlite_reader(url)
    return postgres(url, read_only=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"{folder}: the folder cannot be made: {error.strerror}") from error
