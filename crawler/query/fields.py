"""The names that a query may use, and the lists of names that options take.

A field is a column of `loras`. An unknown name gets the nearest known ones as a hint.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from crawler.errors import QueryError
from crawler.query.near import LONGEST, nearest, offer


class Kind(StrEnum):
    """The types of values, as `lora-crawl fields` shows them.

    NUMBER is a 64-bit float, TIME an instant in UTC, LIST a JSON array of texts or numbers,
    OBJECT a JSON object, VALUE the value of one of its keys, which takes the kind that it is compared with.
    """

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true/false"
    TIME = "time"
    LIST = "list"
    OBJECT = "object"
    VALUE = "value"


#: What a value of each kind is called in messages.
WORDS = {
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.TEXT: "text",
    Kind.BOOLEAN: "true or false",
    Kind.TIME: "a time",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
    Kind.VALUE: "a value",
}


#: The unit of fields that also take a length of time, such as '2h'.
SECONDS = "s"

#: The unit of hashes, which are compared without regard to case.
HEX = "hex"


@dataclass(frozen=True, slots=True)
class Field:
    """One column of `loras`.

    Attributes:
        group: The heading under which `lora-crawl fields` lists it.
        meaning: One sentence without a full stop.
        unit: `px`, `s`, `bytes` …, empty where there is none.
        default: The default of sd-scripts; empty where it has none.
        usual: Common values; empty where there are none.
        keys: The metadata keys that it is read from, each after the trainers that write it
            (`kohya: ss_network_dim`); empty where no key has it.
    """

    name: str
    kind: Kind
    group: str
    meaning: str
    unit: str = ""
    default: str = ""
    usual: str = ""
    keys: tuple[str, ...] = ()


#: Not a column: the caption tags have a table of their own, and only `has()` takes this name.
TAGS = Field("tags", Kind.LIST, "data", "caption tags, only in has(tags, '1girl')")

#: Other names that a query may use, and the fields they stand for.
SHORT_NAMES: Mapping[str, str] = {
    "rank": "network_dim",
    "alpha": "network_alpha",
    "lr": "learning_rate",
    "te_lr": "text_encoder_lr",
    "batch": "batch_size",
    "author": "creator",
    "tag": TAGS.name,
}

#: A key that needs no quotes in a query.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")


def named(name: str, fields: Mapping[str, Field]) -> Field | None:
    """The field with this name or short name, in any case; None if there is none.

    `optimizer_args.weight_decay` is a key of an object, in the spelling of the file.
    """
    name, dot, key = name.partition(".")
    name = name.lower()
    field = fields.get(name) or fields.get(SHORT_NAMES.get(name, ""))
    if not dot or field is None:
        return field
    is_key = field.kind is Kind.OBJECT and key and '"' not in key
    return key_field(field, key) if is_key else None


def key_field(field: Field, key: str) -> Field:
    """The key of an object as a field of its own."""
    return Field(f"{field.name}.{key}", Kind.VALUE, field.group, f"key of {field.name}")


def spelled(name: str) -> str:
    """The name of a field as a query takes it: the key of an object is in quotes where it must be."""
    name, dot, key = name.partition(".")
    if not dot or _PLAIN_KEY.fullmatch(key):
        return f"{name}{dot}{key}"
    return f"{name}.'{key.replace(chr(39), chr(39) * 2)}'"


def unknown(name: str, known: Iterable[str], start: int, end: int) -> QueryError:
    """The error for an unknown name, with the nearest known ones as a hint."""
    offered = offer(nearest(name, known))
    hint = f"{offered} `lora-crawl fields` lists all names".strip()
    if "." in name:
        hint = "only objects have keys, as in optimizer_args.weight_decay; write other fields alone"
    return QueryError(f"there is no field named {clipped(name)}", start=start, end=end, hint=hint)


def clipped(name: str) -> str:
    """A name, cut to the length that messages show."""
    return name if len(name) <= LONGEST else name[:LONGEST] + "…"


def columns(text: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The fields that a comma-separated list names, `*` alone for all of them.

    Raises:
        QueryError: A name is unknown or given twice.
    """
    if text.strip() == "*":
        return tuple(fields)
    return tuple(field.name for field, _, _, _ in _listed(text, fields, signed=False))


