"""What a page shows, whether it comes from a database or from a file just read."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from crawler.model import Decoded, Outcome, Problem
from crawler.store.schema.fields import FIELDS

#: The columns of `loras` that a header alone can fill, in their public order.
HEADER_FIELDS = tuple(each for each in FIELDS if each.group != "what it is")


@dataclass(frozen=True, slots=True)
class Usual:
    """What LoRAs of one base model have in one field.

    Attributes:
        count: How many have it.
        percentiles: As in `field_stats`; empty when they are not known.
    """

    count: int
    quartile1: float
    median: float
    quartile3: float
    percentiles: Sequence[float] = ()

    def rank(self, value: float) -> int | None:
        """How many of a hundred have less, and half of those that have the same; None if unknown."""
        if not self.percentiles:
            return None
        less, not_more = bisect_left(self.percentiles, value), bisect_right(self.percentiles, value)
        return round(50 * (less + not_more) / len(self.percentiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One LoRA.

    Attributes:
        title: What stands above the page.
        row: Columns of `loras` by name; those that are missing are unknown, like None.
        datasets: Rows of the table of that name, by column.
        directories: The same.
        tags: Directory name -> tag -> count.
        usual: By field, of the LoRAs of `compared_with`; empty without a database.
        compared_with: A base model as the site names it.
        compared_files: How many files of it there are, whatever they say.
    """

    title: str
    row: Mapping[str, Any]
    datasets: Sequence[Mapping[str, Any]] = ()
    directories: Sequence[Mapping[str, Any]] = ()
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    usual: Mapping[str, Usual] = field(default_factory=dict)
    compared_with: str = ""
    compared_files: int = 0

    def __getitem__(self, name: str) -> Any:
        """The column of that name, None when it is unknown."""
        return self.row.get(name)


def columns_of(decoded: Decoded | None) -> dict[str, Any]:
    """Every column that a header can fill, by name and in public order; all None without a header."""
    values: dict[str, Any] = {}
    for each in HEADER_FIELDS:
        part = None
        if decoded is not None:
            part = decoded.weights if each.group == "tensors" else decoded.recipe
        values[each.name] = getattr(part, each.name, None)
    return values


def sheet_of(
    title: str, decoded: Decoded | None, *, outcome: Outcome, reason: str, **known: object
) -> Sheet:
    """The page of a header that was just read.

    Args:
        title: How the file was named.
        decoded: None when there is no sound header.
        outcome: How reading it ended.
        reason: The same in words.
        known: Further columns, such as `size_bytes`.
    """
    row = {**known, "outcome": outcome.value, "reason": reason, **columns_of(decoded)}
    if decoded is None:
        return Sheet(title=title, row=row)
    return Sheet(
        title=title,
        row=row,
        datasets=[asdict(each) for each in decoded.datasets],
        directories=[asdict(each) for each in decoded.directories],
        tags=decoded.tags,
        problems=decoded.problems,
    )
