"""The distribution of a field over many files: quartiles and a histogram, or the most frequent values.

`summaries` reads the database. The numbers of all groups share one scale, so that their histograms can
be compared. The functions in between are pure and also serve `suggest`.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from crawler.query.fields import SECONDS, Field, Kind
from crawler.query.tree import Node
from crawler.store.connect.database import Connection
from crawler.store.stats.numbers import Grouped, Numbers, quartiles, together
from crawler.store.stats.value_counts import (
    FrequentValue,
    Grouping,
    Population,
    months,
    most_frequent,
    numbers,
    populations,
)

#: Most bins between the two ends of a histogram, and most values with a bin each: several fields fit
#: on a screen.
MAX_BINS = 12

#: One row in this many, but at least one, is beyond each end of a histogram: a file that claims a rate
#: of 1e300 must not squeeze all others into one bin.
_BEYOND = 100

#: From this ratio of the two ends on, bins grow with the values; below it, they are equally wide.
_LOGARITHMIC = 50

#: The same for rates, times and amounts of images, whose ratios matter.
_LOGARITHMIC_RATES = 10

#: Steps within a power of ten, the finest first.
_STEPS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))

#: Round durations in seconds, from one second to thirty days.
CLOCK = (
    *(1, 2, 5, 10, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3_600 * hours for hours in (1, 2, 4, 8, 12)),
    *(86_400 * days for days in (1, 2, 5, 10, 30)),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Range and quartiles of at least one number; linear interpolation, as in `field_stats`."""

    count: int
    minimum: float
    quartile1: float
    median: float
    quartile3: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram.

    Attributes:
        low: The smallest value in it; None where it has no lower end.
        high: All values in it are smaller; None where it has no upper end. If it equals `low`, the bin
            is that one value.
        count: Number of rows.
    """

    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the bins of a histogram begin, the same for all groups that are compared.

    Attributes:
        starts: In ascending order; a bin ends where the next one begins, the last one has no end.
        exact: Each bin is one value, and there are no other values.
    """

    starts: tuple[float, ...]
    exact: bool = False


def spread(values: Numbers) -> Spread | None:
    """The range and quartiles of numbers in ascending order; None without numbers."""
    if not len(values):
        return None
    return Spread(len(values), values[0].item(), *quartiles(values), values[-1].item())


def scale(values: Numbers, field: Field) -> Scale:
    """Bins that fit the numbers: one for each value, equal steps, or growing steps.

    Args:
        values: Of all groups that are compared, in ascending order; may be empty.
        field: What the numbers measure.
    """
    firsts = np.flatnonzero(np.diff(values, prepend=np.nan))
    if len(firsts) <= MAX_BINS:
        return Scale(tuple(values[firsts].tolist()), exact=True)
    low, high = _ends(values)
    # A rate of 0 means that a part was not trained: it is below all growing bins.
    positive = values[np.searchsorted(values, 0, "right") :]
    clock = field.unit == SECONDS
    if low >= 0 and len(positive):
        above, _ = _ends(positive)
        if clock and above >= 1:
            return Scale(_thinned(_from_to(CLOCK, above, high)))
        is_rate = field.group == "rates" or field.unit == "images"
        if clock or high / above >= (_LOGARITHMIC_RATES if is_rate else _LOGARITHMIC):
            return Scale(_growing(above, high))
    return Scale(_equal(low, high))


def bins(values: Numbers, on: Scale) -> tuple[Bin, ...]:
    """The bins of one group, whose numbers are in ascending order.

    A bin below the first start is added only if it has values.
    """
    places = np.searchsorted(values, np.array(on.starts, float), "left")
    counts: list[int] = np.diff(places, prepend=0, append=len(values)).tolist()
    if on.exact:
        pairs = zip(on.starts, counts[1:], strict=True)
        return tuple(Bin(start, start, number) for start, number in pairs)
    lows, highs = (None, *on.starts), (*on.starts, None)
    found = [Bin(*one) for one in zip(lows, highs, counts, strict=True)]
    return tuple(found if counts[0] else found[1:])