def order(text: str, fields: Mapping[str, Field]) -> tuple[tuple[str, bool], ...]:
    """The fields to sort by, each with whether the largest comes first: `-images_seen,network_dim`.

    Raises:
        QueryError: A name is unknown, given twice, or has no order.
    """
    result = []
    for field, descending, start, end in _listed(text, fields, signed=True):
        _refuse_nested(field, "has no order", text, start, end)
        result.append((field.name, descending))
    return tuple(result)


def grouping(text: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The fields to group by.

    Raises:
        QueryError: A name is unknown or given twice, or its values are lists or objects.
    """
    result = []
    for field, _, start, end in _listed(text, fields, signed=False):
        _refuse_nested(field, "cannot be grouped by", text, start, end)
        result.append(field.name)
    return tuple(result)


def counted(text: str, fields: Mapping[str, Field]) -> tuple[Field, ...]:
    """The fields whose values are counted; of lists their members, of objects their keys and values.

    Raises:
        QueryError: A name is unknown or given twice, or it is `tags`.
    """
    found = list(_listed(text, {**fields, TAGS.name: TAGS}, signed=False))
    for field, _, start, end in found:
        if field == TAGS:
            hint = "count them with lora-crawl sql; docs/questions.md shows how"
            raise QueryError("tags has no statistics", text=text, start=start, end=end, hint=hint)
    return tuple(field for field, _, _, _ in found)


def single_group(text: str, fields: Mapping[str, Field]) -> Field:
    """The field by whose values rows are grouped.

    Raises:
        QueryError: It is unknown or more than one, or its values are lists or objects.
    """
    (field, _, start, end), *more = _listed(text, {**fields, TAGS.name: TAGS}, signed=False)
    _refuse_nested(field, "cannot be grouped by", text, start, end)
    hint = "`lora-crawl query --group-by` takes several fields, and keys of objects"
    if more:
        raise QueryError(
            "--by takes one field", text=text, start=more[0][2], end=more[0][3], hint=hint
        )
    if field.kind is Kind.VALUE:
        message = f"{spelled(field.name)} is the key of an object"
        raise QueryError(message, text=text, start=start, end=end, hint=hint)
    return field


def measures(text: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The fields whose medians are shown for groups.

    Raises:
        QueryError: A name is unknown or given twice, or its values are no numbers.
    """
    result = []
    for field, _, start, end in _listed(text, fields, signed=False):
        if field.kind not in (Kind.INTEGER, Kind.NUMBER, Kind.VALUE):
            message = f"{field.name} is {WORDS[field.kind]} and has no median"
            raise QueryError(message, text=text, start=start, end=end)
        result.append(field.name)
    return tuple(result)


def _listed(
    text: str, fields: Mapping[str, Field], *, signed: bool
) -> Iterator[tuple[Field, bool, int, int]]:
    """The fields of a comma-separated list, each with its sign and its place in the text."""
    seen: set[str] = set()
    at = 0
    for piece in text.split(","):
        written = piece.strip()
        start = at + piece.find(written)
        end = start + len(written)
        at += len(piece) + 1
        descending = signed and written.startswith("-")
        name = written.removeprefix("-" if signed else "")
        if not name:
            start = max(min(start, len(text) - 1), 0)
            raise QueryError("a name is missing", text=text, start=start, end=max(end, start + 1))
        field = named(name, fields)
        if field is None:
            error = unknown(name.lower(), fields, start, end)
            error.text = text
            raise error
        if field.name in seen:
            raise QueryError(f"{field.name} is given twice", text=text, start=start, end=end)
        seen.add(field.name)
        yield field, descending, start, end


def _refuse_nested(field: Field, message: str, text: str, start: int, end: int) -> None:
    if field.kind in (Kind.LIST, Kind.OBJECT):
        message = f"{field.name} is {WORDS[field.kind]} and {message}"
        raise QueryError(message, text=text, start=start, end=end)
