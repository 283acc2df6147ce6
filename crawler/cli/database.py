"""The database that `--db` names, opened to read."""

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crawler.settings import default_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine


def place(db: str | None) -> str:
    """The database that `--db` names, else the default one in the user's data directory."""
    return db or str(default_database())


@contextmanager
def read_engine(db: str | None) -> "Iterator[Engine]":
    """An engine that cannot change the database; disposed of after the block.

    Raises:
        UsageError: `db` names no database.
        DatabaseError: The database is missing, old, newer or foreign.
    """
    from crawler.store.connect.database import open_for_reading

    engine = open_for_reading(place(db))
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def read_connection(db: str | None) -> "Iterator[Connection]":
    """A connection of `read_engine`; errors of the driver become errors of ours."""
    from crawler.store.connect.db_errors import translated

    with read_engine(db) as engine, translated(engine.url), engine.connect() as connection:
        yield connection


def db_option(where: str) -> str:
    """The option, with a blank before it, that makes another command use this database.

    Empty for the default database, and for a URL with a password, which is never printed.
    """
    from crawler.store.connect.url import redacted

    shown = redacted(where)
    return "" if where == place(None) or shown != where else f" --db {shlex.quote(shown)}"
