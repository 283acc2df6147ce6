"""Counts, quartiles and histograms of fields, of all files or of groups side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.answers.settings import bin_label, statistic
from crawler.answers.text import cell, count, is_number, number, share
from crawler.insight.distribution import Bin, Groups, Part, Summary, group_of, groups, summaries
from crawler.query.fields import Field, Kind, counted, single_group
from crawler.query.tree import Node
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.value_counts import Grouping, Population

#: The fields by default: how LoRAs were trained, and how much work it was.
MAIN = (
    *("base_model", "trainer", "network_dim", "optimizer", "effective_unet_lr", "resolution"),
    *("image_count", "images_seen", "megapixels_seen", "training_seconds"),
)

#: The fields by default of groups, where every field is a table.
MAIN_GROUPED = ("network_dim", "images_seen", "megapixels_seen", "training_seconds")

#: The name that a grouping may have besides those of fields: the month of publication.
MONTH = "month"

#: The columns of a row, after the field and its group.
_COLUMNS = (
    *("files", "headers_read", "no_metadata", "count"),
    *("minimum", "quartile1", "median", "quartile3", "maximum", "histogram"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted.

    Attributes:
        fields: Neither lists nor objects.
        by: What the files are grouped by; None for no groups.
        name: The name of the grouping; None for no groups.
        most: Most groups of a text, 0 for all.
    """

    fields: Sequence[Field]
    by: Field | None
    name: str | None
    most: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of fields.

    Attributes:
        asked: What is counted.
        groups: The groups, a single one where none are asked for.
        summaries: Each field in every group, read from the database as they are needed.
    """

    asked: Asked
    groups: Groups
    summaries: Iterator[Summary]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the cells of `rows`."""
        group = () if self.asked.name is None else (self.asked.name,)
        return ("field", *group, *_COLUMNS)

    def rows(self) -> Iterator[list[Any]]:
        """The cells of each field in each group, read from the database as they come."""
        return (self._row(one, part) for one in self.summaries for part in one.parts)

    def remark(self) -> str:
        """How many groups are left out; empty if none are."""
        if not (left_out := self.groups.left_out):
            return ""
        most = self.asked.most
        return (
            f"the {number(most)} most common of {count(left_out + most, 'group')};"
            f" {count(self.groups.files, 'file')} in the others"
        )

    def _row(self, summary: Summary, part: Part) -> list[Any]:
        population, spread = part.population, part.spread
        by = self.groups.by
        group = [] if by is None else [group_of(by, population)]
        group = [_range(one) if isinstance(one, Bin) else one for one in group]
        counts = (population.files, population.read, population.no_metadata, part.count)
        numbers: tuple[float | None, ...] = (None,) * 5
        if spread is not None:
            quartiles = (spread.quartile1, spread.median, spread.quartile3)
            numbers = (spread.minimum, *quartiles, spread.maximum)
        histogram = [
            {"value": one.low, "count": one.count}
            if one.low is not None and one.low == one.high
            else {**_range(one), "count": one.count}
            for one in part.bins
        ] or [{"value": value, "count": amount} for value, amount in part.values]
        return [summary.field.name, *group, *counts, *numbers, histogram]


def group_text(by: Grouping, population: Population) -> str:
    """The value of a group as text; empty for files without one."""
    group = group_of(by, population)
    if isinstance(group, Bin):
        return bin_label(by.field, group)
    if is_number(group):
        return statistic(by.field, float(group))
    return "" if group is None else value_text(group)


def common(field: Field, part: Part, most: int) -> str:
    """The most common values of a group with their shares, or the range of its times."""
    if field.kind is Kind.TIME:
        ends = [part.values[0][0], part.values[-1][0]] if part.values else []
        return " to ".join(dict.fromkeys(ends))
    return ", ".join(
        f"{value_text(value)} {share(amount / part.count)}" for value, amount in part.values[:most]
    )


def value_text(value: Any) -> str:
    """A value of a field as text, of an object as `key=value`."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            pairs = (
                (key, cell(one) if one is True or one is False else value_text(one))
                for key, one in value.items()
            )
            return ", ".join(f"{key}={shown}" for key, shown in pairs)
        case int() | float():
            return number(value)
    return cell(value)


def asked_stats(names: Sequence[str], by: str | None = None, *, most: int = 20) -> Asked:
    """What is counted, from names.

    Args:
        names: Fields; none for the main settings.
        by: The field that files are grouped by (numbers in bins, times by month), or MONTH for the month of
            publication; None for no groups.
        most: Most groups of a text, 0 for all.

    Raises:
        QueryError: A name is unknown or repeated, or has no statistics.
    """
    fields = counted(",".join(names or (MAIN if by is None else MAIN_GROUPED)), BY_NAME)
    if by is None:
        return Asked(fields, None, None, most)
    if by == MONTH:
        return Asked(fields, BY_NAME["published_at"], MONTH, most)
    grouping = single_group(by, BY_NAME)
    return Asked(fields, grouping, grouping.name, most)


def statistics(connection: Connection, asked: Asked, tree: Node | None) -> Statistics:
    """The statistics of the files for which `tree` is true."""
    found = groups(connection, tree, asked.by, most=asked.most)
    return Statistics(asked, found, summaries(connection, asked.fields, tree, found))


def _range(one: Bin) -> dict[str, float | None]:
    return {"from": one.low, "below": one.high}
