"""The rules of types: what may be asked of what. Each rule builds its node.

What the rules let through both databases can compute without an error, whatever the rows hold.
A broken rule raises QueryError with the place but without the text, which the caller adds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import TypeAlias

from crawler.errors import QueryError
from crawler.model.int64 import INT64
from crawler.query import dates
from crawler.query.fields import TAGS, WORDS, Field, Kind
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
    kind_of,
    names,
)

#: Deepest nesting of a condition, in levels. Compiling one takes several Python calls a level, of
#: which there may be 1,000; and SQLite allows 1,000 levels in what comes of it.
MAX_DEPTH = 50

#: How far from 1 arithmetic may lead, as an exponent of two; a 64-bit float reaches 1022. Beyond,
#: PostgreSQL would end the whole query with an error because of one row.
MAX_EXPONENT = 1000

#: A number field takes part in arithmetic only with values between 1e-18 and 1e18 and 0: what is
#: outside is as good as missing. As exponents of two: 2**60 is a little more than 1e18.
LARGEST_OPERAND = 1e18
SMALLEST_OPERAND = 1e-18
_FIELD_EXPONENT = 60

#: What a literal may be made of; a time is first a text.
Constant: TypeAlias = bool | int | float | str

INT64_BITS = 63

NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})


@dataclass(frozen=True, slots=True)
class Part:
    """A node and what is known about it.

    Attributes:
        start: Index of its first character in the text of the query.
        end: Index behind its last character.
        low: Of numbers: no value but 0 is nearer to 0 than two to the power of this.
        high: Of numbers: no value is farther from 0 than two to the power of this.
        depth: Levels of nodes.
    """

    node: Node
    start: int
    end: int
    low: int = 0
    high: int = 0
    depth: int = 1

    @property
    def kind(self) -> Kind:
        """The type of its value."""
        return kind_of(self.node)

    @property
    def described(self) -> str:
        """The part in an error: the field by its name, else what it is."""
        kind = WORDS[self.kind]
        return f"{self.node.name}, {kind}," if isinstance(self.node, Column) else kind


def mistake(part: Part, message: str, hint: str = "") -> QueryError:
    """An error at the place of a part."""
    return QueryError(message, start=part.start, end=part.end, hint=hint)


def column(field: Field, start: int, end: int) -> Part:
    """A field."""
    node = Column(field.name, field.kind)
    if field.kind is Kind.INTEGER:
        return Part(node, start, end, 0, INT64_BITS)
    return Part(node, start, end, -_FIELD_EXPONENT, _FIELD_EXPONENT)


def constant(value: Constant, kind: Kind, start: int, end: int) -> Part:
    """A literal.

    Raises:
        QueryError: A number is beyond 64 bits.
    """
    part = Part(Literal(value, kind), start, end)
    if kind is Kind.INTEGER and value not in INT64:
        raise mistake(part, "this number is beyond 64 bits")
    if kind is Kind.NUMBER and not math.isfinite(float(value)):
        raise mistake(part, "this number is too large")
    if kind not in NUMBERS or not value:
        return part
    exponent = math.frexp(float(value))[1]
    return Part(part.node, start, end, exponent - 1, exponent)


def number(text: str, start: int, end: int) -> Part:
    """The literal that digits stand for: whole unless there is a point or an exponent in them.

    Raises:
        QueryError: It is beyond 64 bits.
    """
    if text.lstrip("-").isdigit():
        # Python refuses to read thousands of digits; 64 bits have 19.
        digits = text.lstrip("-").lstrip("0")[:20] or "0"
        value = int(digits)
        return constant(-value if text.startswith("-") else value, Kind.INTEGER, start, end)
    return constant(float(text), Kind.NUMBER, start, end)


def joined(node: Node, parts: Sequence[Part], low: int = 0, high: int = 0) -> Part:
    """A node made of parts: it spans them all, a level above the deepest.

    Raises:
        QueryError: It is nested deeper than MAX_DEPTH, or may grow beyond MAX_EXPONENT.
    """
    start, end = min(part.start for part in parts), max(part.end for part in parts)
    result = Part(node, start, end, low, high, 1 + max(part.depth for part in parts))
    if result.depth > MAX_DEPTH:
        raise mistake(result, f"this is nested deeper than {MAX_DEPTH} levels")
    if low < -MAX_EXPONENT or high > MAX_EXPONENT:
        hint = "multiply and divide fewer values"
        raise mistake(result, "this may grow beyond what a number can hold", hint)
    return result


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


#: Digits that round() may keep behind the point: a 64-bit float has no more.
MAX_DIGITS = 15

#: Two floats that differ do so by at least the last of this many bits.
_FLOAT_BITS = 53

#: Function -> fewest and most arguments, None for any number.
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "lower": (1, 1),
    "upper": (1, 1),
    "abs": (1, 1),
    "round": (1, 2),
    "coalesce": (2, None),
    "length": (1, 1),
}

#: What lower() and upper() do, for `str.translate`: other letters than ASCII's stay as they are.
ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
ASCII_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)


def condition(part: Part) -> Part:
    """The part, which must be true or false."""
    if part.kind is Kind.BOOLEAN:
        return part
    hint = "compare it with something"
    if isinstance(part.node, Column):
        sample = {
            Kind.TEXT: " = 'some text'",
            Kind.TIME: " >= '2025-01'",
            Kind.LIST: " is not null",
            Kind.OBJECT: " is not null",
        }
        hint = f'write e.g. "{part.node.name}{sample.get(part.kind, " > 64")}"'
        if ">" in hint:
            # Unquoted it never came here: `network_dim > 64` is this name, into a file 64.
            hint += "; without the double quotes the shell takes > for itself"
    raise mistake(part, f"this is {WORDS[part.kind]}, not a condition", hint)


def negation(operand: Part, start: int) -> Part:
    """`not operand`."""
    return joined(Not(condition(operand).node), [replace(operand, start=start)])


def signed(sign: str, operand: Part, start: int) -> Part:
    """`-operand` or `+operand`; a constant changes its sign at once."""
    _require(operand, NUMBERS, "a sign stands before a number")
    node = operand.node
    if sign == "+":
        return replace(operand, start=start)
    if isinstance(node, Literal) and not isinstance(node.value, str):
        return constant(-node.value, node.kind, start, operand.end)  # type: ignore[operator]
    operand = replace(operand, start=start)
    if isinstance(node, Negative):
        return replace(operand, node=node.operand)
    return joined(Negative(node, operand.kind), [operand], operand.low, operand.high)


def arithmetic(operator: str, left: Part, right: Part) -> Part:
    """`left operator right`; the bounds of the result follow from those of the sides."""
    for part in (left, right):
        _require(part, NUMBERS, f"{operator} takes numbers")
    kind, (left, right) = chosen([left, right])
    low, high = min(left.low, right.low), max(left.high, right.high)
    match operator:
        case "+" | "-":
            low, high = low - _FLOAT_BITS * (kind is Kind.NUMBER), high + 1
        case "*":
            low, high = left.low + right.low, left.high + right.high
        case "/" if kind is Kind.NUMBER:
            low, high = left.low - right.high, left.high - right.low
        case "%" if kind is Kind.NUMBER:
            # Both databases cut the sides to whole numbers of 64 bits.
            for part in (left, right):
                if part.kind is Kind.NUMBER and part.high >= INT64_BITS:
                    raise mistake(part, "this may be too large for %", "take % of a field alone")
            low = 0
    return joined(Arithmetic(operator, left.node, right.node, kind), [left, right], low, high)


def call(function: str, arguments: Sequence[Part], start: int, end: int) -> Part:
    """A function of values; `start` and `end` are those of all that was written."""
    fewest, most = FUNCTIONS[function]
    if not fewest <= len(arguments) <= (most or len(arguments)):
        many = {(1, 1): "one value", (1, 2): "one or two values"}
        raise mistake(
            replace(arguments[0], start=start, end=end),
            f"{function}() takes {many.get((fewest, most or 0), 'two or more values')}",
        )
    match function:
        case "coalesce":
            kind, arguments = chosen(arguments)
            low = min(part.low for part in arguments)
            high = max(part.high for part in arguments)
        case "round":
            arguments = [*arguments, constant(0, Kind.INTEGER, start, end)][:2]
            _require(arguments[0], NUMBERS, "round() takes a number")
            _require_digits(arguments[1])
            # Nothing but 0 is left that is smaller than the last digit; each takes under 4 bits.
            kind, low, high = Kind.NUMBER, -4 * MAX_DIGITS, arguments[0].high + 1
        case "abs":
            part = arguments[0]
            _require(part, NUMBERS, "abs() takes a number")
            kind, low, high = part.kind, part.low, part.high
        case _:
            part = arguments[0]
            _require(part, {Kind.TEXT}, f"{function}() takes text")
            kind, low, high = Kind.TEXT, 0, 0
            if function == "length":
                kind, high = Kind.INTEGER, INT64_BITS
            elif isinstance(part.node, Literal):
                letters = ASCII_LOWER if function == "lower" else ASCII_UPPER
                return constant(str(part.node.value).translate(letters), kind, start, end)
    node = Call(function, tuple(part.node for part in arguments), kind)
    return replace(joined(node, arguments, low, high), start=start, end=end)


def comparison(operator: str, left: Part, right: Part) -> Part:
    """`left operator right`, both of one kind."""
    kind, (left, right) = compared([left, right])
    if kind is Kind.BOOLEAN and operator not in ("=", "!="):
        raise mistake(right, "true and false have no order", "compare them with = or !=")
    return joined(Comparison(operator, left.node, right.node), [left, right])


def between(operand: Part, low: Part, high: Part) -> Part:
    """`operand between low and high`."""
    kind, (operand, low, high) = compared([operand, low, high])
    if kind is Kind.BOOLEAN:
        raise mistake(operand, "true and false have no order", "compare them with = or !=")
    return joined(Between(operand.node, low.node, high.node), [operand, low, high])


def membership(operand: Part, options: Sequence[Part], end: int) -> Part:
    """`operand in (options)`."""
    _, (operand, *rest) = compared([operand, *options])
    node = In(operand.node, tuple(part.node for part in rest))
    return replace(joined(node, [operand, *rest]), end=end)


def like(operand: Part, pattern: Part) -> Part:
    """`operand like 'pattern'`."""
    _require(operand, {Kind.TEXT}, "like takes text")
    if not isinstance(pattern.node, Literal) or pattern.kind is not Kind.TEXT:
        raise mistake(pattern, "a pattern is a text in single quotes", "like 'adam%'")
    return joined(Like(operand.node, str(pattern.node.value)), [operand, pattern])


def is_(operand: Part, value: bool | None, end: int) -> Part:  # noqa: FBT001 - a value, no switch
    """`operand is value`, None for NULL."""
    if value is not None:
        _require(operand, {Kind.BOOLEAN}, "`is` takes null, or true and false")
    return joined(Is(operand.node, value), [replace(operand, end=end)])


def has(field: Field, subject: Part, member: Part, end: int) -> Part:
    """`has(field, member)`; `subject` is where the field's name stands."""
    if field.kind is not Kind.LIST:
        raise mistake(subject, f"has() takes a list; {field.name} is {WORDS[field.kind]}")
    node = member.node
    if not isinstance(node, Literal) or isinstance(node.value, bool | datetime):
        raise mistake(member, "has() takes a constant", f"has({field.name}, 'some text')")
    if field == TAGS and node.kind is not Kind.TEXT:
        raise mistake(member, "tags are texts", "put text in single quotes: '1girl'")
    return replace(joined(Has(field.name, node.value), [subject, member]), end=end)


def _require(part: Part, kinds: frozenset[Kind] | set[Kind], message: str) -> None:
    if part.kind not in kinds:
        raise mistake(part, f"{message}; this is {WORDS[part.kind]}")


def _require_digits(part: Part) -> None:
    node = part.node
    if not isinstance(node, Literal) or node.kind is not Kind.INTEGER:
        raise mistake(part, "round() takes the number of digits as a number: round(alpha_ratio, 2)")
    if node.value not in range(MAX_DIGITS + 1):
        raise mistake(part, f"round() keeps 0 to {MAX_DIGITS} digits")
