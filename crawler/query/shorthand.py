"""The short spelling of conditions, without characters that are special to a shell.

    network_dim:64        network_dim:16,32        network_dim:16..64    65..    ..64
    optimizer:Prodigy     optimizer:Ada*,Lion      model_name:'Some, name'
    published_at:2025     published_at:2025-01..2025-07                  v2:true
    model_tags:character  tags:1girl               network_alpha:*

- A number may be a range, which includes its ends.
- Text is compared without regard to the case of ASCII letters; `*` matches any text.
- A date is the whole year, month, day … that it names; as an end of a range it is the first instant.
- A list matches if the value is a member, spelled exactly so.
- `*` alone matches any value, for every kind of field.
- Commas separate alternatives. A value in quotes may contain blanks and commas, and no character in
  it is special.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crawler.query import dates, types
from crawler.query.fields import TAGS, Field, Kind
from crawler.query.lexer import Piece
from crawler.query.tree import And, Comparison, Is, Like, Literal, Or
from crawler.query.types import Part, column, constant, instant, joined, mistake, number

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One alternative.

    Attributes:
        subject: The field and its place.
        value: The text after the colon and its place.
        special: Dots, stars and digits are special; in quotes they are not.
    """

    field: Field
    subject: Part
    value: Part
    text: str
    special: bool


def condition(field: Field, pieces: Sequence[Piece], start: int) -> Part:
    """The meaning of a short condition; `start` is the index of the first character of the field.

    Raises:
        QueryError: A value does not fit the field.
    """
    subject = column(field, start, start + len(field.name))
    asked = [
        _Asked(
            field,
            subject,
            Part(Literal(piece.text, Kind.TEXT), piece.start, piece.end),
            piece.text,
            special=not piece.quoted,
        )
        for piece in pieces
    ]
    return _any([_alternative(each) for each in asked])


def _any(parts: Sequence[Part]) -> Part:
    return parts[0] if len(parts) == 1 else joined(Or(tuple(part.node for part in parts)), parts)


def _place(text: str, start: int) -> Part:
    return Part(Literal(text, Kind.TEXT), start, start + len(text))


def _alternative(asked: _Asked) -> Part:
    if asked.special and not asked.text:
        hint = f"{asked.field.name}:* matches any value"
        raise mistake(replace(asked.value, start=asked.subject.start), "a value is missing", hint)
    if asked.special and asked.text == "*":
        if asked.field == TAGS:
            raise mistake(asked.value, "tags is not a column", "write tag_count:* for any tags")
        present = joined(Is(asked.subject.node, value=None), [asked.subject, asked.value])
        return types.negation(present, asked.subject.start)
    return _READERS[asked.field.kind](asked)


def _number_or_range(asked: _Asked) -> Part:
    if asked.special and ".." in asked.text:
        return _range(asked, _number)
    return types.comparison("=", asked.subject, _number(asked.value))


def _time_or_range(asked: _Asked) -> Part:
    if asked.special and ".." in asked.text:
        return _range(asked, instant)
    since = Comparison(">=", asked.subject.node, instant(asked.value).node)
    _, after = dates.span(asked.text)
    if after is None:
        return joined(since, [asked.subject, asked.value])
    until = Comparison("<", asked.subject.node, Literal(after, Kind.TIME))
    return joined(And((since, until)), [asked.subject, asked.value])


def _text(asked: _Asked) -> Part:
    pattern = re.sub(r"[\\%_]", r"\\\g<0>", asked.text)
    escape = _ESCAPE if _ESCAPE in pattern else ""
    if asked.special:
        pattern = pattern.replace("*", "%")
    return joined(Like(asked.subject.node, pattern, escape), [asked.subject, asked.value])


def _truth(asked: _Asked) -> Part:
    truth = _TRUTH.get(asked.text.lower())
    if truth is None:
        raise mistake(asked.value, "this is neither true nor false")
    value = constant(truth, Kind.BOOLEAN, asked.value.start, asked.value.end)
    return types.comparison("=", asked.subject, value)


def _member(asked: _Asked) -> Part:
    """A list may have texts or numbers as members: a number is searched as both."""
    members = [asked.value]
    if asked.special and asked.field != TAGS and _NUMBER.fullmatch(asked.text):
        members.append(_number(asked.value))
    found = [types.has(asked.field, asked.subject, each, asked.value.end) for each in members]
    return _any(found)


def _object(asked: _Asked) -> Part:
    hint = f"{asked.field.name}:* tests whether there is one"
    raise mistake(asked.value, f"{asked.field.name} is an object and has no single value", hint)


def _number(value: Part) -> Part:
    text = _value(value)
    if not _NUMBER.fullmatch(text):
        raise mistake(value, "this is not a number", "write e.g. 64, 16..64, 65.., 1e-4 or -5")
    return number(text, value.start, value.end)


def _range(asked: _Asked, read: Callable[[Part], Part]) -> Part:
    """`low..high`; one of them may be missing."""
    low, dots, high = asked.text.partition("..")
    start = asked.value.start
    places = [_place(low, start), _place(high, start + len(low) + len(dots))]
    ends = [read(place) for place in places if _value(place)]
    match ends:
        case []:
            raise mistake(asked.value, "this range has neither end", "write 16..64, 65.. or ..64")
        case [end]:
            return types.comparison(">=" if low else "<=", asked.subject, end)
        case _:
            if _value(ends[0]) > _value(ends[1]):
                raise mistake(asked.value, "this range is empty", "put the smaller end first")
            return types.between(asked.subject, *ends)


def _value(literal: Part) -> Any:
    return literal.node.value if isinstance(literal.node, Literal) else None


_READERS: dict[Kind, Callable[[_Asked], Part]] = {
    Kind.INTEGER: _number_or_range,
    Kind.NUMBER: _number_or_range,
    Kind.TIME: _time_or_range,
    Kind.TEXT: _text,
    Kind.BOOLEAN: _truth,
    Kind.LIST: _member,
    Kind.OBJECT: _object,
}
