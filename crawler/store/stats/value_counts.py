"""What a condition selects, by group: how many files, how often each value occurs, and the numbers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.fields import Field, Kind
from crawler.query.tree import Node
from crawler.store.read.columns import column_of, members_of
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras
from crawler.store.schema.types import text_type
from crawler.store.stats.numbers import Grouped, numbers_by_group

#: Kinds whose values are JSON.
_JSON = frozenset({Kind.LIST, Kind.OBJECT, Kind.VALUE})


@dataclass(frozen=True, slots=True)
class Grouping:
    """How rows are grouped: by the values of a field. An empty text counts as no value.

    Attributes:
        field: Neither a list nor an object. A time counts by its month, such as `2025-01`.
        starts: Where the bins of a number begin, in ascending order. A group is then the number of
            starts that are not above its values. None for a group of each value.
        only: The texts whose rows are counted, besides the rows without a value; None for all.
    """

    field: Field
    starts: tuple[float, ...] | None = None
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """The rows of one group, and how many of them have training metadata.

    Attributes:
        group: None for rows without a value, and where all rows are one group.
        files: Number of rows.
        read: Files among these whose header was read.
        no_metadata: Files among those read that contain no training metadata.
    """

    group: Any
    files: int
    read: int
    no_metadata: int


@dataclass(frozen=True, slots=True)
class Populations:
    """The groups of what a condition selects.

    Attributes:
        listed: In no order.
        groups: Number of all groups, without that of the rows without a value.
        files: Number of rows in these.
    """

    listed: tuple[Population, ...]
    groups: int
    files: int


@dataclass(frozen=True, slots=True)
class FrequentValue:
    """One of the most frequent values of a group.

    Attributes:
        count: Rows with this value.
        total: Rows of the group with any value.
        distinct: Number of different values in the group.
    """

    group: Any
    value: Any
    count: int
    total: int
    distinct: int


def populations(
    connection: sa.Connection, tree: Node | None, by: Grouping | None, *, most: int = 0
) -> Populations:
    """The groups of the rows for which `tree` is true; none without rows.

    Args:
        connection: To read from.
        tree: None for every row.
        by: None for one group of all rows.
        most: List only the largest groups, and that of the rows without a value; 0 for all. Of equally
            large ones the smaller value is listed.
    """
    dialect = connection.dialect.name
    # By the plain column, since an index may have a text and the outcome.
    is_text = by is not None and by.field.kind is Kind.TEXT
    group = loras.c[by.field.name] if by is not None and is_text else _group(by, dialect)
    outcomes = (
        sa.select(group.label("group"), loras.c.outcome, sa.func.count().label("files"))
        .where(_selected(tree, by, dialect))
        .group_by("group", loras.c.outcome)
        .subquery()
    ).c
    is_read = outcomes.outcome.in_(READ)
    is_silent = outcomes.outcome == Outcome.NO_METADATA
    value = sa.func.nullif(outcomes.group, "") if is_text else outcomes.group
    counted = (
        sa.select(
            value.label("value"),
            sa.func.sum(outcomes.files).label("files"),
            sa.func.sum(sa.case((is_read, outcomes.files), else_=0)).label("read"),
            sa.func.sum(sa.case((is_silent, outcomes.files), else_=0)).label("no_metadata"),
        )
        .group_by("value")
        .subquery()
    ).c
    known = counted.value.is_not(None)
    statement = sa.select(
        *counted,
        sa.func.sum(sa.case((known, 1), else_=0)).over(),
        sa.func.sum(sa.case((known, counted.files), else_=0)).over(),
    )
    if most:
        without_first = (sa.case((known, 1), else_=0), counted.files.desc(), counted.value)
        statement = statement.order_by(*without_first).limit(most + 1)
    with number_errors(tree):
        rows = connection.execute(statement).all()
    listed = [Population(value, *map(int, counts)) for value, *counts, _, _ in rows]
    if most and listed and listed[0].group is not None:
        listed = listed[:most]
    return Populations(tuple(listed), *(map(int, rows[0][-2:]) if rows else (0, 0)))


def months(
    connection: sa.Connection, field: Field, tree: Node | None, by: Grouping | None
) -> dict[Any, dict[str, int]]:
    """The number of rows of each group in each month of a time, such as `2025-01`.

    `tree` selects the rows, None for all; without `by` they are one group, whose name is None.
    """
    statement = _counted(connection.dialect.name, field, tree, by)
    found: defaultdict[Any, dict[str, int]] = defaultdict(dict)
    with number_errors(tree):
        for group, month, number in connection.execute(statement.order_by("counted_value")):
            found[group][month] = number
    return found


def numbers(
    connection: sa.Connection, fields: Sequence[Field], tree: Node | None, by: Grouping | None
) -> Grouped:
    """The numbers of some fields, by field and group, in ascending order. Arguments as for `months`."""
    dialect = connection.dialect.name
    columns = [loras.c[one.name] for one in fields]
    with number_errors(tree):
        found = numbers_by_group(
            connection, _group(by, dialect), columns, _selected(tree, by, dialect)
        )
        return dict(found)


def most_frequent(
    connection: sa.Connection, field: Field, tree: Node | None, by: Grouping | None, *, most: int
) -> list[FrequentValue]:
    """The most frequent values of each group, at most `most` a group, the most frequent first.

    Those of a list are its members, those of an object its keys, each as an object with its value. The
    smaller value comes first in a tie. Arguments as for `months`.
    """
    dialect = connection.dialect.name
    counted = _counted(dialect, field, tree, by).subquery()
    group, value, count = counted.c
    is_json = field.kind in _JSON
    smaller = sa.cast(value, text_type()) if is_json else value
    rank = sa.func.row_number().over(partition_by=group, order_by=(count.desc(), smaller.asc()))
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
        rows = connection.execute(statement).all()
        totals = _filled(connection, field, tree, by) if is_json else {}
    return [
        FrequentValue(group, value, count, totals.get(group, int(total)), distinct)
        for group, value, count, total, distinct, _ in rows
    ]


def _filled(
    connection: sa.Connection, field: Field, tree: Node | None, by: Grouping | None
) -> dict[Any, int]:
    """The number of rows of each group that have a field."""
    dialect = connection.dialect.name
    statement = (
        sa.select(_group(by, dialect).label("group"), sa.func.count())
        .where(
            column_of(field.name, field.kind, dialect).is_not(None), _selected(tree, by, dialect)
        )
        .group_by("group")
    )
    return dict(iter(connection.execute(statement)))


def _counted(dialect: str, field: Field, tree: Node | None, by: Grouping | None) -> sa.Select[Any]:
    column = column_of(field.name, field.kind, dialect)
    rows: sa.FromClause = loras
    value, count = column, sa.func.count()
    if field.kind is Kind.TIME:
        value = month_of(column, dialect)
    elif field.kind in (Kind.LIST, Kind.OBJECT):
        members, value = members_of(column, field.kind, dialect)
        rows, count = loras.join(members, sa.true()), sa.func.count(loras.c.file_id.distinct())
    return (
        sa.select(
            _group(by, dialect).label("group"), value.label("counted_value"), count.label("count")
        )
        .select_from(rows)
        .where(column.is_not(None), _selected(tree, by, dialect))
        .group_by("group", "counted_value")
    )


def _selected(tree: Node | None, by: Grouping | None, dialect: str) -> sa.ColumnElement[bool]:
    where = condition_on(tree, dialect)
    if by is None or by.only is None:
        return where
    group = loras.c[by.field.name]
    return sa.and_(where, sa.or_(group.is_(None), group.in_(("", *by.only))))


def _group(by: Grouping | None, dialect: str) -> sa.ColumnElement[Any]:
    if by is None:
        return sa.cast(sa.null(), sa.Text())
    column = loras.c[by.field.name]
    if by.field.kind is Kind.TIME:
        return month_of(column, dialect)
    if by.field.kind is Kind.TEXT:
        return sa.func.nullif(column, "")
    if by.starts is None:
        return column
    below = [
        (column < sa.literal(start, sa.Double()), number) for number, start in enumerate(by.starts)
    ]
    return sa.case((column.is_(None), None), *below, else_=len(by.starts))


def month_of(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """The month of a time, such as `2025-01`."""
    if dialect == "postgresql":
        return sa.func.to_char(column, "YYYY-MM", type_=sa.Text())
    return sa.func.substr(sa.type_coerce(column, sa.Text()), 1, 7, type_=sa.Text())
