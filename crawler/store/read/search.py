"""Search `loras`: the rows that match a query, and how many rows have the fields that it uses."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import sqlalchemy as sa

from crawler.errors import QueryError, UsageError
from crawler.model.int64 import INT64, MAX_INT64
from crawler.query.fields import TAGS, Kind
from crawler.query.sql import Schema, condition
from crawler.query.tree import Arithmetic, Node, walk
from crawler.store.connect.db_errors import ENDED, too_late
from crawler.store.read.columns import column_of, labelled, ordered_by
from crawler.store.read.groups import grouped
from crawler.store.read.sqlite_process import rows_in_time
from crawler.store.schema.tables import ALL, field_stats, file_tags, loras, tags
from crawler.store.schema.types import Json, type_of

#: The default columns of `query`; they fit a terminal of 80 columns.
DEFAULT_COLUMNS = ("file_id", "model_name", "base_model", "network_dim", "optimizer", "images_seen")

#: Most rows in memory; PostgreSQL sends longer answers in portions of this size.
_BATCH = 500

#: PostgreSQL's SQLSTATE for a number that is too large or too small for its type.
_OUT_OF_RANGE = "22003"

#: A field with a lower fill rate is sparse.
FEW = 0.5

#: Rows that are read for fill rates before there are statistics; this takes some milliseconds.
_SAMPLE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search. All names are names of fields.

    Attributes:
        tree: The condition; None for every row.
        sort: Fields, each with whether the largest comes first. Missing values are last, and
            `file_id` breaks ties.
        limit: Most rows, 0 for all.
        offset: Number of rows to skip.
        count: Return only the number of rows.
        group_by: Return one row for each combination of values of these fields, the most frequent
            first: how many rows have it, their share, and their medians of likes and `medians`.
        medians: Fields with numbers.
    """

    tree: Node | None = None
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 50
    offset: int = 0
    count: bool = False
    group_by: tuple[str, ...] = ()
    medians: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows found.

    Attributes:
        columns: The names of the columns, in order.
        rows: A tuple for each row; they can be read while the search is open.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextlib.contextmanager
def search(connection: sa.Connection, asked: Search, *, timeout: float = 0) -> Iterator[Rows]:
    """The rows found, streamed from the database while the block lasts.

    Times are aware and in UTC, JSON is decoded. When the block ends, the connection is free again.

    Args:
        connection: The database.
        asked: The search.
        timeout: Seconds that the database may take; 0 means no limit. On SQLite a process of its own
            runs the statement then, since SQLite cannot be stopped inside one operation.

    Raises:
        UsageError: The limit or the offset is negative or beyond 64 bits, or the time is up.
        QueryError: A result of the tree's arithmetic is out of range, on PostgreSQL.
    """
    statement = _statement(asked, connection.dialect.name)
    if timeout and connection.dialect.name == "sqlite":
        text, path = statement_text(connection, asked), str(connection.engine.url.database)
        with rows_in_time(path, text, timeout=timeout) as (_, rows):
            yield Rows(_names(asked, statement), _decoded(rows, statement, connection.dialect))
        return
    if timeout:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(timeout * 1000)}")
    many = asked.limit == 0 or asked.limit > _BATCH
    options = {"yield_per": _BATCH} if many and not asked.count else {}
    with (
        _in_time(timeout),
        number_errors(asked.tree),
        contextlib.closing(connection.execute(statement, execution_options=options)) as result,
    ):
        yield Rows(_names(asked, statement), (tuple(row) for row in result))


@contextlib.contextmanager
def _in_time(timeout: float) -> Iterator[None]:
    """Turn PostgreSQL's error about a statement that took longer than `timeout` into a UsageError."""
    try:
        yield
    except sa.exc.OperationalError as error:
        if not timeout or getattr(error.orig, "sqlstate", None) != ENDED:
            raise
        raise too_late(timeout) from error


def _names(asked: Search, statement: sa.Select[Any]) -> tuple[str, ...]:
    """The names of the columns; PostgreSQL itself would cut long ones."""
    if asked.count:
        return tuple(statement.selected_columns.keys())
    if asked.group_by:
        medians = (f"median_{name}" for name in _measured(asked))
        return (*asked.group_by, "count", "share", *medians)
    return asked.columns


def _decoded(
    rows: Iterable[tuple[Any, ...]], statement: sa.Select[Any], dialect: sa.Dialect
) -> Iterator[tuple[Any, ...]]:
    """Rows as the driver returns them, with the values of each column decoded by its type."""
    types = [column.type.dialect_impl(dialect) for column in statement.selected_columns]
    decode = [of.result_processor(dialect, None) or (lambda value: value) for of in types]
    for row in rows:
        yield tuple(one(value) for one, value in zip(decode, row, strict=True))


def statement_text(connection: sa.Connection, asked: Search) -> str:
    """The statement that `search` runs on this database, with all values in it.

    Raises:
        UsageError: The limit or the offset is negative or beyond 64 bits.
    """
    return statement_on(connection.dialect.name, asked)


def statement_on(name: str, asked: Search) -> str:
    """`statement_text` for `sqlite` or `postgresql`, without a database."""
    # The driver's own dialect would double every %.
    dialect = import_module(f"sqlalchemy.dialects.{name}").dialect(paramstyle="named")
    literal = {"literal_binds": True}
    return f"{_statement(asked, name).compile(dialect=dialect, compile_kwargs=literal)};"


