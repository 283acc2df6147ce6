"""Values brought to one kind, so that they can be compared or chosen among."""

from collections.abc import Sequence
from dataclasses import replace

from crawler.errors import QueryError
from crawler.query import dates
from crawler.query.fields import Kind
from crawler.query.parts import INT64, NUMBERS, WORDS, Part, mistake
from crawler.query.tree import Literal, names

#: What to write instead, by the kind that is wanted and the kind that was written.
_HINTS = {
    (Kind.INTEGER, Kind.TEXT): "write numbers without quotes: 64",
    (Kind.NUMBER, Kind.TEXT): "write numbers without quotes: 1e-4",
    (Kind.BOOLEAN, Kind.TEXT): "write true or false, without quotes",
    (Kind.TEXT, Kind.INTEGER): "put text in single quotes: '64'",
    (Kind.TEXT, Kind.NUMBER): "put text in single quotes: '1.5'",
    (Kind.TIME, Kind.INTEGER): "put dates in single quotes: '2025-01'",
    (Kind.LIST, Kind.TEXT): "ask for a member: has(model_tags, 'character')",
}


def compared(parts: Sequence[Part]) -> tuple[Kind, list[Part]]:
    """Parts that are to be compared: literals become what the fields beside them are.

    Whole and broken numbers may meet; a literal with a whole value is then made exact.

    Raises:
        QueryError: They cannot be compared.
    """
    kind, parts = _agreed(parts, _wanted([part for part in parts if not _literal(part)] or parts))
    if kind is Kind.TEXT and not any(names(part.node) for part in parts):
        message = "no field is compared here, only constants"
        raise mistake(parts[0], message, "a field is written without quotes: optimizer = 'Lion'")
    return kind, parts


def chosen(parts: Sequence[Part]) -> tuple[Kind, list[Part]]:
    """Parts of which one will be the value: NUMBER where any of them is.

    Raises:
        QueryError: They are of different kinds.
    """
    fields = [part for part in parts if not _literal(part)] or parts
    kind = _wanted(parts if {part.kind for part in parts} <= NUMBERS else fields)
    return _agreed(parts, kind)


def instant(part: Part) -> Part:
    """The time that a text stands for.

    Raises:
        QueryError: It is no date.
    """
    try:
        moment = dates.instant(str(part.node.value) if isinstance(part.node, Literal) else "")
    except ValueError as error:
        hint = "write a date like 2025, 2025-01, 2025-01-31 or 2025-01-31T18:30"
        raise mistake(part, f"this is no date: {error}", hint) from None
    return replace(part, node=Literal(moment, Kind.TIME))


def _literal(part: Part) -> bool:
    return isinstance(part.node, Literal)


def _wanted(parts: Sequence[Part]) -> Kind:
    """The kind of parts that nothing can change."""
    kinds = {part.kind for part in parts}
    if kinds == NUMBERS:
        return Kind.NUMBER
    first = parts[0]
    for part in parts:
        if part.kind is not first.kind and not {part.kind, first.kind} <= NUMBERS:
            raise _conflict(part, first)
    return first.kind


def _agreed(parts: Sequence[Part], kind: Kind) -> tuple[Kind, list[Part]]:
    if kind in (Kind.LIST, Kind.OBJECT):
        part = next(part for part in parts if part.kind is kind)
        hint = _HINTS[Kind.LIST, Kind.TEXT] if kind is Kind.LIST else "ask for `is not null`"
        raise mistake(part, f"{part.described} cannot be compared", hint)
    return kind, [_converted(part, kind, parts) for part in parts]


def _converted(part: Part, kind: Kind, parts: Sequence[Part]) -> Part:
    if part.kind is kind or not isinstance(part.node, Literal):
        return part
    value = part.node.value
    match kind, part.kind, value:
        case Kind.NUMBER, Kind.INTEGER, int():
            return replace(part, node=Literal(float(value), kind))
        case Kind.INTEGER, Kind.NUMBER, float():
            exact = value.is_integer() and int(value) in INT64
            return replace(part, node=Literal(int(value), kind)) if exact else part
        case Kind.BOOLEAN, Kind.INTEGER, 0 | 1:
            return replace(part, node=Literal(bool(value), kind))
        case Kind.TIME, Kind.TEXT, str():
            return instant(part)
        case _:
            raise _conflict(part, next(other for other in parts if other.kind is kind))


def _conflict(part: Part, other: Part) -> QueryError:
    return mistake(
        part,
        f"{other.described} cannot be compared with {WORDS[part.kind]}",
        _HINTS.get((other.kind, part.kind), ""),
    )
