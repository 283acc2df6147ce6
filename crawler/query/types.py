"""The type rules of the query language.

The parser reads a condition from left to right and calls a function of this module for each
construct. The function takes the parts of the construct, checks their kinds, and returns a part with
a well-typed node. A literal takes the kind of the field that it is compared with: `'2025'` and a time
become an instant, `64.0` and an integer become 64. A broken rule raises QueryError with its place; the
parser adds the text.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import TypeAlias

from crawler.errors import QueryError
from crawler.model.int64 import INT64
from crawler.query import dates
from crawler.query.fields import SECONDS, TAGS, WORDS, Field, Kind
from crawler.query.lexer import Token
from crawler.query.tree import (
    Arithmetic,
    Between,
    Call,
    Column,
    Comparison,
    Has,
    In,
    Is,
    Like,
    Literal,
    Negative,
    Node,
    Not,
    Place,
    kind_of,
    names,
)

#: Deepest nesting of a condition, in levels. Compiling a level takes several of the 1,000 nested calls
#: that Python allows, and SQLite allows 1,000 levels in the resulting expression.
MAX_DEPTH = 50

#: Most decimal places that round() keeps: a 64-bit float has no more.
MAX_DIGITS = 15

#: What a literal may be made of; a time starts as text.
Constant: TypeAlias = bool | int | float | str

NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})

#: What lower() and upper() do, for `str.translate`: only ASCII letters change.
ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
ASCII_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)

#: Function -> fewest and most arguments, None for any number, and how a message says it.
FUNCTIONS: dict[str, tuple[int, int | None, str]] = {
    "lower": (1, 1, "one value"),
    "upper": (1, 1, "one value"),
    "abs": (1, 1, "one value"),
    "round": (1, 2, "one or two values"),
    "coalesce": (2, None, "two or more values"),
    "length": (1, 1, "one value"),
}

#: What to write instead, by the expected kind and the written kind.
_HINTS = {
    (Kind.INTEGER, Kind.TEXT): "write numbers without quotes: 64",
    (Kind.NUMBER, Kind.TEXT): "write numbers without quotes: 1e-4",
    (Kind.BOOLEAN, Kind.TEXT): "write true or false, without quotes",
    (Kind.TEXT, Kind.INTEGER): "put text in single quotes: '64'",
    (Kind.TEXT, Kind.NUMBER): "put text in single quotes: '1.5'",
    (Kind.TIME, Kind.INTEGER): "put dates in single quotes: '2025-01'",
    (Kind.LIST, Kind.TEXT): "test for a member: has(model_tags, 'character')",
}

#: A comparison that fits a field of each kind; other kinds are numbers.
_SAMPLES = {
    Kind.TEXT: "= 'some text'",
    Kind.TIME: ">= '2025-01'",
    Kind.LIST: "is not null",
    Kind.OBJECT: "is not null",
    Kind.VALUE: "= true",
}

#: A number as JSON writes it, short enough that a float holds it. Others, such as hashes, stay texts.
NUMERAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Part:
    """A node and where it was written.

    Attributes:
        start: Index of its first character in the text of the query.
        end: Index after its last character.
        depth: Levels of nodes.
    """

    node: Node
    start: int
    end: int
    depth: int = 1

    @property
    def kind(self) -> Kind:
        """The type of its value."""
        return kind_of(self.node)

    @property
    def described(self) -> str:
        """The part as messages name it: a field by its name and kind, anything else by its kind."""
        kind = WORDS[self.kind]
        return f"{self.node.name}, {kind}," if isinstance(self.node, Column) else kind


def mistake(place: Part | Token, message: str, hint: str = "") -> QueryError:
    """The error about a part or a token."""
    return QueryError(message, start=place.start, end=place.end, hint=hint)


def joined(node: Node, parts: Sequence[Part]) -> Part:
    """A node made of parts; it spans them all.

    Raises:
        QueryError: It is nested deeper than MAX_DEPTH.
    """
    start, end = min(part.start for part in parts), max(part.end for part in parts)
    result = Part(node, start, end, 1 + max(part.depth for part in parts))
    if result.depth > MAX_DEPTH:
        raise mistake(result, f"this is nested deeper than {MAX_DEPTH} levels")
    return result


# --- fields and literals ---


def column(field: Field, start: int, end: int) -> Part:
    """A field."""
    return Part(Column(field.name, field.kind, field.unit), start, end)


def constant(value: Constant, kind: Kind, start: int, end: int) -> Part:
    """A literal.

    Raises:
        QueryError: A number needs more than 64 bits.
    """
    part = Part(Literal(value, kind), start, end)
    if kind is Kind.INTEGER and value not in INT64:
        raise mistake(part, "this number is beyond 64 bits")
    if kind is Kind.NUMBER and not math.isfinite(float(value)):
        raise mistake(part, "this number is too large")
    return part


def number(text: str, start: int, end: int) -> Part:
    """The literal for a number as written; it is whole unless it has a point or an exponent.

    Raises:
        QueryError: It needs more than 64 bits.
    """
    if text.lstrip("-").isdigit():
        # Python refuses to read thousands of digits; 64 bits have 19.
        digits = text.lstrip("-").lstrip("0")[:20] or "0"
        value = int(digits)
        return constant(-value if text.startswith("-") else value, Kind.INTEGER, start, end)
    return constant(float(text), Kind.NUMBER, start, end)


def instant(part: Part) -> Part:
    """The time that a text literal names.

    Raises:
        QueryError: It is not a date.
    """
    try:
        moment = dates.span(str(part.node.value) if isinstance(part.node, Literal) else "")[0]
    except ValueError as error:
        hint = "write a date like 2025, 2025-01, 2025-01-31 or 2025-01-31T18:30, or -30d for 30 days ago"
        raise mistake(part, f"this is not a date: {error}", hint) from None
    return replace(part, node=Literal(moment, Kind.TIME))


def length(part: Part) -> Part:
    """The number of seconds that a text literal names.

    Raises:
        QueryError: It is not a length of time.
    """
    try:
        seconds = dates.seconds(str(part.node.value) if isinstance(part.node, Literal) else "")
    except ValueError as error:
        hint = "write seconds as a number, or a length like 45s, 90min, 2h, 1h30min or 3d"
        raise mistake(part, f"this is not a length of time: {error}", hint) from None
    return replace(part, node=Literal(seconds, Kind.NUMBER))


# --- which kinds agree ---


def _compared(parts: Sequence[Part]) -> tuple[Kind, list[Part]]:
    """Parts that are compared with each other: literals take the kind of the fields beside them.

    Integers and floats may be compared; a literal with a whole value then becomes an integer.
    """
    parts = _with_keys_read(parts)
    kind, parts = _agreed(
        parts, _common([part for part in parts if not _is_literal(part)] or parts)
    )
    if kind is Kind.TEXT and not any(names(part.node) for part in parts):
        message = "this compares constants, not a field"
        raise mistake(parts[0], message, "write a field without quotes: optimizer = 'Lion'")
    return kind, parts


def _chosen(parts: Sequence[Part]) -> tuple[Kind, list[Part]]:
    """Convert parts to one common kind, as the sides of `+` need: NUMBER if any part is a NUMBER."""
    parts = _with_keys_read(parts)
    fields = [part for part in parts if not _is_literal(part)] or parts
    return _agreed(parts, _common(parts if {part.kind for part in parts} <= NUMBERS else fields))


def read_as(part: Part, kind: Kind) -> Part:
    """The key of an object read as a value of this kind; any other part as it is."""
    readable = kind in {*NUMBERS, Kind.TEXT, Kind.BOOLEAN}
    if not readable or not isinstance(part.node, Column) or part.kind is not Kind.VALUE:
        return part
    return replace(part, node=Column(part.node.name, Kind.NUMBER if kind in NUMBERS else kind))


def _with_keys_read(parts: Sequence[Part]) -> Sequence[Part]:
    """The parts, with each key of an object read as the kind of the parts beside it.

    Only keys are read as texts. Beside texts that are all numbers, as in `= '32'`, keys are numbers: a file
    may hold either.
    """
    others = [part for part in parts if part.kind is not Kind.VALUE]
    if len(others) == len(parts):
        return parts
    numbers = [_number_of(part) for part in parts]
    if others and all(part.kind in NUMBERS or part.kind is Kind.VALUE for part in numbers):
        return [read_as(part, Kind.NUMBER) for part in numbers]
    fields = [part for part in others if not _is_literal(part)] or others
    kind = fields[0].kind if fields else Kind.TEXT
    return [read_as(part, kind) for part in parts]


def _number_of(part: Part) -> Part:
    """A text literal that is a number, as that number; any other part as it is."""
    text = part.node.value if isinstance(part.node, Literal) else None
    if isinstance(text, str) and NUMERAL.fullmatch(text):
        return replace(part, node=Literal(float(text), Kind.NUMBER))
    return part


def _is_literal(part: Part) -> bool:
    return isinstance(part.node, Literal)


def _common(parts: Sequence[Part]) -> Kind:
    """The kind of parts that cannot be converted."""
    if {part.kind for part in parts} == NUMBERS:
        return Kind.NUMBER
    first = parts[0]
    for part in parts:
        if part.kind is not first.kind and not {part.kind, first.kind} <= NUMBERS:
            raise _conflict(part, first)
    return first.kind


def _agreed(parts: Sequence[Part], kind: Kind) -> tuple[Kind, list[Part]]:
    if kind in (Kind.LIST, Kind.OBJECT):
        part = next(part for part in parts if part.kind is kind)
        hint = _HINTS[Kind.LIST, Kind.TEXT] if kind is Kind.LIST else "use `is not null`"
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
        case Kind.NUMBER, Kind.TEXT, str() if _in_seconds(parts):
            return length(part)
        case _:
            raise _conflict(part, next(other for other in parts if other.kind is kind))


def _in_seconds(parts: Sequence[Part]) -> bool:
    """Whether all fields among the parts are in seconds."""
    nodes = [part.node for part in parts if not _is_literal(part)]
    return all(isinstance(node, Column) and node.unit == SECONDS for node in nodes)


def _conflict(part: Part, other: Part) -> QueryError:
    return mistake(
        part,
        f"{other.described} cannot be compared with {WORDS[part.kind]}",
        _HINTS.get((other.kind, part.kind), ""),
    )


def _require(part: Part, kinds: frozenset[Kind] | set[Kind], message: str) -> None:
    if part.kind not in kinds:
        raise mistake(part, f"{message}; this is {WORDS[part.kind]}")


# --- values ---


def signed(sign: str, operand: Part, start: int) -> Part:
    """`-operand` or `+operand`. A literal becomes a literal with the other sign."""
    operand = read_as(operand, Kind.NUMBER)
    _require(operand, NUMBERS, "a sign needs a number")
    node = operand.node
    if sign == "+":
        return replace(operand, start=start)
    if isinstance(node, Literal) and not isinstance(node.value, str):
        return constant(-node.value, node.kind, start, operand.end)  # type: ignore[operator]
    operand = replace(operand, start=start)
    if isinstance(node, Negative):
        return replace(operand, node=node.operand)
    return joined(Negative(node, operand.kind), [operand])


def arithmetic(operator: str, left: Part, right: Part, text: str) -> Part:
    """`left operator right`, as written in `text`."""
    left, right = (read_as(part, Kind.NUMBER) for part in (left, right))
    for part in (left, right):
        _require(part, NUMBERS, f"{operator} takes numbers")
    kind, (left, right) = _chosen([left, right])
    place = Place(text, left.start, right.end)
    return joined(Arithmetic(operator, left.node, right.node, kind, place), [left, right])


def call(function: str, arguments: Sequence[Part], start: int, end: int) -> Part:
    """A function of values; `start` and `end` are those of the whole call."""
    fewest, most, allowed = FUNCTIONS[function]
    if not fewest <= len(arguments) <= (most or len(arguments)):
        whole = replace(arguments[0], start=start, end=end)
        raise mistake(whole, f"{function}() takes {allowed}")
    if function != "coalesce":
        kind = Kind.NUMBER if function in ("abs", "round") else Kind.TEXT
        arguments = [read_as(argument, kind) for argument in arguments]
    first = arguments[0]
    match function:
        case "coalesce":
            kind, arguments = _chosen(arguments)
        case "round":
            arguments = [*arguments, constant(0, Kind.INTEGER, start, end)][:2]
            _require(first, NUMBERS, "round() takes a number")
            _require_digits(arguments[1])
            kind = Kind.NUMBER
        case "abs":
            _require(first, NUMBERS, "abs() takes a number")
            kind = first.kind
        case _:
            _require(first, {Kind.TEXT}, f"{function}() takes text")
            kind = Kind.INTEGER if function == "length" else Kind.TEXT
            if kind is Kind.TEXT and isinstance(first.node, Literal):
                letters = ASCII_LOWER if function == "lower" else ASCII_UPPER
                return constant(str(first.node.value).translate(letters), kind, start, end)
    node = Call(function, tuple(part.node for part in arguments), kind)
    return replace(joined(node, arguments), start=start, end=end)


def _require_digits(part: Part) -> None:
    node = part.node
    if not isinstance(node, Literal) or node.kind is not Kind.INTEGER:
        message = "round() takes a constant number of digits"
        raise mistake(part, message, "write e.g. round(alpha_ratio, 2)")
    if node.value not in range(MAX_DIGITS + 1):
        raise mistake(part, f"round() keeps 0 to {MAX_DIGITS} digits")


# --- conditions ---


def condition(part: Part) -> Part:
    """The part, which must be true or false."""
    if part.kind is Kind.BOOLEAN:
        return part
    hint = "compare it with something"
    if isinstance(part.node, Column):
        sample = _SAMPLES.get(part.kind, "> 64")
        hint = f'write e.g. "{part.node.name} {sample}"'
        if ">" in sample:
            # Without quotes the shell turns `network_dim > 64` into this name and a file called 64.
            hint += "; without the double quotes the shell redirects to a file at >"
    raise mistake(part, f"this is {WORDS[part.kind]}, not a condition", hint)


def negation(operand: Part, start: int) -> Part:
    """`not operand`."""
    return joined(Not(condition(operand).node), [replace(operand, start=start)])


def comparison(operator: str, left: Part, right: Part) -> Part:
    """`left operator right`, both of one kind."""
    kind, (left, right) = _compared([left, right])
    if kind is Kind.BOOLEAN and operator not in ("=", "!="):
        raise mistake(right, "true and false have no order", "compare them with = or !=")
    return joined(Comparison(operator, left.node, right.node), [left, right])


def between(operand: Part, low: Part, high: Part) -> Part:
    """`operand between low and high`."""
    kind, (operand, low, high) = _compared([operand, low, high])
    if kind is Kind.BOOLEAN:
        raise mistake(operand, "true and false have no order", "compare them with = or !=")
    return joined(Between(operand.node, low.node, high.node), [operand, low, high])


def membership(operand: Part, options: Sequence[Part], end: int) -> Part:
    """`operand in (options)`."""
    _, (operand, *rest) = _compared([operand, *options])
    node = In(operand.node, tuple(part.node for part in rest))
    return replace(joined(node, [operand, *rest]), end=end)


def like(operand: Part, pattern: Part) -> Part:
    """`operand like 'pattern'`."""
    operand = read_as(operand, Kind.TEXT)
    _require(operand, {Kind.TEXT}, "like takes text")
    if not isinstance(pattern.node, Literal) or pattern.kind is not Kind.TEXT:
        raise mistake(pattern, "a pattern is a text in single quotes", "write e.g. like 'adam%'")
    return joined(Like(operand.node, str(pattern.node.value)), [operand, pattern])


def is_(operand: Part, value: bool | None, end: int) -> Part:  # noqa: FBT001 - a value, no switch
    """`operand is value`, None for NULL."""
    if value is not None:
        operand = read_as(operand, Kind.BOOLEAN)
        _require(operand, {Kind.BOOLEAN}, "`is true` and `is false` take a condition")
    return joined(Is(operand.node, value), [replace(operand, end=end)])


def has(field: Field, subject: Part, member: Part, end: int) -> Part:
    """`has(field, member)`; `subject` is the place of the name of the field."""
    if field.kind is not Kind.LIST:
        raise mistake(subject, f"has() takes a list; {field.name} is {WORDS[field.kind]}")
    node = member.node
    if not isinstance(node, Literal) or isinstance(node.value, bool | datetime):
        raise mistake(
            member, "has() takes a constant", f"write e.g. has({field.name}, 'some text')"
        )
    if field == TAGS and node.kind is not Kind.TEXT:
        raise mistake(member, "tags are texts", "put text in single quotes: '1girl'")
    return replace(joined(Has(field.name, node.value), [subject, member]), end=end)