def condition_on(tree: Node | None, dialect: str) -> sa.ColumnElement[bool]:
    """The condition on `loras` that a checked tree states; true where it is None."""
    if tree is None:
        return sa.true()
    column = partial(column_of, dialect=dialect)
    has = partial(_has, dialect=dialect)
    return condition(tree, Schema(dialect == "postgresql", column, type_of, has))


@contextlib.contextmanager
def number_errors(tree: Node | None) -> Iterator[None]:
    """Turn PostgreSQL's error about a number out of range inside the block into a QueryError.

    PostgreSQL does not say which operation failed, so the error marks all arithmetic of one word.

    Raises:
        QueryError: A result of the tree's arithmetic is out of range for a row.
    """
    try:
        yield
    except sa.exc.DataError as error:
        places = [node.place for node in walk(tree) if isinstance(node, Arithmetic)] if tree else []
        if not places or getattr(error.orig, "sqlstate", None) != _OUT_OF_RANGE:
            raise
        text = places[0].text
        raise QueryError(
            "a result of this arithmetic is out of range",
            text=text,
            start=min(place.start for place in places if place.text == text),
            end=max(place.end for place in places if place.text == text),
            hint="some row has an extreme value; leave it out first, e.g. abs(network_alpha) < 1e9",
        ) from error


def _statement(asked: Search, dialect: str) -> sa.Select[Any]:
    if asked.limit not in INT64 or asked.offset not in INT64 or min(asked.limit, asked.offset) < 0:
        raise UsageError("--limit and --offset take whole numbers from 0")
    where = () if asked.tree is None else (condition_on(asked.tree, dialect),)
    if asked.count:
        return sa.select(sa.func.count().label("count")).select_from(loras).where(*where)
    if asked.group_by:
        statement = grouped(asked.group_by, _measured(asked), where, dialect)
    else:
        shown: list[Any] = [labelled(name, dialect) for name in asked.columns]
        statement = sa.select(*shown).where(*where).order_by(*_order(asked.sort, dialect))
    if asked.offset:
        # SQLite has no offset without a limit.
        return statement.limit(asked.limit or MAX_INT64).offset(asked.offset)
    return statement.limit(asked.limit) if asked.limit else statement


def _measured(asked: Search) -> tuple[str, ...]:
    """The fields whose medians each group has."""
    return tuple(dict.fromkeys(("likes", *asked.medians)))


def _order(sort: tuple[tuple[str, bool], ...], dialect: str) -> list[sa.ColumnElement[Any]]:
    order: list[sa.ColumnElement[Any]] = [
        (column.desc() if descending else column.asc()).nulls_last()
        for name, descending in sort
        for column in ordered_by(name, dialect)
    ]
    return order if "file_id" in dict(sort) else [*order, loras.c.file_id.asc()]


def _has(name: str, member: str | float, dialect: str) -> sa.ColumnElement[bool]:
    if name == TAGS.name:
        tagged = sa.select(file_tags.c.file_id).join(tags, tags.c.tag_id == file_tags.c.tag_id)
        return loras.c.file_id.in_(tagged.where(tags.c.name == member))
    if dialect == "postgresql":
        wanted = sa.literal(json.dumps([member], ensure_ascii=False), sa.Text())
        return loras.c[name].op("@>", is_comparison=True)(sa.cast(wanted, Json()))
    members = sa.func.json_each(loras.c[name]).table_valued("value").alias("members")
    return sa.exists().where(members.c.value == sa.literal(member))


def sparse_fields(connection: sa.Connection, names: Sequence[str]) -> list[tuple[str, float]]:
    """The fields among `names` with a fill rate below FEW, each with its fill rate.

    The fill rates are those of `field_stats`, or else of the first _SAMPLE rows.
    """
    if not names:
        return []
    plain = [name for name in names if "." not in name]
    keys = [name for name in names if "." in name]
    found = fill_rates(connection, plain) or _sampled(connection, plain)
    found |= _sampled(connection, keys)
    return [(name, found[name]) for name in names if found[name] < FEW]


def fill_rates(connection: sa.Connection, names: Iterable[str]) -> dict[str, float]:
    """The fill rate of each field: the share of rows that have it, 0 to 1; empty without statistics.

    The fill rate of `tags` is that of `tag_count`.
    """
    statement = sa.select(field_stats.c.field, field_stats.c.count)
    found = connection.execute(statement.where(field_stats.c.base_model == ALL))
    counts: dict[str, int] = dict(iter(found))
    files = counts.get("file_id", 0)
    if not files:
        return {}
    return {
        name: counts.get("tag_count" if name == TAGS.name else name, 0) / files for name in names
    }


def _sampled(connection: sa.Connection, names: Sequence[str]) -> dict[str, float]:
    if not names:
        return {}
    dialect = connection.dialect.name
    columns = [column_of(name, Kind.VALUE, dialect) for name in names]
    sample = sa.select(*(column.label(f"c{at}") for at, column in enumerate(columns)))
    rows = sample.select_from(loras).limit(_SAMPLE).subquery()
    counted = [sa.func.count(), *map(sa.func.count, rows.c)]
    total, *counts = connection.execute(sa.select(*counted).select_from(rows)).one()
    # None of so many is few, but perhaps not none of all.
    least = 0.5 if total == _SAMPLE else 0
    return {
        name: max(count, least) / total if total else 1.0
        for name, count in zip(names, counts, strict=True)
    }
