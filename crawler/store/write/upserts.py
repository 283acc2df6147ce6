"""Rows put where there may be some already, on both databases."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]

_T = TypeVar("_T")

#: Values in one IN list. SQLite takes 32,766 variables in a statement, PostgreSQL 65,535.
IN_LIST = 10_000


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, keep: Collection[str] = ()
) -> None:
    """Insert rows; one whose primary key is there already takes the place of the old one.

    Args:
        connection: In the caller's transaction.
        table: With a primary key of one column or several.
        rows: All with the same columns; may be empty.
        keep: Columns that an old row does not give up.
    """
    if not rows:
        return
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {
        name: statement.excluded[name] for name in rows[0] if name not in key and name not in keep
    }
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows; one whose primary key is there already is passed over. `rows` may be empty."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def slices(ids: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The same ids, or other values, in pieces that fit into one IN list."""
    for start in range(0, len(ids), IN_LIST):
        yield ids[start : start + IN_LIST]


def _insert(connection: sa.Connection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    # Of the two only what is needed: the dialect of PostgreSQL is slow to import.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)
