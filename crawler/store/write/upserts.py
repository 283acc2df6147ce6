"""Insert rows that may exist already, on both databases."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]

_T = TypeVar("_T")

#: Values in one IN list. SQLite takes 32,766 variables in a statement, PostgreSQL 65,535.
IN_LIST = 10_000


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, keep: Collection[str] = ()
) -> None:
    """Insert rows. A row with an existing primary key replaces the old row.

    Args:
        connection: In the caller's transaction.
        table: With a primary key of one column or several.
        rows: All with the same columns. May be empty.
        keep: Columns in which an old row keeps its values.
    """
    if not rows:
        return
    kept = frozenset(keep)
    connection.execute(_upserting(connection.dialect.name, table, tuple(rows[0]), kept), rows)


@cache
def _upserting(
    dialect: str, table: sa.Table, columns: tuple[str, ...], keep: frozenset[str]
) -> sa.Insert:
    # Made once: it takes longer than to store a row.
    statement = _insert(dialect, table)
    key = [column.name for column in table.primary_key]
    changed = {
        name: statement.excluded[name] for name in columns if name not in key and name not in keep
    }
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, except those whose primary key exists already. `rows` may be empty."""
    if rows:
        connection.execute(_insert_new(connection.dialect.name, table), rows)


@cache
def _insert_new(dialect: str, table: sa.Table) -> sa.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


def insert_plain(
    connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[int | str, ...]]
) -> None:
    """Insert very many rows, except those whose key exists already.

    It costs a tenth of `insert_new`, which prepares each value for its column.

    Args:
        connection: In the caller's transaction.
        table: With columns of integers and texts only.
        rows: The values in the order of the columns. May be empty.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        json = sa.func.json_array_elements(sa.bindparam("json", rows, sa.JSON()))
        row = json.column_valued("row")
        values = [
            sa.cast(row.op("->>")(at), sa.BigInteger)
            if column.type.python_type is int
            else row.op("->>")(at)
            for at, column in enumerate(table.columns)
        ]
        insert = _insert("postgresql", table).from_select(list(table.columns), sa.select(*values))
        connection.execute(insert.on_conflict_do_nothing())
    else:
        connection.exec_driver_sql(_sqlite_text(table), rows)


@cache
def _sqlite_text(table: sa.Table) -> str:
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return str(_insert_new("sqlite", table).compile(dialect=sqlite.dialect()))


def as_row(noun: "DataclassInstance", *leave_out: str) -> dict[str, Any]:
    """The attributes of a noun, which are named like columns. Their values are not copied."""
    names = _names(type(noun), leave_out)
    return {name: getattr(noun, name) for name in names}


@cache
def _names(of: "type[DataclassInstance]", leave_out: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of) if field.name not in leave_out)


def slices(ids: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The values in slices that fit into an IN list."""
    for start in range(0, len(ids), IN_LIST):
        yield ids[start : start + IN_LIST]


def _insert(dialect: str, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    # Only the dialect in use is imported: that of PostgreSQL is slow to import.
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)
