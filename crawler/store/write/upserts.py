"""Insert rows that may exist already, on both databases."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from crawler.store.connect.engines import json_text
from crawler.store.schema.types import UtcTime

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]

#: Makes the new value of a column from the old one and the given one.
Computed = Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.ColumnElement[Any]]

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
        rows: All with the same columns, each with another key. May be empty.
        keep: Columns in which an old row keeps its values.
    """
    if rows:
        statement = _upserting(connection.dialect.name, table, tuple(rows[0]), frozenset(keep))
        _execute(connection, statement, table, rows)


@cache
def _upserting(
    dialect: str, table: sa.Table, columns: tuple[str, ...], keep: frozenset[str]
) -> sa.Insert:
    # Made once: it takes longer than to store a row.
    statement = _insert(dialect, table, columns)
    key = [column.name for column in table.primary_key]
    changed = {
        name: statement.excluded[name] for name in columns if name not in key and name not in keep
    }
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, except those whose primary key exists already.

    Args:
        connection: In the caller's transaction.
        table: With a primary key of one column or several.
        rows: All with the same columns. May be empty.
    """
    if rows:
        statement = _insert_new(connection.dialect.name, table, tuple(rows[0]))
        _execute(connection, statement, table, rows)


@cache
def _insert_new(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> sa.Insert:
    return _insert(dialect, table, columns).on_conflict_do_nothing()


def update_rows(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Row],
    computed: tuple[tuple[str, Computed], ...] = (),
) -> None:
    """Give existing rows other values.

    Args:
        connection: In the caller's transaction.
        table: With a primary key of one column.
        rows: All with the same columns, the key included. May be empty.
        computed: Columns, each with a function of its old and its given value that makes the new one.
    """
    if not rows:
        return
    statement = _updating(connection.dialect.name, table, tuple(rows[0]), computed)
    if connection.dialect.name != "postgresql":
        # A parameter with the name of a column could only be its new value.
        (key,) = table.primary_key
        renamed = {name: f"given_{name}" for name in (key.name, *(name for name, _ in computed))}
        rows = [{renamed.get(name, name): row[name] for name in row} for row in rows]
    _execute(connection, statement, table, rows)


@cache
def _updating(
    dialect: str,
    table: sa.Table,
    columns: tuple[str, ...],
    computed: tuple[tuple[str, Computed], ...],
) -> sa.Update:
    (key,) = table.primary_key
    made = dict(computed)
    if dialect == "postgresql":
        given = _given(table, columns).c
        values: dict[str, sa.ColumnElement[Any]] = {
            name: given[name] for name in columns if name not in {key.name, *made}
        }
        values |= {name: make(table.c[name], given[name]) for name, make in computed}
        return sa.update(table).where(key == given[key.name]).values(values)
    parameters = {
        name: sa.bindparam(f"given_{name}", type_=table.c[name].type) for name in (key.name, *made)
    }
    values = {name: make(table.c[name], parameters[name]) for name, make in computed}
    return sa.update(table).where(key == parameters[key.name]).values(values)


def insert_plain(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[tuple[int | str, ...]],
    *,
    are_new: bool = False,
) -> None:
    """Insert very many rows, except those whose key exists already.

    It costs a tenth of `insert_new`, which prepares each value for its column.

    Args:
        connection: In the caller's transaction.
        table: With columns of integers and texts only.
        rows: The values in the order of the columns. May be empty.
        are_new: No key exists already, which PostgreSQL need not look for then: a third less time.
    """
    if not rows:
        return
    statement = _plain_text(connection.dialect.name, table, are_new)
    if connection.dialect.name == "postgresql":
        # As texts: the driver would convert one value after the other.
        columns = zip(*rows, strict=True)
        given = (
            f"{{{','.join(map(str, values))}}}" if isinstance(values[0], int) else json_text(values)
            for values in columns
        )
        connection.exec_driver_sql(statement, tuple(given))
    else:
        connection.exec_driver_sql(statement, rows)


@cache
def _plain_text(dialect: str, table: sa.Table, are_new: bool) -> str:  # noqa: FBT001 - cached
    if dialect == "postgresql":
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        columns = ", ".join(
            "unnest(CAST(%s AS bigint[]))"
            if isinstance(one.type, sa.Integer)
            else "json_array_elements_text(CAST(%s AS json))"
            for one in table.columns
        )
        return (
            f"INSERT INTO {table.name} ({names}) SELECT * FROM ROWS FROM ({columns})"  # noqa: S608 - our names
            + " ON CONFLICT DO NOTHING" * (not are_new)
        )
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    plain = tuple(column.name for column in table.columns)
    return str(_insert_new("sqlite", table, plain).compile(dialect=sqlite.dialect()))


def _execute(
    connection: sa.Connection, statement: sa.Executable, table: sa.Table, rows: Sequence[Row]
) -> None:
    """Run a statement for rows: at once on PostgreSQL, else one after the other.

    They are in the order of their keys, so that two writers of PostgreSQL cannot deadlock.
    """
    if connection.dialect.name != "postgresql":
        connection.execute(statement, rows)
        return
    names = [column.name for column in table.primary_key]
    ordered = sorted(rows, key=itemgetter(*names))
    as_text = {name: _TEXTS.get(type(table.c[name].type)) for name in rows[0]}
    texts = [(name, text) for name, text in as_text.items() if text is not None]
    if texts:
        ordered = [
            {**row, **{name: text(row[name]) for name, text in texts if row[name] is not None}}
            for row in ordered
        ]
    connection.execute(statement, {"rows": ordered})


#: How JSON writes what it has no type for.
_TEXTS: Mapping[type, Callable[[Any], str]] = {
    UtcTime: lambda value: value.astimezone(UTC).replace(tzinfo=None).isoformat(" "),
    sa.LargeBinary: lambda value: f"\\x{value.hex()}",
}


def _given(table: sa.Table, columns: tuple[str, ...]) -> sa.TableValuedAlias:
    """The parameter `rows` of a statement of PostgreSQL, as rows with the types of the table."""
    like: sa.ColumnClause[Any] = sa.literal_column(f"NULL::{table.name}")
    rows = sa.func.json_populate_recordset(like, sa.bindparam("rows", type_=sa.JSON()))
    return rows.table_valued(*columns, name="given")


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


def _insert(
    dialect: str, table: sa.Table, columns: tuple[str, ...]
) -> "sqlite.Insert | postgresql.Insert":
    # Only the dialect in use is imported: that of PostgreSQL is slow to import.
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        given = _given(table, columns)
        return postgresql.insert(table).from_select(columns, sa.select(*given.c))
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)
