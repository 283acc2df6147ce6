"""Groups of rows by the values of some fields, with their size and the medians of other fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crawler.query.fields import Kind
from crawler.store.read.columns import MAX_LABEL, column_of, ordered_by
from crawler.store.schema.tables import loras

Element = sa.ColumnElement[Any]


def grouped(
    names: Sequence[str],
    medians: Sequence[str],
    where: Sequence[sa.ColumnElement[bool]],
    dialect: str,
) -> sa.Select[Any]:
    """A row for each combination of values of the fields `names`, the most frequent first.

    It has the values, the number of rows, their share of all rows, and the median of each of the fields
    `medians`: the mean of the one or two values in the middle.
    """
    keys = {f"key{at}": column_of(name, Kind.VALUE, dialect) for at, name in enumerate(names)}
    orders = [ordered_by(name, dialect) for name in names if "." in name]
    numbers: list[Any] = [
        sa.cast(column_of(name, Kind.NUMBER, dialect), sa.Double()).label(f"number{at}")
        for at, name in enumerate(medians)
    ]
    order = {f"order{at}": one for at, one in enumerate(sum(orders, ()))}
    rows = sa.select(*_labelled(keys), *_labelled(order), *numbers).select_from(loras)
    matching = rows.where(*where).subquery("matching")
    by = [matching.c[label] for label in keys]
    places: dict[str, Element] = {}
    for at in range(len(medians)):
        number = matching.c[f"number{at}"]
        ascending = number.asc().nulls_last()
        places[f"place{at}"] = sa.func.row_number().over(partition_by=by, order_by=ascending)
        places[f"known{at}"] = sa.func.count(number).over(partition_by=by)
    ranked = sa.select(matching, *_labelled(places)).subquery("ranked").c
    count = sa.func.count()
    shown = {
        **{name: ranked[label] for name, label in zip(names, keys, strict=True)},
        "count": count,
        "share": sa.cast(count, sa.Double()) / sa.cast(sa.func.sum(count).over(), sa.Double()),
        **{f"median_{name}": _median(ranked, at) for at, name in enumerate(medians)},
    }
    # A boolean has no least value; the key of an object has no order of its own.
    ties: list[Element] = [ranked[f"key{at}"] for at, name in enumerate(names) if "." not in name]
    ties += [sa.func.min(ranked[label]) for label in order]
    statement: sa.Select[Any] = sa.select(*_labelled(shown))
    statement = statement.group_by(*(ranked[label] for label in keys))
    return statement.order_by(count.desc(), *(one.asc().nulls_last() for one in ties))


def _median(ranked: Any, at: int) -> Element:
    place, known = ranked[f"place{at}"], ranked[f"known{at}"]
    middle = place.in_(((known + 1) // 2, (known + 2) // 2))
    return sa.func.avg(sa.case((middle, ranked[f"number{at}"])), type_=sa.Double())


def _labelled(columns: Mapping[str, Element]) -> list[Any]:
    return [column.label(name[:MAX_LABEL]) for name, column in columns.items()]
