"""Another lora-crawl database as a source."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.errors import DatabaseError
from crawler.share.source import About, Column, Wanted
from crawler.store.connect.database import Connection, State, identity, open_for_reading, state
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import redacted
from crawler.store.read.raw_rows import count_rows, raw_rows
from crawler.store.read.shared import one_snapshot
from crawler.store.write.crawls import filled_from


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """A database.

    Attributes:
        about: What it is.
    """

    about: About
    _connection: Connection

    def rows(
        self, table: str, columns: Mapping[str, Column], wanted: Wanted | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a table; see `source.Source`."""
        with translated(self._connection.engine.url):
            sizes = {name: column.most for name, column in columns.items()}
            yield from raw_rows(self._connection, table, sizes, wanted)


@contextlib.contextmanager
def open_database(where: str, needed: Collection[str]) -> Iterator[DatabaseSource]:
    """A database that is read from one snapshot, while the block lasts.

    Args:
        where: A path or a URL.
        needed: The tables that are read.

    Raises:
        UsageError: `where` is not the name of a database.
        DatabaseError: It is missing or not current. The message says which command to run.
    """
    if state(where) is State.MISSING:
        raise DatabaseError(f"{redacted(where)}: there is neither a folder nor a database")
    engine = open_for_reading(where)
    try:
        with translated(engine.url), one_snapshot(engine) as connection:
            about = About(
                place=redacted(where),
                origin=filled_from(connection),
                rows=count_rows(connection, needed),
                identity=identity(connection),
            )
            yield DatabaseSource(about, connection)
    finally:
        engine.dispose()
