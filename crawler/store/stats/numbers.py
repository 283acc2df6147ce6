"""The numbers in columns, by group, as arrays in ascending order.

One scan reads several columns. Neither database is asked to sort or to rank: SQLite would sort a million
rows for each column, and for PostgreSQL the same holds of percentiles. Sorting an array takes a tenth of
that, and gives the same figures on both.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

#: Whole numbers or floats in ascending order.
Numbers = npt.NDArray[Any]

#: The numbers of each column, by the column's name and the group.
Grouped = Mapping[str, dict[Any, Numbers]]

Quartiles = tuple[float, float, float]

#: Rows fetched at a time. Five times as many no longer fit a processor's cache, which takes half as long
#: again.
_FETCH_ROWS = 250


def numbers_by_group(
    connection: sa.Connection,
    group: sa.ColumnElement[Any],
    columns: Sequence[sa.Column[Any]],
    where: sa.ColumnElement[bool],
) -> Iterator[tuple[str, dict[Any, Numbers]]]:
    """Each column and its numbers by group, without NULL; a group without any is left out.

    A column that was taken is forgotten, so that only one is there twice.

    Args:
        connection: To read from.
        group: A value or NULL for every row.
        columns: Of whole numbers or floats.
        where: The condition that selects the rows.
    """
    read = _from_sqlite if connection.dialect.name == "sqlite" else _from_postgres
    for name, groups in read(connection, group, columns, where):
        yield name, {group: _ascending(values) for group, values in groups.items() if len(values)}


def _from_sqlite(
    connection: sa.Connection,
    group: sa.ColumnElement[Any],
    columns: Sequence[sa.Column[Any]],
    where: sa.ColumnElement[bool],
) -> Iterator[tuple[str, dict[Any, Numbers]]]:
    group_numbers: dict[Any, int] = {}
    found = [(array("i"), array("q" if _is_whole(column) else "d")) for column in columns]
    has_one = sa.or_(*(column.is_not(None) for column in columns))
    result = connection.execute(sa.select(group, *columns).where(where, has_one))
    # The driver's own rows: SQLAlchemy would make an object of each.
    while rows := result.cursor.fetchmany(_FETCH_ROWS):
        of, *together = zip(*rows, strict=True)
        numbers = [group_numbers.setdefault(one, len(group_numbers)) for one in of]
        for column, (groups, values) in zip(together, found, strict=True):
            if None in column:
                known = [value is not None for value in column]
                groups.extend(compress(numbers, known))
                values.extend(compress(column, known))
            else:
                groups.extend(numbers)
                values.extend(column)
    result.close()
    for name in [column.name for column in columns]:
        of_rows, numbered = (np.asarray(each) for each in found.pop(0))
        yield name, {one: numbered[of_rows == number] for one, number in group_numbers.items()}


def _from_postgres(
    connection: sa.Connection,
    group: sa.ColumnElement[Any],
    columns: Sequence[sa.Column[Any]],
    where: sa.ColumnElement[bool],
) -> Iterator[tuple[str, dict[Any, Numbers]]]:
    """One row for each group, with the numbers of a column in one piece, eight bytes each."""
    packed = [
        sa.func.string_agg(
            (sa.func.int8send if _is_whole(column) else sa.func.float8send)(column),
            sa.literal(b"", sa.LargeBinary()),
            type_=sa.LargeBinary(),
        )
        for column in columns
    ]
    labelled = group.label("of")
    statement = sa.select(labelled, *packed).where(where).group_by(labelled)
    found: dict[str, dict[Any, Numbers]] = {column.name: {} for column in columns}
    for of, *pieces in connection.execute(statement):
        for column, piece in zip(columns, pieces, strict=True):
            numbers = np.frombuffer(piece or b"", ">i8" if _is_whole(column) else ">f8")
            found[column.name][of] = numbers.astype(numbers.dtype.newbyteorder("="))
    yield from found.items()


def _is_whole(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Integer)


def _ascending(values: Numbers) -> Numbers:
    # Adding 0 makes -0.0 the same as 0.0, whose order would depend on the database.
    return np.sort(values + 0)


def together(groups: Mapping[Any, Numbers]) -> Numbers:
    """The numbers of all groups."""
    return np.sort(np.concatenate([np.zeros(0, np.int64), *groups.values()]))


def quartiles(values: Sequence[float] | Numbers) -> Quartiles:
    """The quartiles of numbers in ascending order, at least one, by linear interpolation."""
    last = len(values) - 1
    return _between(values, last / 4), _between(values, last / 2), _between(values, last * 3 / 4)


def percentiles(values: Numbers) -> list[float]:
    """The numbers nearest to 0%, 1% … 100% of numbers in ascending order, at least one."""
    found: list[float] = values[((len(values) - 1) * np.arange(101) + 50) // 100].tolist()
    return found


def _between(values: Sequence[float] | Numbers, position: float) -> float:
    at = int(position)
    share = position - at
    low = float(values[at])
    if not share:
        return low
    high = float(values[at + 1])
    if isfinite(high - low):
        return low + (high - low) * share
    return low * (1 - share) + high * share
