"""`field_stats`: for each base model and each field, how many rows have it, and its quartiles."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from math import isfinite

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.query.field import Kind
from crawler.store.fields import FIELDS
from crawler.store.tables import field_stats, loras

#: The base model under which all of them together stand.
ALL = ""

#: Columns read in one scan: at a million files their values take 80 MB.
COLUMNS_PER_SCAN = 10

#: Rows fetched at a time.
FETCH_ROWS = 5_000

#: Numbers that name something: nobody asks for their median.
_NAMES = frozenset({"file_id", "version_id", "model_id", "nsfw_level", "seed"})

_MEASURED = tuple(
    field.name
    for field in FIELDS
    if field.kind in {Kind.INTEGER, Kind.NUMBER} and field.name not in _NAMES
)

#: The files whose headers were read.
_READ = (Outcome.DECODED, Outcome.NO_METADATA)

Quartiles = tuple[float, float, float]


def refresh_statistics(connection: sa.Connection) -> None:
    """Make `field_stats` anew, in the caller's transaction.

    Counts are of all rows: the count of `file_id` is the number of files. Quartiles are of the files
    whose headers were read, and are computed here, so that both databases give the same. Rows
    without a base model count among ALL only.
    """
    measured: dict[tuple[str, str], Quartiles] = {}
    for start in range(0, len(_MEASURED), COLUMNS_PER_SCAN):
        measured |= _scan(connection, _MEASURED[start : start + COLUMNS_PER_SCAN])
    rows = []
    for (base_model, field), count in _counts(connection).items():
        quartile1, median, quartile3 = measured.get((base_model, field), (None, None, None))
        rows.append(
            {
                "base_model": base_model,
                "field": field,
                "count": count,
                "quartile1": quartile1,
                "median": median,
                "quartile3": quartile3,
            }
        )
    connection.execute(sa.delete(field_stats))
    if rows:
        connection.execute(sa.insert(field_stats), rows)


def quartiles(values: Sequence[float]) -> Quartiles:
    """The quartiles of numbers in ascending order, at least one, by linear interpolation."""
    last = len(values) - 1
    return _between(values, last / 4), _between(values, last / 2), _between(values, last * 3 / 4)


def _between(values: Sequence[float], position: float) -> float:
    low = int(position)
    share = position - low
    if not share:
        return values[low]
    distance = values[low + 1] - values[low]
    if isfinite(distance):
        return values[low] + distance * share
    return values[low] * (1 - share) + values[low + 1] * share


def _counts(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """By base model and field, how many rows have it; fields that none has are left out."""
    counted = [sa.func.count(loras.c[field.name]) for field in FIELDS]
    statement = sa.select(loras.c.base_model, *counted).group_by(loras.c.base_model)
    counts: dict[tuple[str, str], int] = {}
    for base_model, *numbers in connection.execute(statement):
        for field, number in zip(FIELDS, numbers, strict=True):
            for group in _groups(base_model):
                if number:
                    counts[group, field.name] = counts.get((group, field.name), 0) + number
    return counts


def _scan(
    connection: sa.Connection, names: Sequence[str]
) -> Iterator[tuple[tuple[str, str], Quartiles]]:
    """The quartiles of some columns, by base model and field."""
    columns = [loras.c[name] for name in names]
    statement = (
        sa.select(loras.c.base_model, *columns)
        .where(loras.c.outcome.in_(_READ), sa.or_(*(column.is_not(None) for column in columns)))
        .execution_options(yield_per=FETCH_ROWS)
    )
    values: dict[str, dict[str, array[float]]] = {name: {} for name in names}
    for base_model, *row in connection.execute(statement):
        for name, value in zip(names, row, strict=True):
            if value is not None:
                values[name].setdefault(base_model or ALL, array("d")).append(value)
    for name, by_base_model in values.items():
        ordered = {base_model: sorted(found) for base_model, found in by_base_model.items()}
        everything = sorted(chain.from_iterable(ordered.values()))
        if everything:
            yield (ALL, name), quartiles(everything)
        for base_model, found in ordered.items():
            if base_model != ALL:
                yield (base_model, name), quartiles(found)


def _groups(base_model: str | None) -> tuple[str, ...]:
    return (ALL, base_model) if base_model else (ALL,)
