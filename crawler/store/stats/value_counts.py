"""How often each value of a field occurs in the rows that a condition selects.

The database counts equal values, and Python computes quartiles and histograms from the counts. So a
million rows do not become a million numbers in Python, and the results are exact and the same on both
databases. Ranking the rows with window functions is slower on SQLite.
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

#: How rows can be grouped: by base model, or by the month of `published_at`, such as `2025-01`.
Group = Literal["base_model", "month"]

#: Rows fetched at a time.
_FETCH_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Population:
    """The rows of one group, and how many of them have training metadata.

    Attributes:
        group: None for rows without a group, and where all rows are one group.
        files: Number of rows.
        read: Files among these whose header was read.
        no_metadata: Files among those read that contain no training metadata.
    """

    group: str | None
    files: int
    read: int
    no_metadata: int


@dataclass(frozen=True, slots=True)
class FrequentValue:
    """One of the most frequent values of a group.

    Attributes:
        count: Rows with this value.
        total: Rows of the group with any value.
        distinct: Number of different values in the group.
    """

    group: str | None
    value: Any
    count: int
    total: int
    distinct: int


def populations(connection: sa.Connection, tree: Node | None, by: Group | None) -> list[Population]:
    """Every group of the rows for which `tree` is true, in no order; empty without rows."""
    group = _group(by, connection.dialect.name)
    read = sa.func.count().filter(loras.c.outcome.in_(READ))
    no_metadata = sa.func.count().filter(loras.c.outcome == Outcome.NO_METADATA)
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
    """Group, value and number of rows for every value, in no order; a time counts as its month.

    The field is neither a list nor an object. `tree` selects the rows, None for all; without `by` they
    are one group.
    """
    statement = _counted(connection.dialect.name, field, tree, by)
    statement = statement.execution_options(yield_per=_FETCH_ROWS)
    with number_errors(tree), contextlib.closing(connection.execute(statement)) as result:
        yield ((group, value, number) for group, value, number in result)


def most_frequent(
    connection: sa.Connection, field: Field, tree: Node | None, by: Group | None, *, most: int
) -> list[FrequentValue]:
    """The most frequent values of each group, at most `most` a group, the most frequent first.

    The smaller value comes first in a tie. Arguments as for `value_counts`.
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
            FrequentValue(group, value, count, int(total), distinct)
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
    # An empty name counts as no base model.
    return sa.func.nullif(loras.c.base_model, "")


def _month(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    if dialect == "postgresql":
        return sa.func.to_char(column, "YYYY-MM", type_=sa.Text())
    return sa.func.substr(sa.type_coerce(column, sa.Text()), 1, 7, type_=sa.Text())
