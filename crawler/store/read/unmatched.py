"""Why an answer has no rows: the texts of a condition that no row has, and the nearest ones that rows have.

It is asked only after an answer without rows, and it has SECONDS. What cannot be found out by then is
left out.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from crawler.query.fields import TAGS, Kind, spelled
from crawler.query.near import LONGEST, MAX_OFFERED, nearest_values
from crawler.query.tree import And, Column, Comparison, Has, In, Like, Literal, Node, Or
from crawler.store.connect.db_errors import ENDED
from crawler.store.read.columns import column_of
from crawler.store.read.search import condition_on
from crawler.store.schema.tables import loras, tags

#: Seconds for everything, and for the question whether any row has a text, at a million files.
SECONDS, _SECONDS_FOR_ANY = 2.0, 0.5

#: Texts of a condition that are looked for.
_MOST_TEXTS = 5

#: Rows whose values are compared: some from each of so many ranges of ids, since what people train with
#: changes over time.
_RANGES, _ROWS_OF_RANGE = 16, 1_250

#: Most different values that are compared, the most frequent ones.
_MOST_VALUES = 2_000

#: A field with so many values has frequent ones.
_FEW_VALUES = 50

#: Columns whose values an index lists.
_INDEXED = frozenset({"base_model", "outcome"})

#: SQLite looks at the time after this many steps of its virtual machine, some hundredths of a second.
_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A text that no row has.

    Attributes:
        name: The field, as a query spells it.
        text: The text; `*` stands for any text.
        is_member: It is compared with the members of a list.
        is_sure: Not only the rows that were looked at lack it.
        near: The nearest texts that rows have, the nearest first.
        is_part: It is a part of these, which a pattern finds.
        common: The most frequent texts of a field that has few.
    """

    name: str
    text: str
    is_member: bool
    is_sure: bool
    near: tuple[str, ...]
    is_part: bool
    common: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in a condition: the part of the tree that compares it, and its field."""

    test: Node
    name: str
    text: str
    is_alone: bool  # no row matches the test, since no row matches the whole condition


def unmatched(connection: sa.Connection, tree: Node) -> list[Unmatched]:
    """The texts of a condition without rows that no row has, in their order; at most _MOST_TEXTS."""
    until = time.monotonic() + SECONDS
    found = []
    texts = {(one.name, one.text.casefold()): one for one in _texts(tree, is_alone=True)}
    for one in list(texts.values())[:_MOST_TEXTS]:
        values = _values(connection, one, until)
        if one.text in values:
            continue
        rows = [] if one.is_alone else _any_row(connection, one.test, until)
        if rows:
            continue
        near = nearest_values(one.text, values) or nearest_values(
            one.text, _values_with(connection, one, until)
        )
        few = len(values) <= _FEW_VALUES
        found.append(
            Unmatched(
                name=spelled(one.name),
                text=one.text,
                is_member=isinstance(one.test, Has),
                is_sure=rows is not None,
                near=near,
                is_part=isinstance(one.test, Comparison | Like)
                and any(one.text.lower() in text.lower() != one.text.lower() for text in near),
                common=tuple(values[:MAX_OFFERED] if one.name != TAGS.name and few else ()),
            )
        )
    return found


def has_rows(connection: sa.Connection) -> bool:
    """Whether there are any files."""
    return connection.execute(sa.select(loras.c.file_id).limit(1)).first() is not None


def _any_row(connection: sa.Connection, test: Node, until: float) -> list[sa.Row[Any]] | None:
    where = condition_on(test, connection.dialect.name)
    soon = min(until, time.monotonic() + _SECONDS_FOR_ANY)
    return _rows(connection, sa.select(loras.c.file_id).where(where).limit(1), soon)


def _texts(node: Node, *, is_alone: bool) -> Iterator[_Text]:
    """The texts that a row must equal for the condition to be true; none below a `not`."""
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from _texts(part, is_alone=is_alone and isinstance(node, Or))
    for test, name, text in _compared(node):
        yield _Text(test, name, text, is_alone)


def _compared(node: Node) -> Iterator[tuple[Node, str, str]]:
    """Each text that a node compares a field with: the test of it alone, the field, the text."""
    match node:
        case Has(name, str() as text):
            yield node, name, text
        case Like(Column(name), pattern, escape):
            wild = r"\\(.)|%" if escape else r"(?!)()|%"
            yield node, name, re.sub(wild, lambda found: found[1] or "*", pattern)
        case Comparison("=", Column(name, Kind.TEXT), Literal(str() as text)) | Comparison(
            "=", Literal(str() as text), Column(name, Kind.TEXT)
        ):
            yield node, name, text
        case In(Column(name, Kind.TEXT) as column, options):
            for option in options:
                if isinstance(option, Literal):
                    yield Comparison("=", column, option), name, str(option.value)


def _values(connection: sa.Connection, text: _Text, until: float) -> list[str]:
    """The most frequent texts of a field in a sample of the rows; tags that begin alike."""
    if text.name == TAGS.name:
        start = _part(text)[:2]
        begun = sa.select(tags.c.name).where(tags.c.name.istartswith(start, autoescape=True))
        return _tags(connection, begun, text, until)
    value = column_of(text.name, Kind.TEXT, connection.dialect.name)
    sample = _sample(connection, value, is_whole=text.name in _INDEXED)
    if isinstance(text.test, Has):
        sample = _members(sample, connection.dialect.name)
    number = sa.func.count().label("number")
    counted = sa.select(sample.c.value, number).where(sample.c.value.is_not(None))
    counted = counted.group_by(sample.c.value).order_by(number.desc(), sample.c.value)
    return [str(row[0]) for row in _rows(connection, counted.limit(_MOST_VALUES), until) or []]


def _values_with(connection: sa.Connection, text: _Text, until: float) -> list[str]:
    """Texts of a field that contain the text, in any row; none for the members of lists."""
    if text.name == TAGS.name:
        column = tags.c.name
        containing = sa.select(column).where(column.icontains(_part(text), autoescape=True))
        return _tags(connection, containing, text, until)
    if isinstance(text.test, Has):
        return []
    value = column_of(text.name, Kind.TEXT, connection.dialect.name)
    found = sa.select(value).where(value.icontains(_part(text), autoescape=True)).distinct()
    return [row[0] for row in _rows(connection, found.limit(_MOST_VALUES), until) or []]


def _tags(connection: sa.Connection, found: sa.Select[Any], text: _Text, until: float) -> list[str]:
    """Those of the tags found that are about as long as the text."""
    name = tags.c.name
    found = found.order_by(sa.func.abs(sa.func.length(name) - len(_part(text))), name)
    return [row[0] for row in _rows(connection, found.limit(_MOST_VALUES), until) or []]


def _part(text: _Text) -> str:
    """The longest part of the text without a sign that stands for any text."""
    return max(re.split("[*%]", text.text), key=len)[:LONGEST]


def _sample(
    connection: sa.Connection, value: sa.ColumnElement[Any], *, is_whole: bool
) -> sa.Subquery:
    """The values of some rows from all over the table, or of all rows."""
    rows = sa.select(value.label("value"))
    if is_whole:
        return rows.subquery()
    last = connection.execute(sa.select(sa.func.max(loras.c.file_id))).scalar() or 0
    bounds = [max(last, 0) * at // _RANGES for at in range(_RANGES + 1)]
    ranges = [loras.c.file_id < 0, loras.c.file_id == 0]
    ranges += [
        sa.and_(loras.c.file_id > low, loras.c.file_id <= high)
        for low, high in pairwise(bounds)
        if low < high
    ]
    parts = (rows.where(where).order_by(loras.c.file_id).limit(_ROWS_OF_RANGE) for where in ranges)
    return sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()


def _members(lists: sa.Subquery, dialect: str) -> sa.Subquery:
    """The members of lists."""
    if dialect == "postgresql":
        members = sa.func.jsonb_array_elements_text(lists.c.value).table_valued("value")
        members = members.render_derived()
    else:
        members = sa.func.json_each(lists.c.value).table_valued("value")
    return sa.select(members.c.value).select_from(lists.join(members, sa.true())).subquery()


def _rows(
    connection: sa.Connection, statement: sa.Select[Any], until: float
) -> list[sa.Row[Any]] | None:
    """The rows of a statement; None if they are not there by `until`, on the monotonic clock."""
    left = until - time.monotonic()
    if left <= 0:
        return None
    if connection.dialect.name == "postgresql":
        try:
            with connection.begin_nested():
                limit = sa.text(f"SET LOCAL statement_timeout = {round(left * 1000) + 1}")
                connection.execute(limit)
                return list(connection.execute(statement))
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != ENDED:
                raise
            return None
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        return list(connection.execute(statement))
    except sa.exc.OperationalError as error:
        if "interrupted" not in str(error.orig):
            raise
        return None
    finally:
        driver.set_progress_handler(None, 0)
