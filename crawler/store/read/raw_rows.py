"""Rows of another database as they are stored, whatever their types: nothing in it is trusted."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crawler.store.schema.tables import metadata

#: Rows in memory at once: of short ones, and of those with values of more than so many bytes.
BATCH, BATCH_OF_LONG, LONG = 4_096, 64, 256 * 1024


def count_rows(connection: sa.Connection, names: Collection[str]) -> dict[str, int]:
    """How many rows these tables have."""
    return {
        name: connection.execute(
            sa.select(sa.func.count()).select_from(metadata.tables[name])
        ).scalar_one()
        for name in names
    }


def raw_rows(
    connection: sa.Connection,
    name: str,
    columns: Mapping[str, int],
    wanted: Callable[[Sequence[Any]], Collection[Any]] | None,
) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a table in batches, without those of files of that machine.

    Texts, JSON and times are bytes or texts, as the database spells them.

    Args:
        connection: All statements see one snapshot.
        name: Of the table.
        columns: What is read, with the most bytes of a value: one byte more is read. The first is the
            key.
        wanted: Chooses among the keys of the next rows; None reads all rows.
    """
    table = metadata.tables[name]
    key = table.c[next(iter(columns))]
    statement = sa.select(
        *(_raw(table.c[column], most, connection.dialect.name) for column, most in columns.items())
    )
    if isinstance(key.type, sa.Integer):
        statement = statement.where(key > 0)
    size = BATCH_OF_LONG if max(columns.values()) > LONG else BATCH
    if wanted is None:
        ordered = statement.order_by(*table.primary_key)
        with contextlib.closing(
            connection.execute(ordered, execution_options={"yield_per": size})
        ) as found:
            yield from found.partitions()
        return
    after: Any = None
    while keys := _next_keys(connection, key, after):
        after = keys[-1]
        chosen = sorted(wanted(keys))
        for start in range(0, len(chosen), size):
            some = statement.where(key.in_(chosen[start : start + size]))
            yield connection.execute(some.order_by(key)).all()


def _next_keys(connection: sa.Connection, key: sa.Column[Any], after: Any) -> Sequence[Any]:
    statement = sa.select(key).order_by(key).limit(BATCH)
    if isinstance(key.type, sa.Integer):
        statement = statement.where(key > 0)
    if after is not None:
        statement = statement.where(key > after)
    return connection.execute(statement).scalars().all()


def _raw(column: sa.Column[Any], most: int, dialect: str) -> sa.ColumnElement[Any]:
    """A column whose values no converter of ours touches, and which is cut behind `most` bytes."""
    if isinstance(column.type, sa.Boolean | sa.Integer | sa.Float):
        return column
    is_binary = isinstance(column.type, sa.LargeBinary)
    plain = sa.LargeBinary() if is_binary or dialect == "sqlite" else sa.Text()
    given = column if is_binary else sa.cast(column, plain)
    return sa.func.substr(given, 1, most + 1, type_=plain).label(column.name)
