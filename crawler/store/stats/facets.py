"""How often each value of some fields occurs among the rows that match a condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.query.fields import Kind
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from crawler.store.stats.value_counts import month_of

#: The fields that are counted; of a time, its months.
FACETS = (
    "base_model",
    "trainer",
    "optimizer",
    "network_algo",
    "network_dim",
    "creator",
    "published_at",
)


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a field.

    Attributes:
        field: Its name.
        values: The most frequent values, each with its number of rows, the smaller value first in a tie. A
            month is a text like `2025-01`; months are in order, the latest first.
        missing: Rows without a value.
        more: Whether there are further values.
    """

    field: str
    values: tuple[tuple[str | int, int], ...]
    missing: int
    more: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """The number of rows that match a condition, and their facets."""

    total: int
    facets: tuple[Facet, ...]


def total(connection: sa.Connection, tree: Node | None) -> int:
    """The number of rows for which `tree` is true."""
    where = condition_on(tree, connection.dialect.name)
    counted = sa.select(sa.func.count()).select_from(loras).where(where)
    with number_errors(tree):
        return connection.execute(counted).scalar_one()


def counted(connection: sa.Connection, tree: Node | None, *, most: int) -> Counted:
    """The rows for which `tree` is true, with at most `most` values of each of FACETS.

    One statement reads the rows once, however many fields there are.
    """
    dialect = connection.dialect.name
    columns = [facet_values(name, dialect).label(f"value{at}") for at, name in enumerate(FACETS)]
    rows = sa.select(*columns).where(condition_on(tree, dialect)).cte("matching")
    nothing = sa.cast(sa.null(), sa.Text())
    number = sa.func.count().label("number")
    parts = [sa.select(sa.literal(-1), nothing, number).select_from(rows)]
    for at, name in enumerate(FACETS):
        value = rows.c[f"value{at}"]
        by = [value.desc()] if BY_NAME[name].kind is Kind.TIME else [number.desc(), value.asc()]
        groups = sa.select(value.label("value"), number).group_by(value)
        # The rows without a value come first, and one more than is shown tells that there are more.
        groups = groups.order_by(value.is_not(None), *by).limit(most + 2)
        first = groups.subquery()
        parts.append(sa.select(sa.literal(at), sa.cast(first.c.value, sa.Text()), first.c.number))
    with number_errors(tree):
        found = connection.execute(sa.union_all(*parts)).all()
    return Counted(
        total=next(number for at, _, number in found if at < 0),
        facets=tuple(
            _facet(name, [(value, number) for of, value, number in found if of == at], most)
            for at, name in enumerate(FACETS)
        ),
    )


def facet_values(name: str, dialect: str) -> sa.ColumnElement[Any]:
    """The values of a facet; of a time its months."""
    column = loras.c[name]
    return month_of(column, dialect) if BY_NAME[name].kind is Kind.TIME else column


def _facet(name: str, counts: Sequence[tuple[str | None, int]], most: int) -> Facet:
    is_number = BY_NAME[name].kind is Kind.INTEGER
    values = [
        (int(value) if is_number else value, number)
        for value, number in counts
        if value is not None
    ]
    missing = sum(number for value, number in counts if value is None)
    return Facet(name, tuple(values[:most]), missing, more=len(values) > most)
