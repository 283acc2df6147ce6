"""The short spelling of conditions, without characters that are special to a shell.

    network_dim:64        network_dim:16,32        network_dim:16..64    65..    ..64
    optimizer:Prodigy     optimizer:Ada*,Lion      model_name:'Some, name'
    published_at:2025     published_at:2025-01..2025-07                  published_at:-30d
    training_seconds:2h..                        v2:true
    model_tags:character  tags:1girl               network_alpha:*

- A number may be a range, which includes its ends.
- Text is compared without regard to the case of ASCII letters; `*` matches any text.
- A date means the whole year, month, day … . As an end of a range it means the first instant. A relative
  time means everything since then.
- A list matches if the value is a member, spelled exactly so.
- The key of an object, `optimizer_args.weight_decay:0.1`, is compared as a number if the value is one or a
  range of them, else as text.
- `*` alone matches any value, for every kind of field.
- Commas separate alternatives. A value in quotes may contain blanks and commas, and no character in
  it is special.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from crawler.query import dates, types
from crawler.query.fields import SECONDS, TAGS, Field, Kind
from crawler.query.lexer import Mark, Token
from crawler.query.tree import And, Comparison, Is, Like, Literal, Or
from crawler.query.types import Part, constant, instant, joined, mistake, number

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def condition(field: Field, subject: Part, alternatives: Sequence[Token]) -> Part:
    """The meaning of a short condition; `subject` is the field where it is written.

    Raises:
        QueryError: A value does not fit the field.
    """
    return _any([_alternative(field, subject, token) for token in alternatives])


def _any(parts: Sequence[Part]) -> Part:
    return parts[0] if len(parts) == 1 else joined(Or(tuple(part.node for part in parts)), parts)


def _alternative(field: Field, subject: Part, token: Token) -> Part:
    value = _text(token.text, token.start, token.end)
    quoted = token.mark is Mark.TEXT
    if not quoted and not token.text:
        place = replace(value, start=subject.start)
        raise mistake(place, "a value is missing", f"{field.name}:* matches any value")
    if not quoted and token.text == "*":
        if field == TAGS:
            raise mistake(value, "tags is not a column", "write tag_count:* for any tags")
        missing = joined(Is(subject.node, value=None), [subject, value])
        return types.negation(missing, subject.start)
    return _matching(field, subject, value, quoted=quoted)


def _matching(field: Field, subject: Part, value: Part, *, quoted: bool) -> Part:
    if field.kind is Kind.VALUE:
        # The key of an object may hold either.
        is_number = not quoted and all(map(_NUMBER.fullmatch, _ends(value)))
        kind = Kind.NUMBER if is_number else Kind.TEXT
        subject, field = types.read_as(subject, kind), replace(field, kind=kind)
    match field.kind:
        case Kind.INTEGER | Kind.NUMBER | Kind.TIME if not quoted and ".." in _value(value):
            return _range(subject, value, _reader(field))
        case Kind.INTEGER | Kind.NUMBER:
            return types.comparison("=", subject, _reader(field)(value))
        case Kind.TIME:
            return _period(subject, value)
        case Kind.TEXT:
            return _like(subject, value, quoted=quoted)
        case Kind.BOOLEAN:
            return _truth(subject, value)
        case Kind.LIST:
            return _member(field, subject, value, quoted=quoted)
    hint = f"{field.name}:* tests whether there is one"
    raise mistake(value, f"{field.name} is an object and has no single value", hint)


def _text(text: str, start: int, end: int) -> Part:
    return Part(Literal(text, Kind.TEXT), start, end)


def _value(literal: Part) -> Any:
    return literal.node.value if isinstance(literal.node, Literal) else None


def _reader(field: Field) -> Callable[[Part], Part]:
    if field.kind is Kind.TIME:
        return instant
    return _length if field.unit == SECONDS else _number


def _length(value: Part) -> Part:
    return _number(value) if _NUMBER.fullmatch(_value(value)) else types.length(value)


def _ends(value: Part) -> list[str]:
    """The ends of a range, or a single value."""
    return [end for end in _value(value).split("..", 1) if end] or [""]


def _number(value: Part) -> Part:
    text = _value(value)
    if not _NUMBER.fullmatch(text):
        raise mistake(value, "this is not a number", "write e.g. 64, 16..64, 65.., 1e-4 or -5")
    return number(text, value.start, value.end)


def _range(subject: Part, value: Part, read: Callable[[Part], Part]) -> Part:
    """`low..high`; one of them may be missing."""
    low, dots, high = _value(value).partition("..")
    middle = value.start + len(low)
    places = [
        _text(low, value.start, middle),
        _text(high, middle + len(dots), middle + len(dots) + len(high)),
    ]
    ends = [read(place) for place in places if _value(place)]
    match ends:
        case []:
            raise mistake(value, "this range has neither end", "write 16..64, 65.. or ..64")
        case [end]:
            return types.comparison(">=" if low else "<=", subject, end)
        case _:
            if _value(ends[0]) > _value(ends[1]):
                raise mistake(value, "this range is empty", "put the smaller end first")
            return types.between(subject, *ends)


def _period(subject: Part, value: Part) -> Part:
    since = Comparison(">=", subject.node, instant(value).node)
    _, after = dates.span(_value(value))
    if after is None:
        return joined(since, [subject, value])
    until = Comparison("<", subject.node, Literal(after, Kind.TIME))
    return joined(And((since, until)), [subject, value])


def _like(subject: Part, value: Part, *, quoted: bool) -> Part:
    pattern = re.sub(r"[\\%_]", r"\\\g<0>", _value(value))
    escape = "\\" if "\\" in pattern else ""
    if not quoted:
        pattern = pattern.replace("*", "%")
    return joined(Like(subject.node, pattern, escape), [subject, value])


def _truth(subject: Part, value: Part) -> Part:
    truth = _TRUTH.get(_value(value).lower())
    if truth is None:
        raise mistake(value, "this is neither true nor false")
    literal = constant(truth, Kind.BOOLEAN, value.start, value.end)
    return types.comparison("=", subject, literal)


def _member(field: Field, subject: Part, value: Part, *, quoted: bool) -> Part:
    """A list may have texts or numbers as members: a number is searched as both."""
    members = [value]
    if not quoted and field != TAGS and _NUMBER.fullmatch(_value(value)):
        members.append(_number(value))
    return _any([types.has(field, subject, member, value.end) for member in members])
