"""A queryable name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from crawler.errors import QueryError


class Kind(StrEnum):
    """The types of values, as `fields` shows them.

    NUMBER is a 64-bit float, TIME an instant in UTC, LIST a JSON array of texts or numbers,
    OBJECT a JSON object.
    """

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true/false"
    TIME = "time"
    LIST = "list"
    OBJECT = "object"


#: What a value of each kind is called in messages.
WORDS = {
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.TEXT: "text",
    Kind.BOOLEAN: "true or false",
    Kind.TIME: "a time",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column of `loras`.

    Attributes:
        group: The heading under which `fields` lists it.
        meaning: One sentence without a full stop.
        unit: `px`, `s`, `bytes` …, empty where there is none.
        default: What sd-scripts takes when it is told nothing; empty where nothing is to be said.
        usual: What people train with; empty where nothing is usual.
        keys: Those of the metadata that feed it, each behind the trainers that write it
            (`kohya: ss_network_dim`); empty for what no key says.
    """

    name: str
    kind: Kind
    group: str
    meaning: str
    unit: str = ""
    default: str = ""
    usual: str = ""
    keys: tuple[str, ...] = ()


#: No column: the caption tags stand in a table of their own, and only `has()` asks for them.
TAGS = Field("tags", Kind.LIST, "data", "caption tags, only in has(tags, '1girl')")


#: How many near names are offered for one that is unknown.
MAX_OFFERED = 3

#: Fewest letters that count as the beginning of a name.
_BEGINNING = 3

#: Longest name that is shown and compared with all others, in characters; no field has 30.
_LONGEST = 60


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """The known names that a mistyped one may stand for, the likeliest first; at most MAX_OFFERED."""
    known = tuple(names)
    wanted = name[:_LONGEST].lower()
    near = get_close_matches(wanted, known, n=MAX_OFFERED, cutoff=0.7)
    # A part of a name, like `rank` for tensor_rank or `netw` for network_dim.
    parts = [
        other
        for other in known
        if any(
            part.startswith(wanted) if len(wanted) >= _BEGINNING else part == wanted
            for part in other.split("_")
        )
    ]
    far = get_close_matches(wanted, known, n=MAX_OFFERED, cutoff=0.5)
    return tuple(dict.fromkeys([*near, *parts, *far]))[:MAX_OFFERED]


def unknown(name: str, known: Iterable[str], start: int, end: int) -> QueryError:
    """The error for a name that is none of the known ones."""
    near = nearest(name, known)
    offer = f"did you mean {' or '.join(near)}? " if near else ""
    hint = f"{offer}`lora-crawl fields` lists all names"
    return QueryError(f"there is no field named {clipped(name)}", start=start, end=end, hint=hint)


def clipped(name: str) -> str:
    """A name as messages show it."""
    return name if len(name) <= _LONGEST else name[:_LONGEST] + "…"


def columns(text: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The fields that a comma-separated list names, `*` alone for all of them.

    Raises:
        QueryError: A name is unknown or stands there twice.
    """
    if text.strip() == "*":
        return tuple(fields)
    return tuple(name for name, _, _, _ in _listed(text, fields, signed=False))


def order(text: str, fields: Mapping[str, Field]) -> tuple[tuple[str, bool], ...]:
    """The fields to sort by, each with whether the largest comes first: `-images_seen,network_dim`.

    Raises:
        QueryError: A name is unknown, stands there twice, or has no order.
    """
    result = []
    for name, descending, start, end in _listed(text, fields, signed=True):
        if fields[name].kind in (Kind.LIST, Kind.OBJECT):
            message = f"{name} is {WORDS[fields[name].kind]} and has no order"
            raise QueryError(message, text=text, start=start, end=end)
        result.append((name, descending))
    return tuple(result)


def grouping(text: str, fields: Mapping[str, Field]) -> str:
    """The field to group by.

    Raises:
        QueryError: The name is unknown, or its values are lists or objects.
    """
    ((name, _, start, end), *more) = _listed(text, fields, signed=False)
    if more:
        _, _, start, end = more[0]
        raise QueryError("rows are grouped by one field", text=text, start=start, end=end)
    if fields[name].kind in (Kind.LIST, Kind.OBJECT):
        raise QueryError(
            f"{name} is {WORDS[fields[name].kind]} and cannot be grouped by",
            text=text,
            start=start,
            end=end,
        )
    return name


def _listed(
    text: str, fields: Mapping[str, Field], *, signed: bool
) -> Iterator[tuple[str, bool, int, int]]:
    seen: set[str] = set()
    for found in re.finditer(r"[^,]*(?:,|$)", text):
        raw = found[0].removesuffix(",")
        name = raw.strip()
        start = found.start() + raw.find(name)
        end = start + len(name)
        if not raw and found.start() == len(text) and seen:
            if text.endswith(","):
                raise QueryError("a name is missing", text=text, start=start - 1, end=end)
            return
        descending = signed and name.startswith("-")
        bare = name.removeprefix("-").lower() if signed else name.lower()
        if not bare:
            raise QueryError("a name is missing", text=text, start=start, end=max(end, start + 1))
        if bare not in fields:
            error = unknown(bare, fields, start, end)
            error.text = text
            raise error
        if bare in seen:
            raise QueryError(f"{bare} stands here twice", text=text, start=start, end=end)
        seen.add(bare)
        yield bare, descending, start, end
