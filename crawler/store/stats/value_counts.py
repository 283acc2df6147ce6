"""What a condition selects, by group: how many files, how often each value occurs, and the numbers."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.fields import Field, Kind
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras
from crawler.store.stats.numbers import Grouped, numbers_by_group

#: How rows can be grouped: by base model, or by the month of `published_at`, such as `2025-01`.
Group = Literal["base_model", "month"]


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
    # By the plain column, whose index has the outcome too.
    group = loras.c.base_model if by == "base_model" else _group(by, connection.dialect.name)
    statement = (
        sa.select(group.label("group"), loras.c.outcome, sa.func.count())
        .where(condition_on(tree, connection.dialect.name))
        .group_by("group", loras.c.outcome)
    )
    found: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    with number_errors(tree):
        for name, outcome, files in connection.execute(statement):
            found[name or None][outcome] += files
    return [
        Population(
            name,
            outcomes.total(),
            sum(outcomes[outcome] for outcome in READ),
            outcomes[Outcome.NO_METADATA],
        )
        for name, outcomes in found.items()
    ]


def months(
    connection: sa.Connection, field: Field, tree: Node | None, by: Group | None
) -> dict[str | None, dict[str, int]]:
    """The number of rows of each group in each month of a time, such as `2025-01`.

    `tree` selects the rows, None for all; without `by` they are one group, whose name is None.
    """
    statement = _counted(connection.dialect.name, field, tree, by)
    found: defaultdict[str | None, dict[str, int]] = defaultdict(dict)
    with number_errors(tree):
        for group, month, number in connection.execute(statement.order_by("value")):
            found[group][month] = number
    return found


def numbers(
    connection: sa.Connection, fields: Sequence[Field], tree: Node | None, by: Group | None
) -> Grouped:
    """The numbers of some fields, by field and group, in ascending order. Arguments as for `months`."""
    group, where = _group(by, connection.dialect.name), condition_on(tree, connection.dialect.name)
    with number_errors(tree):
        columns = [loras.c[one.name] for one in fields]
        return dict(numbers_by_group(connection, group, columns, where))


def most_frequent(
    connection: sa.Connection, field: Field, tree: Node | None, by: Group | None, *, most: int
) -> list[FrequentValue]:
    """The most frequent values of each group, at most `most` a group, the most frequent first.

    The smaller value comes first in a tie. Arguments as for `months`.
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
    value = month_of(column, dialect) if field.kind is Kind.TIME else column
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
        return month_of(loras.c.published_at, dialect)
    # An empty name counts as no base model.
    return sa.func.nullif(loras.c.base_model, "")


def month_of(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """The month of a time, such as `2025-01`."""
    if dialect == "postgresql":
        return sa.func.to_char(column, "YYYY-MM", type_=sa.Text())
    return sa.func.substr(sa.type_coerce(column, sa.Text()), 1, 7, type_=sa.Text())
