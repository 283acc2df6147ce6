"""What `import` reads: the form that an export and a database have in common."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

#: Chooses among the keys of the next rows.
Wanted = Callable[[Sequence[Any]], Collection[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is read.

    Attributes:
        kind: `integer`, `number`, `truth`, `bytes` (also of texts and JSON) or `time`.
        most: Longest value in bytes. Of a longer one only the length is read.
    """

    kind: str
    most: int = 0


@dataclass(frozen=True, slots=True)
class About:
    """What a source is.

    Attributes:
        place: Its name in messages, with the commit of a data set.
        origin: The URL of the API that its files were read from; None without any files.
        rows: How many rows each table has; empty when unknown.
        identity: As `database.identity`; empty for an export.
    """

    place: str
    origin: str | None
    rows: Mapping[str, int]
    identity: str = ""


class Source(Protocol):
    """Rows of another database. All values are as they were found, and may be of any type."""

    @property
    def about(self) -> About:
        """What it is."""

    def rows(
        self, table: str, columns: Mapping[str, Column], wanted: Wanted | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a table in batches of some megabytes.

        Texts are bytes in UTF-8 or texts, JSON is its text, times are microseconds since 1970 or ISO
        texts in UTC; a list stands for a value that is too long.

        Args:
            table: Its name.
            columns: What is read, by name; the first is the key.
            wanted: Called with the keys of rows that come; only rows with a key that it returns are
                read. None for all rows.

        Raises:
            DatabaseError: The source is damaged, or lacks a column.
            StoppedError: It cannot be reached now.
        """
