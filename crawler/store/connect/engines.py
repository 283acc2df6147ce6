"""Engines for both databases, set up to behave alike."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model.int64 import INT64
from crawler.store.connect.sqlite_files import open_to_read
from crawler.store.connect.url import redacted

#: Seconds that a statement waits for another program's transaction. A sync stores a page or a batch
#: in well under one second; only a migration takes longer.
BUSY_TIMEOUT = 30

#: Seconds that connecting to PostgreSQL may take.
CONNECT_TIMEOUT = 10

#: Bytes of a page of a new SQLite file. Rows of `headers` are often longer than half of SQLite's usual
#: 4,096 bytes, so that each would leave the rest of its page empty. Pages of 16,384 bytes make a small
#: file larger, since each table and index leaves one half empty.
PAGE_BYTES = 8192


def sqlite_reader(url: sa.URL) -> sa.Engine:
    """An engine that cannot change the database file."""
    path = str(url.database)
    engine = _engine(url, creator=lambda: open_to_read(path, timeout=BUSY_TIMEOUT))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A command reads everything from one snapshot.
        connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_writer(url: sa.URL) -> sa.Engine:
    """An engine whose transactions take the write lock when they begin.

    Otherwise a transaction could fail half-way because another program wrote in between.
    """
    engine = _engine(url, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver would run DDL outside of transactions. BEGIN is sent below instead.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        # For a new file, and for VACUUM of one that is not in WAL mode.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        # With WAL, readers are not blocked while a sync writes. NORMAL may lose the last
        # transactions in a power cut; the next sync fetches those files again.
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
    arguments = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "lora-crawl"}
    ours = {name: value for name, value in arguments.items() if name not in url.query}
    try:
        engine = _engine(url, connect_args=ours, pool_pre_ping=True)
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
        json_serializer=json_text,
        json_deserializer=json_value,
        # Keeps the metadata of files out of the text of exceptions.
        hide_parameters=True,
        **options,
    )


def json_text(value: object) -> str:
    """JSON as readable UTF-8. Any mapping becomes an object.

    Raises:
        ValueError: A number is not finite. PostgreSQL would refuse it too.
    """
    return _ENCODER.encode(value)


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


#: Made once: `json.dumps` makes another one for every value.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text; a whole number beyond 64 bits is a float."""
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    """PostgreSQL writes 1e300 with all its digits: beyond 64 bits the number was a float."""
    number = int(digits)
    return number if number in INT64 else float(digits)
