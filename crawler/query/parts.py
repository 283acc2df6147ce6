"""Nodes with their place in the text and the bounds of what their values can be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crawler.errors import QueryError
from crawler.query.fields import Field, Kind
from crawler.query.tree import Column, Literal, Node, kind_of

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

INT64 = range(-(2**63), 2**63)
INT64_BITS = 63

NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})

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
