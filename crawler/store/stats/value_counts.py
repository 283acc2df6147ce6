"""How often the values of a field occur in the rows that a condition picks.

The database counts equal values, so that Python sees each of them once: quartiles and histograms of
a million rows need no million numbers, are exact, and the same on both databases. Ranking the rows
with window functions instead was measured to take SQLite longer.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.fields import Field, Kind
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras

#: What rows can be put into groups by: the base model, or the month of `published_at`, as `2025-01`.
Group = Literal["base_model", "month"]

#: Rows fetched at a time.
_FETCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Population:
    """The rows of one group, and how many of them can say anything of a training.

    Attributes:
        group: None for rows that have none, and where all rows are one group.
        files: Rows.
        read: Of these, files whose header was read.
        no_metadata: Of those read, files without a word on their training.
    """

    group: str | None
    files: int
    read: int
    no_metadata: int


@dataclass(frozen=True, slots=True)
class Common:
    """One of the commonest values of a group.

    Attributes:
        count: Rows with this value.
        total: Rows of the group with any value.
        distinct: Different values in the group.
    """

    group: str | None
    value: Any
    count: int
    total: int
    distinct: int


def populations(connection: sa.Connection, tree: Node | None, by: Group | None) -> list[Population]:
    """Every group among the rows for which `tree` holds; in no order, none where there is no row."""
    group = _group(by, connection.dialect.name)
    read = sa.func.count(sa.case((loras.c.outcome.in_(READ), 1)))
    no_metadata = sa.func.count(sa.case((loras.c.outcome == Outcome.NO_METADATA, 1)))
    statement = (
        sa.select(group.label("group"), sa.func.count(), read, no_metadata)
        .select_from(loras)
        .where(condition_on(tree, connection.dialect.name))
    )
    if by is not None:
        statement = statement.group_by("group")
    with number_errors(tree):
        found = [Population(*row) for row in connection.execute(statement)]
    return [one for one in found if one.files]


@contextlib.contextmanager
def value_counts(
    connection: sa.Connection, field: Field, tree: Node | None, by: Group | None
) -> Iterator[Iterator[tuple[str | None, Any, int]]]:
    """Group, value and number of rows for every value there is, in no order; times by their month.

    They come while the block lasts.

    Args:
        connection: Read while the block lasts.
        field: Neither a list nor an object.
        tree: What must hold of the rows.
        by: None for one group of all.
    """
    statement = _counted(connection.dialect.name, field, tree, by)
    statement = statement.execution_options(yield_per=_FETCH_ROWS)
    with number_errors(tree), contextlib.closing(connection.execute(statement)) as result:
        yield ((group, value, number) for group, value, number in result)


def commonest(
    connection: sa.Connection, field: Field, tree: Node | None, by: Group | None, *, most: int
) -> list[Common]:
    """The values that most rows of each group have, at most `most` a group, the commonest first.

    Among equals the smaller value is first. Arguments as for `value_counts`.
    """
    counted = _counted(connection.dialect.name, field, tree, by).subquery()
    group, value, count = counted.c
    rank = sa.func.row_number().over(partition_by=group, order_by=(count.desc(), value.asc()))
    ranked = sa.select(
        group,
        value,
        count,
        sa.func.sum(count).over(partition_by=group).label("total"),
        sa.func.count().over(partition_by=group).label("distinct_values"),
        rank.label("rank"),
    ).subquery()
    statement = sa.select(*ranked.c).where(ranked.c.rank <= most).order_by(ranked.c.rank)
    with number_errors(tree):
        return [
            Common(group, value, count, int(total), distinct)
            for group, value, count, total, distinct, _ in connection.execute(statement)
        ]


def _counted(dialect: str, field: Field, tree: Node | None, by: Group | None) -> sa.Select[Any]:
    column = loras.c[field.name]
    value = _month(column, dialect) if field.kind is Kind.TIME else column
    return (
        sa.select(
            _group(by, dialect).label("group"),
            value.label("value"),
            sa.func.count().label("count"),
        )
        .where(column.is_not(None), condition_on(tree, dialect))
        .group_by("group", "value")
    )


def _group(by: Group | None, dialect: str) -> sa.ColumnElement[Any]:
    if by is None:
        return sa.cast(sa.null(), sa.Text())
    if by == "month":
        return _month(loras.c.published_at, dialect)
    # A base model without a name is none.
    return sa.func.nullif(loras.c.base_model, "")


def _month(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    if dialect == "postgresql":
        return sa.func.to_char(column, "YYYY-MM", type_=sa.Text())
    return sa.func.substr(sa.type_coerce(column, sa.Text()), 1, 7, type_=sa.Text())
