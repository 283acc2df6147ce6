"""The table `field_stats`: how many rows of each base model have each field, and its quartiles."""

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import isfinite
from typing import Any

import sqlalchemy as sa

from crawler.model.outcome import READ
from crawler.query.fields import Kind
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import ALL, field_stats, loras

#: Numbers held in memory at a time; 8 bytes each make 160 MB. One scan reads as many columns as have no
#: more values together, but at least one.
VALUES_PER_SCAN = 20_000_000

#: Rows fetched at a time.
FETCH_ROWS = 5_000

#: Numbers that identify something: a median has no meaning.
_NAMES = frozenset({"file_id", "version_id", "model_id", "nsfw_level", "seed"})

_MEASURED = tuple(
    field.name
    for field in FIELDS
    if field.kind in {Kind.INTEGER, Kind.NUMBER} and field.name not in _NAMES
)

Quartiles = tuple[float, float, float]

#: The quartiles of a field, and its percentiles: the values at 0% to 100%.
Spread = tuple[Quartiles, tuple[float, ...]]


class Ranked(Sequence[float]):
    """Counted numbers, seen as the ascending list in which each value is repeated.

    The list is never built. Most settings take few different values, and counting a million of them is
    several times faster than sorting them.
    """

    def __init__(self, counted: Mapping[float, int]) -> None:
        self._values = sorted(counted)
        self._ends = list(accumulate(counted[value] for value in self._values))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> float:  # type: ignore[override]  # no slices
        return self._values[bisect_right(self._ends, index)]


def refresh_statistics(connection: sa.Connection) -> None:
    """Rewrite `field_stats`, in the caller's transaction.

    Counts are over all rows: the count of `file_id` is the number of files. Quartiles are over the files
    whose header was read, and are computed here so that both databases give the same. Rows without a
    base model count only in ALL.
    """
    counts = _counts(connection)
    spreads: dict[tuple[str, str], Spread] = {}
    filled = {name: counts[ALL, name] for name in _MEASURED if (ALL, name) in counts}
    for names in _portions(filled):
        for name, values in _scan(connection, names).items():
            spreads |= _spreads(name, values)
    rows = []
    for (base_model, field), count in counts.items():
        row = {"base_model": base_model, "field": field, "count": count}
        middle, percents = spreads.get((base_model, field), ((None, None, None), None))
        row |= zip(("quartile1", "median", "quartile3"), middle, strict=True)
        rows.append(row | {"percentiles": percents})
    connection.execute(sa.delete(field_stats))
    if rows:
        connection.execute(sa.insert(field_stats), rows)


def quartiles(values: Sequence[float]) -> Quartiles:
    """The quartiles of numbers in ascending order, at least one, by linear interpolation."""
    last = len(values) - 1
    return _between(values, last / 4), _between(values, last / 2), _between(values, last * 3 / 4)


def percentiles(values: Sequence[float]) -> tuple[float, ...]:
    """The numbers nearest to 0%, 1% … 100% of numbers in ascending order, at least one."""
    last = len(values) - 1
    return tuple(values[(last * percent + 50) // 100] for percent in range(101))


def _between(values: Sequence[float], position: float) -> float:
    at = int(position)
    share = position - at
    low = values[at]
    if not share:
        return low
    high = values[at + 1]
    if isfinite(high - low):
        return low + (high - low) * share
    return low * (1 - share) + high * share


def _counts(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """The number of rows that have each field, by base model and field; without zeros."""
    counted = [sa.func.count(loras.c[field.name]) for field in FIELDS]
    statement = sa.select(loras.c.base_model, *counted).group_by(loras.c.base_model)
    counts: Counter[tuple[str, str]] = Counter()
    for base_model, *numbers in connection.execute(statement):
        for field, number in zip(FIELDS, numbers, strict=True):
            for group in dict.fromkeys((ALL, base_model or ALL)):
                counts[group, field.name] += number
    return +counts


def _portions(filled: Mapping[str, int]) -> Iterator[list[str]]:
    """The columns of each scan, from the number of values of each column."""
    names: list[str] = []
    held = 0
    # Sparse columns share a scan, which can skip the rows that have none of them.
    for name, count in sorted(filled.items(), key=lambda each: each[1]):
        if names and held + count > VALUES_PER_SCAN:
            yield names
            names, held = [], 0
        names.append(name)
        held += count
    if names:
        yield names


def _scan(
    connection: sa.Connection, names: Sequence[str]
) -> Mapping[str, Mapping[str, "array[float]"]]:
    """The values of some columns, by column and base model; rows without one are under ALL."""
    columns = [loras.c[name] for name in names]
    statement = (
        sa.select(loras.c.base_model, *columns)
        .where(loras.c.outcome.in_(READ), sa.or_(*(column.is_not(None) for column in columns)))
        .execution_options(yield_per=FETCH_ROWS)
    )
    found: dict[str, defaultdict[str, array[float]]] = {
        name: defaultdict(lambda: array("d")) for name in names
    }
    for rows in connection.execute(statement).partitions():
        by_base_model: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in rows:
            by_base_model[row[0] or ALL].append(row)
        for base_model, together in by_base_model.items():
            for name, values in zip(names, list(zip(*together, strict=True))[1:], strict=True):
                found[name][base_model].extend([each for each in values if each is not None])
    return found


def _spreads(
    name: str, values: Mapping[str, "array[float]"]
) -> Iterator[tuple[tuple[str, str], Spread]]:
    """Count, quartiles and percentiles of columns, by base model (or ALL) and field."""
    everything: Counter[float] = Counter()
    for base_model, some in values.items():
        counted = Counter(some)
        if base_model != ALL and counted:
            yield (base_model, name), _spread(Ranked(counted))
        everything.update(counted)
    if everything:
        yield (ALL, name), _spread(Ranked(everything))


def _spread(values: Ranked) -> Spread:
    return quartiles(values), percentiles(values)
