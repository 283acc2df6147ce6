"""One import as it runs: the rows of its source, checked, and the database that takes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from crawler.decode.tensors.facts import KnownLists
from crawler.share.source import Source
from crawler.share.values import Field, UnfitError, read_row
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.connect.transactions import in_transaction
from crawler.store.write.merged import Merged
from crawler.sync.progress import ImportTally

#: Rows in one transaction.
_BATCH = 500

#: Tables whose rows may be long, so that a batch of the source is one here.
_LONG = frozenset({"old_headers"})

_T = TypeVar("_T")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """The shared state of one import.

    Attributes:
        latest: The versions that the source saw last.
        unread: The files whose header it has and this database needs, with when it was fetched.
        lists: The facts of tensor lists.
        held: Some of the stored tensor lists by digest, compressed; None for a missing one.
    """

    engine: Engine
    source: Source
    tally: ImportTally
    going: Callable[[], bool]
    clock: Callable[[], datetime]
    origin: str
    fields: Mapping[str, Mapping[str, Field]]
    max_header: int
    latest: set[int] = field(default_factory=set)
    unread: dict[int, datetime] = field(default_factory=dict)
    lists: KnownLists = field(default_factory=KnownLists)
    held: dict[bytes, bytes | None] = field(default_factory=dict)

    def goes(self) -> bool:
        """Whether to go on; asked after each batch."""
        self.tally.stopping = self.tally.stopping or not self.going()
        return not self.tally.stopping

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """The result of `work`, which runs in a transaction of its own."""
        return in_transaction(self.engine, work)

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """The result of `work`, which only reads."""
        with translated(self.engine.url), self.engine.connect() as connection:
            return work(connection)

    def batches(self, table: str) -> Iterator[list[Row]]:
        """The usable rows of a table in batches; the others are told. Stops when the run must stop."""
        columns = {name: one.column for name, one in self.fields[table].items()}
        batch: list[Row] = []
        for part in self.source.rows(table, columns):
            batch += self.checked(table, part)
            if table in _LONG:
                yield batch
                batch = []
            while len(batch) >= _BATCH:
                yield batch[:_BATCH]
                batch = batch[_BATCH:]
            self.tally.done += len(part)
            if not self.goes():
                return
        if batch:
            yield batch

    def checked(self, table: str, rows: Sequence[Sequence[Any]]) -> Iterator[Row]:
        """The rows whose values can all be stored, without those of files of another machine."""
        for raw in rows:
            if isinstance(raw[0], int) and raw[0] < 0:
                continue
            try:
                yield read_row(self.fields[table], raw)
            except UnfitError as error:
                key = raw[0].hex()[:16] if isinstance(raw[0], bytes) else raw[0]
                self.tally.add_troubles([f"{table} {key}: {error}"])

    def distinct(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """The rows without a second one of the same id."""
        key = next(iter(self.fields[table]))
        found: dict[int, Row] = {}
        for row in rows:
            if found.setdefault(row[key], row) is not row:
                self.tally.add_troubles([f"{table} {row[key]}: there is another row with this id"])
        return list(found.values())

    def merge(self, table: str, merge: Callable[[Connection, Sequence[Row]], Merged]) -> bool:
        """Merge the rows of a table, a transaction for each batch; returns whether all were read."""
        for rows in self.batches(table):
            merged = self.write(partial(_merged, merge, rows))
            self.tally.new[table] += merged.new
            self.tally.changed[table] += merged.changed
            self.tally.add_troubles(
                f"{table} {key}: what it belongs to is not there" for key in merged.orphans
            )
        return not self.tally.stopping


def _merged(
    merge: Callable[[Connection, Sequence[Row]], Merged], rows: Sequence[Row], db: Connection
) -> Merged:
    return merge(db, rows)
