"""Compile a checked tree to a SQL condition, with every constant as a bound value.

Both databases give the same answer, that of SQLite. The condition for PostgreSQL differs where
PostgreSQL would give another result by default:

- integers are added and multiplied as NUMERIC, which has no largest value;
- a divisor 0 becomes NULL, so `/` and `%` by 0 are NULL;
- LIKE compares lower-case texts; lower() and upper() change only ASCII letters, because the columns
  have the collation "C";
- round() goes through the shortest decimal text of a float, as SQLite's does.

One difference remains. Where a result is out of range for a 64-bit float, or an operand of `%` for a
64-bit integer, SQLite continues with infinity, 0 or the nearest integer, and PostgreSQL ends the
query with an error.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from crawler.model.int64 import MIN_INT64
from crawler.query.fields import HEX, Kind
from crawler.query.tree import (
    And,
    Arithmetic,
    Between,
    Call,
    Column,
    Comparison,
    Condition,
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
from crawler.query.types import ASCII_LOWER, NUMBERS

Element = sa.ColumnElement[Any]
Truth = sa.ColumnElement[bool]

#: How tightly SQLAlchemy's own `*` binds; `/` and `%` bind alike.
_PRODUCT = 8

#: Operators that both databases have and SQLAlchemy knows.
_OPERATORS: dict[str, Callable[[Element, Element], Element]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The database that a tree is compiled for.

    Attributes:
        is_postgresql: Whether the statement is for PostgreSQL, not for SQLite.
        column: The column of a field; for `tags` any column that is NULL where the tags are unknown. The
            key of an object is read as the kind.
        type_of: The column type of a kind.
        has: Builds the test whether the list of this name has a member. The result is NULL only if the
            column of the list is NULL.
    """

    is_postgresql: bool
    column: Callable[[str, Kind], Element]
    type_of: Callable[[Kind], sa.types.TypeEngine[Any]]
    has: Callable[[str, str | int | float], Truth]


def condition(tree: Node, schema: Schema) -> Truth:
    """A condition that selects the rows for which the tree is true."""
    match tree:
        case And():
            return sa.and_(*(condition(part, schema) for part in tree.parts))
        case Or():
            return sa.or_(*(condition(part, schema) for part in tree.parts))
        case Has():
            # Unknown and false select no row alike, and this form can use an index.
            return schema.has(tree.name, tree.member)
        case _:
            return _truth(tree, schema)


def _truth(node: Node, schema: Schema) -> Truth:
    """The truth of a node, NULL for unknown."""
    node = _with_hashes_in(node)
    match node:
        case And():
            return sa.and_(*(_truth(part, schema) for part in node.parts))
        case Or():
            return sa.or_(*(_truth(part, schema) for part in node.parts))
        case Not():
            return sa.not_(_truth(node.operand, schema))
        case Has():
            known = schema.column(node.name, Kind.LIST).is_not(None)
            return sa.case((known, schema.has(node.name, node.member)))
        case Comparison() | Between() | In() | Like() | Is():
            return _predicate(node, schema)
        case _:
            return _value(node, schema)


def _predicate(node: Comparison | Between | In | Like | Is, schema: Schema) -> Truth:
    match node:
        case Comparison():
            left, right = _sides((node.left, node.right), schema)
            return _OPERATORS[node.operator](left, right)
        case Between():
            operand, low, high = _sides((node.operand, node.low, node.high), schema)
            if schema.is_postgresql:
                low = Grouping(low)  # its grammar takes no COLLATE there, which texts have
            return operand.between(low, high)
        case In():
            return _membership(node, schema)
        case Like():
            return _like(node, schema)
        case Is():
            truths = {None: sa.null(), True: sa.true(), False: sa.false()}
            return _operand(node.operand, schema).is_(truths[node.value])
        case _:
            assert_never(node)


def _is_hash(node: Node) -> bool:
    return isinstance(node, Column) and node.unit == HEX


def _with_hashes_in(node: Node) -> Node:
    """An equality of a hash as the membership that `_membership` reads without regard to case."""
    if not isinstance(node, Comparison) or node.operator not in ("=", "!="):
        return node
    for hash_, other in ((node.left, node.right), (node.right, node.left)):
        if _is_hash(hash_):
            equal = In(hash_, (other,))
            return equal if node.operator == "=" else Not(equal)
    return node


def _membership(node: In, schema: Schema) -> Truth:
    texts = [str(option.value) for option in node.options if isinstance(option, Literal)]
    if not _is_hash(node.operand):
        operand, *options = _sides((node.operand, *node.options), schema)
    elif len(texts) == len(node.options):
        # Hashes are stored in upper case. So written, the test can use an index.
        literals = (Literal(text.upper(), Kind.TEXT) for text in texts)
        operand, *options = _sides((node.operand, *literals), schema)
    else:
        operand, *sides = _sides((node.operand, *node.options), schema)
        return operand.in_([sa.func.upper(side) for side in sides])
    return operand.in_(options)


