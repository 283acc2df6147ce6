"""Rows of `loras` page by page: each page begins after the last row of the one before.

The place is the values that the last row is sorted by, as a short text for a link. So a page costs the same
wherever it is, and rows that come and go before it move nothing.
"""

import base64
import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.int64 import INT64
from crawler.store.read.columns import Element, labelled, ordered_by
from crawler.store.read.search import Search, condition_on, number_errors
from crawler.store.schema.tables import loras
from crawler.store.schema.types import UtcTime

#: Longest text in a place, in characters. A longer one is read from the row again, so that links stay short.
_LONGEST = 100

#: Rows fetched at a time where their length is limited.
_FETCH_ROWS = 50

#: From so many matching rows on some are found soon wherever one looks.
_MANY = 500

_READ_AGAIN = {"long": True}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows.

    Attributes:
        columns: The names of the columns.
        rows: A tuple for each row, with its `file_id` first, which is not among the columns.
        after: The place where the next page begins; empty after the last one.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    after: str


@dataclass(frozen=True, slots=True)
class _Key:
    """What rows are sorted by; missing values are last."""

    column: Element
    descending: bool


def page(
    connection: sa.Connection,
    asked: Search,
    *,
    after: str = "",
    matches: int | None = None,
    characters: int = 0,
) -> Page:
    """The rows of a search behind a place, at most `asked.limit`.

    Args:
        connection: The database.
        asked: Its tree, columns, sort and limit count.
        after: The `after` of the page before, with the same sort; empty for the first page.
        matches: The number of rows that match, where it is known.
        characters: Most characters of all texts together; 0 means no limit.

    Raises:
        UsageError: `after` is not a place in this order, or the texts are longer.
        QueryError: A result of the tree's arithmetic is out of range, on PostgreSQL.
    """
    dialect = connection.dialect.name
    keys = _keys(asked.sort, dialect)
    order = [
        (key.column.desc() if key.descending else key.column.asc()).nulls_last() for key in keys
    ]
    where = [condition_on(asked.tree, dialect)]
    if dialect == "sqlite" and len(keys) == 1 and matches is not None and matches >= _MANY:
        # In the order of the ids a page is full soon. SQLite would rather read all rows that an index
        # names, and sort them; inside a function it sees no index.
        where = [sa.func.coalesce(where[0], sa.false(), type_=sa.Boolean())]
    if after:
        where.append(_behind(keys, _values(after, asked.sort, keys)))
    # First the ids alone: to sort whole rows takes several times as long.
    ids = sa.select(loras.c.file_id).where(*where).order_by(*order).limit(asked.limit + 1)
    shown: list[Any] = [labelled(name, dialect) for name in asked.columns]
    marks = [key.column.label(f"key{at}") for at, key in enumerate(keys)]
    statement = sa.select(loras.c.file_id.label("row_id"), *marks, *shown)
    statement = statement.where(loras.c.file_id.in_(ids)).order_by(*order)
    # A few at a time, so that not many more than `characters` are in memory. PostgreSQL plans a statement
    # for that in another way, which would be slower for a short page.
    in_parts = characters and (dialect == "sqlite" or asked.limit > _MANY)
    options = {"yield_per": _FETCH_ROWS} if in_parts else {}
    with (
        number_errors(asked.tree),
        contextlib.closing(connection.execute(statement, execution_options=options)) as result,
    ):
        found = [*_short_enough(result, characters)] if characters else [*map(tuple, result)]
    rows = found[: asked.limit]
    cut = len(found) > asked.limit and rows
    return Page(
        columns=asked.columns,
        rows=tuple((row[0], *row[1 + len(keys) :]) for row in rows),
        after=_text(asked.sort, rows[-1][1 : 1 + len(keys)]) if cut else "",
    )


def _short_enough(rows: Iterable[Any], characters: int) -> Iterator[tuple[Any, ...]]:
    length = 0
    for row in rows:
        length += sum(map(_length, row))
        if length > characters:
            raise UsageError(
                f"the texts of these rows have more than {characters:,} characters; ask for fewer columns"
                " or rows, or use the command line"
            )
        yield tuple(row)


def _length(value: Any) -> int:
    """The characters of a value, as far as they can be many."""
    length, rest = 0, [value]
    while rest:
        match rest.pop():
            case str(text):
                length += len(text)
            case list(members):
                rest += members
                length += len(members)
            case dict(members):
                rest += [*members, *members.values()]
                length += len(members)
    return length


def _keys(sort: Sequence[tuple[str, bool]], dialect: str) -> list[_Key]:
    """What rows are sorted by; the last is the id, behind which nothing else matters."""
    keys = []
    for name, descending in (*sort, ("file_id", False)):
        keys += [_Key(column, descending) for column in ordered_by(name, dialect)]
        if name == "file_id":
            break
    return keys


def _behind(keys: Sequence[_Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The condition for rows behind the one with these values."""
    ways = []
    same: list[sa.ColumnElement[bool]] = []
    for key, value in zip(keys, values, strict=True):
        if value is None:  # only other missing values are behind it
            same.append(key.column.is_(None))
            continue
        beyond = key.column < value if key.descending else key.column > value
        ways.append(sa.and_(*same, sa.or_(beyond, key.column.is_(None))))
        same.append(key.column == value)
    return sa.or_(sa.false(), *ways)


def _text(sort: Sequence[tuple[str, bool]], values: Sequence[Any]) -> str:
    """A place as a text: the order, since it has no meaning in another one, and the values."""
    plain = [_plain(value) for value in values]
    text = json.dumps([_spelled(sort), *plain], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case str() if len(value) > _LONGEST:
            return _READ_AGAIN
    return value


def _values(after: str, sort: Sequence[tuple[str, bool]], keys: Sequence[_Key]) -> list[Any]:
    wrong = UsageError("after is not a place in this order; begin with the first page")
    try:
        text = base64.b64decode(f"{after}{'=' * (-len(after) % 4)}", altchars=b"-_", validate=True)
        order, *values = json.loads(text)
        if order != _spelled(sort) or len(values) != len(keys) or values[-1] is None:
            raise wrong
        return [
            _value(key.column, value, values[-1]) for key, value in zip(keys, values, strict=True)
        ]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise wrong from error


def _value(column: Element, value: Any, file_id: Any) -> Any:
    """A value of a place as the column takes it; raises ValueError if it cannot have it."""
    of = column.type
    match value:
        case None:
            return None
        case {"long": True} if isinstance(of, sa.String) and type(file_id) is int:
            return sa.select(column).where(loras.c.file_id == file_id).scalar_subquery()
        case bool():
            fits = isinstance(of, sa.Boolean)
        case str() if isinstance(of, UtcTime):
            value = datetime.fromisoformat(value).astimezone(UTC)
            fits = True
        case str():
            value.encode()  # raises for a half of a surrogate pair
            fits = isinstance(of, sa.String) and "\0" not in value
        case int() if isinstance(of, sa.Integer):
            fits = value in INT64
        case int() | float():
            value = float(value)
            fits = isinstance(of, sa.Float)
        case _:
            fits = False
    if not fits:
        raise ValueError("a value does not fit its column")
    return sa.literal(value, of)


def _spelled(sort: Sequence[tuple[str, bool]]) -> str:
    return ",".join(f"{'-' * descending}{name}" for name, descending in sort)
