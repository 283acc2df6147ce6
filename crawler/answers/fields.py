"""The fields that queries can use, with their fill rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.query.fields import SHORT_NAMES, TAGS, Field, spelled
from crawler.query.near import SYNONYMS
from crawler.store.connect.database import Connection
from crawler.store.read.columns import key_fields
from crawler.store.read.search import fill_rates
from crawler.store.schema.fields import FIELDS
from crawler.store.stats.field_stats import Age, age

#: Every field.
_ALL = (*FIELDS, TAGS)

#: The names of the cells of a field.
COLUMNS = (
    *("name", "type", "unit", "group", "meaning", "share", "default", "usual"),
    *("keys", "short_names"),
)


@dataclass(frozen=True, slots=True)
class FieldList:
    """Some fields.

    Attributes:
        fields: In their public order.
        shares: The fill rate of each (the share of rows with a value, 0 to 1); empty where there is no
            database, or none of its rows was counted.
        made: How old the fill rates are; None where there are none.
    """

    fields: tuple[Field, ...]
    shares: Mapping[str, float]
    made: Age | None

    def rows(self) -> list[tuple[Any, ...]]:
        """The cells of each field, in the order of COLUMNS."""
        return [
            (
                spelled(field.name),
                field.kind.value,
                field.unit or None,
                field.group,
                field.meaning,
                self.shares.get(field.name),
                field.default or None,
                field.usual or None,
                list(field.keys) or None,
                short_names(field) or None,
            )
            for field in self.fields
        ]


def field_list(connection: Connection | None, word: str = "") -> FieldList:
    """The fields with a word in their name, short name or meaning; all without a word.

    With a database, keys of objects with the word in their name come after the object, and all keys
    after the object whose name the word is.
    """
    sought = word.casefold()
    found = [
        field
        for field in _ALL
        if any(
            sought in text for text in (field.name, field.meaning.casefold(), *short_names(field))
        )
        or field.name in SYNONYMS.get(sought, ())
    ]
    if connection is None:
        return FieldList(tuple(found), {}, None)
    shares = dict(fill_rates(connection, [field.name for field in _ALL]))
    if sought and shares:
        found = _with_keys(connection, found, sought, shares)
    return FieldList(tuple(found), shares, age(connection))


def short_names(field: Field) -> list[str]:
    """Other names that a query may use."""
    return [short for short, name in SHORT_NAMES.items() if name == field.name]


def _with_keys(
    connection: Connection, found: list[Field], sought: str, shares: dict[str, float]
) -> list[Field]:
    """The fields and, after each object, those of its keys that have the word; all for its whole name.

    The keys' shares of all rows are added to `shares`.
    """
    shown = {field.name for field in found}
    result = []
    for field in _ALL:
        result += [field] if field.name in shown else []
        for key, part in key_fields(connection, field.name):
            if sought == field.name or sought in key.name.partition(".")[2].casefold():
                result.append(key)
                shares[key.name] = part * shares[field.name]
    return result
