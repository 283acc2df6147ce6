"""The rules of types: what may be asked of what. Each rule builds its node.

What the rules let through both databases can compute without an error, whatever the rows hold.
A broken rule raises QueryError with the place but without the text, which the caller adds.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase

from crawler.query import agree
from crawler.query.fields import TAGS, Field, Kind
from crawler.query.parts import (
    INT64_BITS,
    NUMBERS,
    WORDS,
    Part,
    constant,
    joined,
    mistake,
)
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
    Not,
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
    kind, (left, right) = agree.chosen([left, right])
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
            kind, arguments = agree.chosen(arguments)
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
    kind, (left, right) = agree.compared([left, right])
    if kind is Kind.BOOLEAN and operator not in ("=", "!="):
        raise mistake(right, "true and false have no order", "compare them with = or !=")
    return joined(Comparison(operator, left.node, right.node), [left, right])


def between(operand: Part, low: Part, high: Part) -> Part:
    """`operand between low and high`."""
    kind, (operand, low, high) = agree.compared([operand, low, high])
    if kind is Kind.BOOLEAN:
        raise mistake(operand, "true and false have no order", "compare them with = or !=")
    return joined(Between(operand.node, low.node, high.node), [operand, low, high])


def membership(operand: Part, options: Sequence[Part], end: int) -> Part:
    """`operand in (options)`."""
    _, (operand, *rest) = agree.compared([operand, *options])
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