def _sides(nodes: Sequence[Node], schema: Schema) -> list[Element]:
    """The sides of a comparison; all are floats where integers meet floats.

    SQLite would compare them exactly, but PostgreSQL cannot.
    """
    sides = [_operand(node, schema) for node in nodes]
    return _as_floats(sides, nodes) if {*map(kind_of, nodes)} >= NUMBERS else sides


def _like(node: Like, schema: Schema) -> Truth:
    operand = _operand(node.operand, schema)
    if not schema.is_postgresql:
        return operand.like(node.pattern, escape=node.escape or None)
    # Without an ESCAPE clause PostgreSQL treats the backslash as the escape character.
    pattern = node.pattern.translate(ASCII_LOWER)
    return sa.func.lower(operand).like(pattern, escape=node.escape)


def _operand(node: Node, schema: Schema) -> Element:
    """The node as an operand: a condition is put in brackets."""
    if isinstance(node, Condition):
        return Grouping(_truth(node, schema))
    return _value(node, schema)


def _value(node: Node, schema: Schema) -> Element:
    match node:
        case Column():
            return schema.column(node.name, node.kind)
        case Literal():
            return _literal(node, schema)
        case Negative():
            return -_number(node.operand, node.kind, schema)
        case Arithmetic():
            return _arithmetic(node, schema)
        case Call():
            return _call(node, schema)
    return _operand(node, schema)


def _literal(node: Literal, schema: Schema) -> Element:
    if node.kind is Kind.BOOLEAN:
        return sa.true() if node.value else sa.false()
    return sa.literal(node.value, schema.type_of(node.kind))


def _arithmetic(node: Arithmetic, schema: Schema) -> Element:
    left = _number(node.left, node.kind, schema)
    right = _number(node.right, node.kind, schema)
    if schema.is_postgresql and isinstance(node.left, Literal):
        # One operand of a known type decides for both.
        left = sa.cast(left, sa.Numeric() if node.kind is Kind.INTEGER else sa.Double())
    if node.operator in _OPERATORS:
        return _OPERATORS[node.operator](left, right)
    if not schema.is_postgresql:
        return left.op(node.operator, precedence=_PRODUCT)(right)
    if node.operator == "%":
        return _remainder(node, schema)
    if node.kind is Kind.INTEGER:
        return sa.func.div(left, sa.func.nullif(right, 0), type_=sa.Numeric())
    divisor = sa.func.nullif(right, 0.0)
    return left.op("/", precedence=_PRODUCT, return_type=sa.Double())(divisor)


def _number(node: Node, kind: Kind, schema: Schema) -> Element:
    """An operand of an operation of this kind."""
    value = _value(node, schema)
    fits = isinstance(node, Arithmetic | Literal) and kind_of(node) is kind
    if fits or not schema.is_postgresql:
        return value
    if kind is Kind.INTEGER:
        return sa.cast(value, sa.Numeric())
    return sa.cast(value, sa.Double()) if kind_of(node) is Kind.INTEGER else value


def _remainder(node: Arithmetic, schema: Schema) -> Element:
    """PostgreSQL's `%`, of integers; floats are truncated first, as SQLite does."""
    left, right = (_truncated(side, schema) for side in (node.left, node.right))
    rest: Element = sa.func.mod(left, sa.func.nullif(right, 0), type_=sa.Numeric())
    return rest if node.kind is Kind.INTEGER else sa.cast(rest, sa.Double())


def _truncated(node: Node, schema: Schema) -> Element:
    value = _value(node, schema)
    if kind_of(node) is Kind.NUMBER:
        return sa.cast(sa.func.trunc(value), sa.BigInteger())
    return value


def _call(node: Call, schema: Schema) -> Element:
    values = [_value(each, schema) for each in node.arguments]
    if node.function == "coalesce" and node.kind is Kind.NUMBER:
        values = _as_floats(values, node.arguments)
    if node.function == "abs" and node.kind is Kind.INTEGER:
        # The smallest integer has no positive counterpart: both databases would raise an error.
        values = [sa.func.nullif(values[0], sa.literal(MIN_INT64, sa.BigInteger()))]
    if node.function == "round" and schema.is_postgresql:
        exact = sa.cast(sa.cast(values[0], sa.Text()), sa.Numeric())
        return sa.cast(sa.func.round(exact, sa.type_coerce(values[1], sa.Integer())), sa.Double())
    result: Element = getattr(sa.func, node.function)(*values, type_=schema.type_of(node.kind))
    return result


def _as_floats(values: Sequence[Element], nodes: Sequence[Node]) -> list[Element]:
    """The values of number nodes, every integer cast to a float."""
    return [
        sa.cast(value, sa.Double()) if kind_of(node) is Kind.INTEGER else value
        for value, node in zip(values, nodes, strict=True)
    ]
