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
    `medians`: the mean of the one or two values in the middle. Equal numbers are counted first: there are
    fewer of them than rows to sort.
    """
    keys = {f"key{at}": column_of(name, Kind.VALUE, dialect) for at, name in enumerate(names)}
    orders = [ordered_by(name, dialect) for name in names if "." in name]
    order = {f"order{at}": sa.func.min(one) for at, one in enumerate(sum(orders, ()))}
    counted = sa.union_all(
        *(
            sa.select(
                *_labelled(keys | order),
                sa.literal_column(str(at)).label("measure"),
                sa.cast(column_of(name, Kind.NUMBER, dialect), sa.Double()).label("number"),
                sa.func.count().label("files"),
            )
            .select_from(loras)
            .where(*where)
            .group_by(*keys, "number")
            for at, name in enumerate(medians)
        )
    ).subquery("counted")
    of = [counted.c[label] for label in keys] + [counted.c.measure]
    known = sa.case((counted.c.number.is_not(None), counted.c.files), else_=0)
    ascending = counted.c.number.asc().nulls_last()
    places = {
        "upto": sa.func.sum(counted.c.files).over(partition_by=of, order_by=ascending),
        "known": sa.func.sum(known).over(partition_by=of),
    }
    whole = {name: sa.cast(place, sa.BigInteger()) for name, place in places.items()}
    ranked = sa.select(counted, *_labelled(whole)).subquery("ranked").c
    count = sa.func.sum(sa.case((ranked.measure == 0, ranked.files)))
    shown = {
        **{name: ranked[label] for name, label in zip(names, keys, strict=True)},
        "count": sa.cast(count, sa.BigInteger()),
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
    """The mean of the numbers at the one or two places in the middle."""
    first, last = (ranked.known + 1) // 2, (ranked.known + 2) // 2
    is_middle = sa.and_(
        *(ranked.measure == at, ranked.number.is_not(None)),
        *(ranked.upto >= first, ranked.upto - ranked.files < last),
    )
    return sa.func.avg(sa.case((is_middle, ranked.number)), type_=sa.Double())


def _labelled(columns: Mapping[str, Element]) -> list[Any]:
    return [column.label(name[:MAX_LABEL]) for name, column in columns.items()]
