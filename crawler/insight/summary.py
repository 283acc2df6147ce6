"""One field of the rows that a condition picks, group by group."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.insight.distribution import Bin, Scale, Spread, bins, pooled, scale, spread
from crawler.query.fields import Field, Kind
from crawler.query.tree import Node
from crawler.store.connect.database import Connection
from crawler.store.stats.value_counts import Group, Population, commonest, populations, tally

#: Values told of a field that is no number.
MAX_VALUES = 10

#: From more months than these on, times are counted by years.
_MAX_MONTHS = 24

#: Characters of a month, as `2025-01`, that are its year.
_YEAR = 4

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})


@dataclass(frozen=True, slots=True)
class Part:
    """One group.

    Attributes:
        population: Its rows.
        count: Of these, rows that have the field: what all the rest rests on.
        spread: Of numbers; None where there is none, and for other fields.
        bins: Of numbers, on the scale of the summary.
        values: Of texts and truth values, the commonest with the rows that have them, at most
            MAX_VALUES; of times, every month or year in order.
        distinct: Different values, of which `values` may show a part; 0 for numbers.
    """

    population: Population
    count: int
    spread: Spread | None = None
    bins: tuple[Bin, ...] = ()
    values: tuple[tuple[Any, int], ...] = ()
    distinct: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A field in all groups.

    Attributes:
        scale: Of the bins of every group; None for what is no number.
        parts: Base models by the number of their files, months in order; rows without any last.
    """

    field: Field
    scale: Scale | None
    parts: tuple[Part, ...]


def groups(connection: Connection, tree: Node | None, by: Group | None) -> tuple[Population, ...]:
    """The groups of the rows for which `tree` holds, in the order in which they are shown."""
    found = populations(connection, tree, by)
    if by == "month":
        return tuple(sorted(found, key=lambda one: (one.group is None, one.group or "")))
    return tuple(sorted(found, key=lambda one: (one.group is None, -one.files, one.group or "")))


def summary(
    connection: Connection,
    field: Field,
    tree: Node | None,
    by: Group | None,
    among: Sequence[Population],
) -> Summary:
    """A field in every group.

    Args:
        connection: To read from.
        field: Neither a list nor an object.
        tree: What must hold of the rows; None for all of them.
        by: How they are grouped.
        among: The same rows, as `groups` has them.
    """
    if field.kind in _NUMBERS:
        return _numbers(connection, field, tree, by, among)
    if field.kind is Kind.TIME:
        return _times(connection, field, tree, by, among)
    found = defaultdict(list)
    for one in commonest(connection, field, tree, by, most=MAX_VALUES):
        found[one.group].append(one)
    parts = []
    for population in among:
        listed = found[population.group]
        total, distinct = (listed[0].total, listed[0].distinct) if listed else (0, 0)
        values = tuple((one.value, one.count) for one in listed)
        parts.append(Part(population, total, values=values, distinct=distinct))
    return Summary(field, None, tuple(parts))


def _numbers(
    connection: Connection,
    field: Field,
    tree: Node | None,
    by: Group | None,
    among: Sequence[Population],
) -> Summary:
    with tally(connection, field, tree, by) as rows:
        found = _by_group(rows)
    on = scale(pooled(found.values()), clock=field.unit == "s")
    parts = []
    for population in among:
        counted = found[population.group]
        parts.append(Part(population, sum(counted.values()), spread(counted), bins(counted, on)))
    return Summary(field, on, tuple(parts))


def _times(
    connection: Connection,
    field: Field,
    tree: Node | None,
    by: Group | None,
    among: Sequence[Population],
) -> Summary:
    with tally(connection, field, tree, by) as rows:
        found = _by_group(rows)
    if len(pooled(found.values())) > _MAX_MONTHS:
        found = _by_group(
            (group, month[:_YEAR], number)
            for group, counted in found.items()
            for month, number in counted.items()
        )
    parts = []
    for population in among:
        counted = found[population.group]
        values = tuple(sorted(counted.items()))
        parts.append(Part(population, sum(counted.values()), values=values, distinct=len(values)))
    return Summary(field, None, tuple(parts))


def _by_group(
    rows: Iterable[tuple[str | None, Any, int]],
) -> defaultdict[str | None, dict[Any, int]]:
    found: defaultdict[str | None, dict[Any, int]] = defaultdict(dict)
    for group, value, number in rows:
        found[group][value] = found[group].get(value, 0) + number
    return found
