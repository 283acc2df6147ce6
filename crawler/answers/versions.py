"""Every version of a model, and what changed from one to the next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.answers.text import day
from crawler.insight.diff import Compared, Side, compare, differences
from crawler.model.outcome import READ
from crawler.store.connect.database import Connection
from crawler.store.read.loras import find_file, versions_of

#: The columns of `loras` that describe a version, before `changed`.
_COLUMNS = (
    *("version_id", "version_name", "published_at", "base_model", "file_id", "file_name"),
    "outcome",
)

#: The names of the cells of a version.
COLUMNS = (*_COLUMNS, "changed")

#: The settings that are shown of the first version.
MAIN = (
    *("network_algo", "network_dim", "network_alpha", "effective_unet_lr"),
    *("effective_text_encoder_lr", "optimizer", "lr_scheduler", "steps", "image_count"),
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model, represented by one of its files.

    Attributes:
        row: The columns of the file.
        changes: What changed since the version before it that was read; None for the first one that
            was read, and for those that were not read.
    """

    row: Row
    changes: Sequence[Compared] | None

    @property
    def title(self) -> str:
        """Its name, day, base model and file."""
        row = self.row
        published = row["published_at"]
        parts = (
            row["version_name"] or f"version {row['version_id']}",
            None if published is None else day(published),
            row["base_model"],
            f"file {row['file_id']}",
        )
        return " · ".join(filter(None, parts))

    def cells(self) -> tuple[Any, ...]:
        """In the order of COLUMNS; `changed` is setting -> the value before and now."""
        changed = None
        if self.changes is not None:
            changed = {one.name: list(one.values) for one in self.changes}
        return (*(self.row[name] for name in _COLUMNS), changed)


def versions(connection: Connection, ref: str) -> list[Version]:
    """The versions of the model that a reference names, in the order of time.

    Raises:
        UsageError: The reference matches nothing.
    """
    return list(_compared(versions_of(connection, find_file(connection, ref))))


def _compared(rows: Sequence[Row]) -> Iterator[Version]:
    before: Row | None = None
    for row in rows:
        if row["outcome"] not in READ:
            yield Version(row, None)
            continue
        changes = before and differences(compare((Side(row=before), Side(row=row))))
        yield Version(row, changes or (None if before is None else ()))
        before = row
