"""What a tree means, in plain Python: both databases must agree with it.

A condition gives True, False or None for unknown, a value is None where it is missing. Arithmetic
whose exact result needs more than 64 bits, or is too near to 0 for a float, raises OverflowError.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from crawler.model.int64 import INT64
from crawler.query.fields import Kind
from crawler.query.tree import (
    And,
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
    Or,
    kind_of,
)

Row = Mapping[str, Any]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate(node: Node, row: Row) -> Any:  # noqa: PLR0911 - a case for each kind of node
    match node:
        case And():
            return _all([evaluate(part, row) for part in node.parts])
        case Or():
            return _not(_all([_not(evaluate(part, row)) for part in node.parts]))
        case Not():
            return _not(evaluate(node.operand, row))
        case Comparison():
            return _compared(node.operator, *_sides((node.left, node.right), row))
        case Between():
            operand, low, high = _sides((node.operand, node.low, node.high), row)
            return _all([_compared(">=", operand, low), _compared("<=", operand, high)])
        case In():
            operand, *options = _sides((node.operand, *node.options), row)
            return _not(_all([_compared("!=", operand, option) for option in options]))
        case Like():
            return _like(evaluate(node.operand, row), node.pattern, node.escape)
        case Is():
            return evaluate(node.operand, row) is node.value
        case Has():
            members = row[node.name]
            return None if members is None else node.member in members
        case _:
            return value(node, row)


def overflows(node: Node, row: Row) -> bool:
    """Whether some arithmetic of the tree is out of range for this row."""
    try:
        evaluate(node, row)
    except OverflowError:
        return True
    return False


def value(node: Node, row: Row) -> Any:  # noqa: PLR0911 - the same
    match node:
        case Column():
            return row[node.name]
        case Literal():
            return node.value
        case Negative():
            operand = value(node.operand, row)
            return None if operand is None else _in_range(-operand)
        case Arithmetic():
            left, right = (value(side, row) for side in (node.left, node.right))
            if left is None or right is None:
                return None
            result = _in_range(_arithmetic(node, left, right))
            if node.operator in "*/" and node.kind is Kind.NUMBER and left and right and not result:
                raise OverflowError
            return result
        case Call():
            return _call(node, [value(each, row) for each in node.arguments])
        case _:
            return evaluate(node, row)


def _in_range(result: Any) -> Any:
    if isinstance(result, int) and result not in INT64:
        raise OverflowError
    if isinstance(result, float) and not math.isfinite(result):
        raise OverflowError
    return result


def _not(truth: bool | None, /) -> bool | None:  # noqa: FBT001 - a value, no switch
    return None if truth is None else not truth


def _all(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True


def _compared(sign: str, left: Any, right: Any) -> bool | None:
    return None if left is None or right is None else _OPERATORS[sign](left, right)


def _sides(nodes: Sequence[Node], row: Row) -> list[Any]:
    """Values to be compared: where whole numbers meet broken ones, all are floats."""
    found = [evaluate(node, row) for node in nodes]
    if {kind_of(node) for node in nodes} != {Kind.INTEGER, Kind.NUMBER}:
        return found
    return [None if each is None else float(each) for each in found]


def _ascii_lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _ascii_upper(text: str) -> str:
    return "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in text)


def _like(text: str | None, pattern: str, escape: str) -> bool | None:
    if text is None:
        return None
    expression = ""
    characters = iter(_ascii_lower(pattern))
    for character in characters:
        if escape and character == escape:
            expression += re.escape(next(characters))
        else:
            expression += {"%": ".*", "_": "."}.get(character, re.escape(character))
    return re.fullmatch(expression, _ascii_lower(text), re.DOTALL) is not None


def _arithmetic(node: Arithmetic, left: Any, right: Any) -> Any:  # noqa: PLR0911 - the same
    match node.operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" if node.kind is Kind.NUMBER:
            return left / right if right else None
        case "/":
            return _quotient(left, right) if right else None
        case _:
            whole_left, whole_right = _in_range(math.trunc(left)), _in_range(math.trunc(right))
            if not whole_right:
                return None
            rest = whole_left - whole_right * _quotient(whole_left, whole_right)
            return rest if node.kind is Kind.INTEGER else float(rest)


def _quotient(left: int, right: int) -> int:
    size = abs(left) // abs(right)
    return size if (left < 0) == (right < 0) else -size


def _call(node: Call, values: list[Any]) -> Any:  # noqa: PLR0911 - the same
    first = values[0]
    if node.function == "coalesce":
        chosen = next((each for each in values if each is not None), None)
        return float(chosen) if node.kind is Kind.NUMBER and chosen is not None else chosen
    if first is None:
        return None
    match node.function:
        case "lower":
            return _ascii_lower(first)
        case "upper":
            return _ascii_upper(first)
        case "length":
            return len(first)
        case "abs":
            lost = kind_of(node) is Kind.INTEGER and first == -(2**63)
            return None if lost else abs(first)
        case _:
            digits = Decimal(1).scaleb(-values[1])
            exact = Decimal(repr(first)).quantize(digits, ROUND_HALF_UP, Context(prec=400))
            return float(exact)
