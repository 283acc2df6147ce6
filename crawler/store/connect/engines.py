"""Connections to both databases, set up so that they behave alike."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model.int64 import INT64
from crawler.store.connect.url import redacted

#: How long a statement waits for another program's transaction, in seconds. A sync stores a page
#: or a batch in well under one; only a migration takes longer.
BUSY_TIMEOUT = 30

#: How long PostgreSQL may take to let us in, in seconds.
CONNECT_TIMEOUT = 10

#: SQLite's errors for a database in WAL mode whose folder cannot be written.
_NO_WAL = ("SQLITE_READONLY", "SQLITE_CANTOPEN")


def sqlite_reader(url: sa.URL) -> sa.Engine:
    """An engine that cannot change the database file, whatever it is asked."""
    path = Path(str(url.database))
    engine = _engine(url, creator=lambda: _open_to_read(path))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # One snapshot for all that a command reads.
        connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_writer(url: sa.URL) -> sa.Engine:
    """An engine whose every transaction takes the write lock when it begins.

    So no transaction fails half-way because another program wrote in between.
    """
    engine = _engine(url, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own idea of transactions leaves DDL out of them: BEGIN is sent below.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        # Readers go on while a sync writes. NORMAL may lose the last transactions in a power cut,
        # never the order of them; what is lost is fetched again.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgres(url: sa.URL, *, read_only: bool) -> sa.Engine:
    """An engine on a PostgreSQL server.

    Raises:
        DatabaseError: The driver is not installed.
    """
    arguments: dict[str, Any] = {
        name: value
        for name, value in (
            ("connect_timeout", CONNECT_TIMEOUT),
            ("application_name", "lora-crawl"),
        )
        if name not in url.query
    }
    try:
        engine = _engine(url, connect_args=arguments, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"{redacted(url)}: PostgreSQL needs a driver; run: pip install 'lora-crawl[postgres]'"
        ) from error

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT * 1000)}")
        connection.autocommit = False
        connection.read_only = read_only

    return engine


def _engine(url: sa.URL, **options: Any) -> sa.Engine:
    return sa.create_engine(
        url,
        json_serializer=_json_text,
        json_deserializer=_json_value,
        # What a file's metadata says has no place in the text of an exception.
        hide_parameters=True,
        **options,
    )


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads.

    A database in WAL mode needs a shared-memory file beside it. Where that cannot be made, as on a
    read-only medium, nobody writes either, and the file is read as one that never changes.
    """
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_NO_WAL) or not path.is_file():
            raise
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            raise  # its last transactions stand in the other file and would be missed
        return _connect(path, "mode=ro&immutable=1")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{options}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _json_text(value: object) -> str:
    """Readable UTF-8; tuples and mappings of any class are arrays and objects.

    Raises:
        ValueError: A number is not finite, which PostgreSQL would refuse too.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _json_value(text: str | bytes) -> Any:
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    """PostgreSQL writes 1e300 in full: what no 64-bit integer can be was a float."""
    number = int(digits)
    return number if number in INT64 else float(digits)