def _ends(values: Numbers) -> tuple[float, float]:
    beyond = min(-(-len(values) // _BEYOND), (len(values) - 1) // 2)
    return values[beyond].item(), values[len(values) - 1 - beyond].item()


def _from_to(ladder: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """The steps between `low` and `high`, beginning with the largest step not above `low`."""
    first = max(bisect_right(ladder, low) - 1, 0)
    return tuple(ladder[first : max(bisect_right(ladder, high), first + 1)])


def _thinned(starts: Sequence[float]) -> tuple[float, ...]:
    return tuple(starts[:: -(-len(starts) // MAX_BINS)])


def _growing(low: float, high: float) -> tuple[float, ...]:
    """Round numbers that grow by about the same factor."""
    powers = range(math.floor(math.log10(low)) - 1, math.floor(math.log10(high)) + 1)
    for steps in _STEPS:
        ladder = [float(f"{step}e{power}") for power in powers for step in steps]
        starts = _from_to(ladder, low, high)
        if len(starts) <= MAX_BINS:
            return starts
    return _thinned(starts)


def _equal(low: float, high: float) -> tuple[float, ...]:
    """Multiples of a round number."""
    # Halve first: the difference of two 64-bit floats may be out of range.
    wanted = (high / 2 - low / 2) / MAX_BINS * 2
    if not math.isfinite(wanted) or wanted <= 0:
        return (low,)
    power = math.floor(math.log10(wanted))
    found: tuple[float, ...] = ()
    for step in (1, 2, 5, 10, 20):
        width = float(f"{step}e{power}")
        multiples = range(math.floor(low / width), math.floor(high / width) + 1)
        # Large numbers close together may round to the same start.
        starts = dict.fromkeys(float(f"{each * step}e{power}") for each in multiples)
        found = tuple(filter(math.isfinite, starts))
        if len(found) <= MAX_BINS:
            break
    return found


#: Most values that are listed of a field that is not a number.
MAX_VALUES = 10

#: With more months than this, times are counted by year.
_MAX_MONTHS = 24

#: Kinds whose values are all read; of the others only the most frequent values are.
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})

#: Fields of numbers that one scan reads. A million files have 8 MB of numbers in each.
_FIELDS_PER_SCAN = 9


@dataclass(frozen=True, slots=True)
class Part:
    """A field in one group.

    Attributes:
        population: The rows of the group.
        count: Rows of the group that have the field; the attributes below describe them.
        spread: For a number; None for other fields and without values.
        bins: For a number, on the scale of the summary.
        values: For a time, every month or year in order, with its number of rows. For a number nothing.
            For other fields the most frequent values, at most MAX_VALUES, as in `most_frequent`.
        distinct: Number of different values, including those not in `values`; 0 for numbers.
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
        scale: Of the bins of every group; None for a field that is not a number.
        parts: One for each group, in their order.
    """

    field: Field
    scale: Scale | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups that are shown.

    Attributes:
        by: How they are grouped; None for one group of all rows.
        among: In the order of their values, texts by number of files; rows without a value last.
        left_out: Number of further groups.
        files: Number of files in those.
    """

    by: Grouping | None
    among: tuple[Population, ...]
    left_out: int = 0
    files: int = 0


def groups(connection: Connection, tree: Node | None, by: Field | None, *, most: int = 0) -> Groups:
    """The groups of the rows for which `tree` is true.

    Numbers of many values are grouped by bins.

    Args:
        connection: To read from.
        tree: None for every row.
        by: Neither a list nor an object; None for one group of all rows.
        most: Most groups of a text, 0 for all.
    """
    if by is None:
        return Groups(None, populations(connection, tree, None).listed)
    is_text = by.kind is Kind.TEXT
    found = populations(connection, tree, Grouping(by), most=most if is_text else 0)
    known = [one for one in found.listed if one.group is not None]
    without = [one for one in found.listed if one.group is None]
    left_out = found.groups - len(known), found.files - sum(one.files for one in known)
    grouping = Grouping(by, only=tuple(one.group for one in known) if left_out[0] else None)
    if by.kind in _NUMBERS and len(known) > MAX_BINS:
        grouping, known = _binned(by, known)
    if by.kind in (Kind.TEXT, Kind.BOOLEAN):
        known.sort(key=lambda one: (-one.files, one.group))
    else:
        known.sort(key=lambda one: one.group)
    return Groups(grouping, (*known, *without), *left_out)


def _binned(by: Field, known: Sequence[Population]) -> tuple[Grouping, list[Population]]:
    """The bins of a number, with their populations, from those of each value."""
    known = sorted(known, key=lambda one: one.group)
    values = np.array([one.group for one in known])
    starts = scale(np.repeat(values, [one.files for one in known]), by).starts
    counts = np.array([(one.files, one.read, one.no_metadata) for one in known])
    places = np.searchsorted(np.array(starts, float), values, "right")
    groups = np.unique(places)
    sums = np.add.reduceat(counts, np.searchsorted(places, groups)).tolist()
    binned = [Population(group, *some) for group, some in zip(groups.tolist(), sums, strict=True)]
    return Grouping(by, starts), binned


def group_of(by: Grouping, population: Population) -> Any:
    """The value of a group: None without one, for a bin of numbers the Bin."""
    group = population.group
    if by.starts is None or group is None:
        return group
    low, high = (None, *by.starts, None)[group : group + 2]
    return Bin(low, high, population.files)


def summaries(
    connection: Connection,
    fields: Sequence[Field],
    tree: Node | None,
    found: Groups,
) -> Iterator[Summary]:
    """Each field in every group.

    Args:
        connection: To read from.
        fields: Of any kind.
        tree: Selects the rows; None for all.
        found: The groups of the same rows, from `groups`.
    """
    by, among = found.by, found.among
    unread = iter([one for one in fields if one.kind in _NUMBERS])
    read: Grouped = {}
    for field in fields:
        if field.kind in _NUMBERS:
            if field.name not in read:
                some = list(islice(unread, _FIELDS_PER_SCAN))
                read = numbers(connection, some, tree, by)
            yield _of_numbers(field, read[field.name], among)
        elif field.kind is Kind.TIME:
            yield _of_times(field, months(connection, field, tree, by), among)
        else:
            frequent = defaultdict(list)
            for one in most_frequent(connection, field, tree, by, most=MAX_VALUES):
                frequent[one.group].append(one)
            yield Summary(field, None, tuple(_frequent(one, frequent[one.group]) for one in among))


def with_wholes(
    connection: Connection, fields: Sequence[Field], tree: Node | None, found: Groups
) -> Iterator[tuple[Summary, Part]]:
    """Each field in every group, and over all rows: the same as `summaries` twice, from one scan.

    Args:
        connection: To read from.
        fields: Of numbers.
        tree: Selects the rows; None for all.
        found: The groups of the same rows, of which none is left out.
    """
    among = found.among
    counts = ((one.files, one.read, one.no_metadata) for one in among)
    whole = Population(None, *map(sum, zip((0, 0, 0), *counts, strict=True)))
    unread = iter(fields)
    while some := list(islice(unread, _FIELDS_PER_SCAN)):
        read = dict(numbers(connection, some, tree, found.by))
        for field in some:
            values = read.pop(field.name)
            of_all = _of_numbers(field, {None: together(values)}, (whole,))
            yield _of_numbers(field, values, among), of_all.parts[0]


def _of_numbers(field: Field, found: Mapping[Any, Numbers], among: Sequence[Population]) -> Summary:
    on = scale(together(found), field)
    parts = []
    for population in among:
        values = found.get(population.group, np.zeros(0))
        parts.append(Part(population, len(values), spread(values), bins(values, on)))
    return Summary(field, on, tuple(parts))


def _of_times(
    field: Field, found: Mapping[Any, Mapping[str, int]], among: Sequence[Population]
) -> Summary:
    by_year = len({month for counted in found.values() for month in counted}) > _MAX_MONTHS
    parts = []
    for population in among:
        counted: Counter[str] = Counter()
        for month, number in found.get(population.group, {}).items():
            counted[month.partition("-")[0] if by_year else month] += number
        values = tuple(sorted(counted.items()))
        parts.append(Part(population, counted.total(), values=values, distinct=len(values)))
    return Summary(field, None, tuple(parts))


def _frequent(population: Population, listed: Sequence[FrequentValue]) -> Part:
    total, distinct = (listed[0].total, listed[0].distinct) if listed else (0, 0)
    values = tuple((one.value, one.count) for one in listed)
    return Part(population, total, values=values, distinct=distinct)
