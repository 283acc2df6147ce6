"""The columns of `loras` by the names that a query uses, the keys of its JSON columns included.

`optimizer_args.weight_decay` is the value of a key. Trainers write numbers and truth values as texts too, so
it can be read as a number, a text or a truth value: whatever cannot be read so is NULL. Both databases read
alike.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.query.fields import TAGS, Field, Kind, key_field
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from crawler.store.schema.types import Json

Element = sa.ColumnElement[Any]
Truth = sa.ColumnElement[bool]

#: Longest text that is read as a number, in characters. No float needs more.
_MAX_NUMERAL = 25

#: A number as JSON writes it, with an exponent of at most two digits: PostgreSQL refuses larger floats.
_NUMERAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$"

#: Rows whose keys are listed, which takes some hundredths of a second, and most keys listed. Some files have
#: keys that no other has.
_SAMPLE, _MOST_KEYS = 10_000, 200

#: Longest name of a result column that PostgreSQL keeps, in bytes.
MAX_LABEL = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """The value of a key: tests of its type, NULL where the key is missing, and its value in each form."""

    is_number: Truth
    is_numeral: Truth  # a text that is a number
    is_text: Truth
    is_true: Truth
    is_false: Truth
    number: Element
    text: Element
    json: Element


def column_of(name: str, kind: Kind, dialect: str) -> Element:
    """The column that a query calls by this name; the key of a JSON column is read as `kind`.

    For `tags`, which has a table of its own, it is a column that is NULL where the tags are unknown.
    """
    name, dot, key = name.partition(".")
    if not dot:
        return loras.c.tag_count if name == TAGS.name else loras.c[name]
    read = _on_postgresql if dialect == "postgresql" else _on_sqlite
    return _form(read(loras.c[name], key), kind)


def labelled(name: str, dialect: str) -> Element:
    """The column as a result column with this name."""
    found = column_of(name, Kind.VALUE, dialect)
    return found.label(name[:MAX_LABEL]) if "." in name else found


def ordered_by(name: str, dialect: str) -> tuple[Element, ...]:
    """What rows are compared by to sort by a name: of a key first its numbers, then its texts."""
    kinds = (Kind.NUMBER, Kind.TEXT) if "." in name else (Kind.VALUE,)
    return tuple(column_of(name, kind, dialect) for kind in kinds)


def members_of(column: Element, kind: Kind, dialect: str) -> tuple[sa.FromClause, Element]:
    """The members of a list, or the keys of an object, each as an object with its value.

    They are rows to join, and the JSON of each.
    """
    if dialect == "postgresql":
        if kind is Kind.LIST:
            each = sa.func.jsonb_array_elements(column).table_valued("value").render_derived()
            return each, sa.type_coerce(each.c.value, Json())
        each = sa.func.jsonb_each(column).table_valued("key", "value").render_derived()
        return each, sa.func.jsonb_build_object(each.c.key, each.c.value, type_=Json())
    each = sa.func.json_each(column).table_valued("key", "value", "type")
    key, value, its_type = each.c
    # json_each gives 1 and 0 for truth values.
    literal: Element = sa.case(
        (its_type.in_(("true", "false", "null")), its_type),
        (its_type.in_(("array", "object")), value),
        else_=sa.func.json_quote(value),
    )
    if kind is Kind.OBJECT:
        literal = sa.func.json_object(key, sa.func.json(literal))
    return each, sa.type_coerce(literal, Json())


def frequent_values(connection: sa.Connection, name: str, begin: str, most: int) -> list[str]:
    """The values of a text column that begin so without regard to ASCII case, the most frequent first."""
    column = loras.c[name]
    statement = (
        sa.select(column)
        .where(sa.func.lower(column).startswith(begin.lower(), autoescape=True))
        .group_by(column)
        .order_by(sa.func.count().desc(), column)
        .limit(most)
    )
    return list(connection.scalars(statement))


def key_fields(connection: sa.Connection, name: str) -> list[tuple[Field, float]]:
    """The keys of an object as fields, each with its share of the rows that have the object.

    They are those of the first _SAMPLE such rows, at most _MOST_KEYS, the most frequent first. Empty for a
    name that is no object's.
    """
    field = BY_NAME.get(name)
    if field is None or field.kind is not Kind.OBJECT:
        return []
    column = loras.c[name]
    rows = sa.select(column).where(column.is_not(None)).limit(_SAMPLE).subquery()
    if connection.dialect.name == "postgresql":
        keys = sa.func.jsonb_object_keys(rows.c[name]).table_valued("key").render_derived()
    else:
        keys = sa.func.json_each(rows.c[name]).table_valued("key")
    key, number = keys.c.key, sa.func.count()
    counted = sa.select(key, number).select_from(rows.join(keys, sa.true())).group_by(key)
    total = connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
    found = connection.execute(counted.order_by(number.desc(), key).limit(_MOST_KEYS)).all()
    return [(key_field(field, key), number / total) for key, number in found if '"' not in key]


def _form(key: _Key, kind: Kind) -> Element:
    """The value in the form of a kind, NULL where it has none; for VALUE the JSON.

    As a text, a truth value is spelled as Python does, which trainers write as a text.
    """
    match kind:
        case Kind.NUMBER:
            return sa.case((sa.or_(key.is_number, key.is_numeral), key.number))
        case Kind.TEXT:
            return sa.case((key.is_text, key.text), (key.is_true, "True"), (key.is_false, "False"))
        case Kind.BOOLEAN:
            spelled = sa.func.lower(key.text)
            return sa.case(
                (sa.or_(key.is_true, sa.and_(key.is_text, spelled == "true")), sa.true()),
                (sa.or_(key.is_false, sa.and_(key.is_text, spelled == "false")), sa.false()),
            )
    return key.json


def _on_sqlite(column: Element, key: str) -> _Key:
    path = sa.literal(f'$."{key}"', sa.Text())
    value = sa.func.json_extract(column, path, type_=sa.Text())
    its_type = sa.func.json_type(column, path, type_=sa.Text())
    is_text, is_true, is_false = (its_type == name for name in ("text", "true", "false"))
    numeral = (
        is_text,
        sa.func.length(value) <= _MAX_NUMERAL,
        sa.func.json_valid(value) == 1,
        value.op("GLOB", is_comparison=True)("[-0-9]*"),
        value.op("GLOB", is_comparison=True)("*[0-9]"),
        sa.not_(value.op("GLOB", is_comparison=True)("*[eE]*[0-9][0-9][0-9]")),
    )
    # json_extract gives 1 and 0 for truth values.
    quoted = sa.case(
        (is_true, "true"), (is_false, "false"), (its_type != "null", sa.func.json_quote(value))
    )
    return _Key(
        is_number=its_type.in_(("integer", "real")),
        is_numeral=sa.and_(*numeral),
        is_text=is_text,
        is_true=is_true,
        is_false=is_false,
        number=sa.cast(value, sa.REAL()),
        text=value,
        json=sa.type_coerce(quoted, Json()),
    )


def _on_postgresql(column: Element, key: str) -> _Key:
    value = sa.func.jsonb_extract_path(column, key, type_=Json())
    text = sa.func.jsonb_extract_path_text(column, key, type_=sa.Text())
    its_type = sa.func.jsonb_typeof(value, type_=sa.Text())
    is_truth = its_type == "boolean"
    is_numeral = sa.and_(
        its_type == "string", sa.func.length(text) <= _MAX_NUMERAL, text.regexp_match(_NUMERAL)
    )
    return _Key(
        is_number=its_type == "number",
        is_numeral=is_numeral,
        is_text=its_type == "string",
        is_true=sa.and_(is_truth, text == "true"),
        is_false=sa.and_(is_truth, text == "false"),
        number=sa.cast(text, sa.Double()),
        text=sa.collate(text, "C"),
        json=sa.case((its_type != "null", value)),
    )
