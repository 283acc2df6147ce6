"""From a checked tree to a condition for the database, with every constant as a bound value.

Both databases answer alike, as SQLite does. Where PostgreSQL would do otherwise:

- whole numbers are added and multiplied as NUMERIC, which has no largest value;
- `/` and `%` by 0 are NULL, for which the divisor 0 is made NULL;
- LIKE compares texts in small letters; lower() and upper() change ASCII letters only because the
  columns have the collation "C";
- round() goes through the shortest decimal text of a float, as SQLite's does.

PostgreSQL ends a query with an error when a float grows too large or too small on the way. So in
arithmetic a number field counts only between SMALLEST_OPERAND and LARGEST_OPERAND, on both
databases, and the language bounds how many of them are multiplied.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from crawler.model.int64 import MIN_INT64
from crawler.query.fields import Kind
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
from crawler.query.types import ASCII_LOWER, LARGEST_OPERAND, NUMBERS, SMALLEST_OPERAND

Element = sa.ColumnElement[Any]
Truth = sa.ColumnElement[bool]

#: How tightly SQLAlchemy's own `*` binds; `/` and `%` bind alike.
_PRODUCT = 8


@dataclass(frozen=True, slots=True)
class Schema:
    """What a tree is compiled against.

    Attributes:
        dialect: `sqlite` or `postgresql`.
        columns: By field. The one of `tags` is any column that is NULL where the tags are unknown.
        type_of: The column type of a kind.
        has: Whether the list of a name has a member; never NULL where the list's column is not.
    """

    dialect: str
    columns: Mapping[str, Element]
    type_of: Callable[[Kind], sa.types.TypeEngine[Any]]
    has: Callable[[str, str | int | float], Truth]

    @property
    def is_postgresql(self) -> bool:
        """Whether the statement is for PostgreSQL."""
        return self.dialect == "postgresql"


def condition(tree: Node, schema: Schema) -> Truth:
    """The rows for which the tree is true."""
    match tree:
        case And():
            return sa.and_(*(condition(part, schema) for part in tree.parts))
        case Or():
            return sa.or_(*(condition(part, schema) for part in tree.parts))
        case Has():
            # Where it decides by itself, unknown and false are one: the database may use an index.
            return schema.has(tree.name, tree.member)
        case _:
            return _truth(tree, schema)


def _truth(node: Node, schema: Schema) -> Truth:
    """The node's truth with all three values."""
    match node:
        case And():
            return sa.and_(*(_truth(part, schema) for part in node.parts))
        case Or():
            return sa.or_(*(_truth(part, schema) for part in node.parts))
        case Not():
            return sa.not_(_truth(node.operand, schema))
        case Has():
            known = schema.columns[node.name].is_not(None)
            return sa.case((known, schema.has(node.name, node.member)))
        case Comparison() | Between() | In() | Like() | Is():
            return _predicate(node, schema)
        case _:
            return _value(node, schema)


def _predicate(node: Comparison | Between | In | Like | Is, schema: Schema) -> Truth:
    match node:
        case Comparison():
            left, right = _sides((node.left, node.right), schema)
            return _COMPARISONS[node.operator](left, right)
        case Between():
            operand, low, high = _sides((node.operand, node.low, node.high), schema)
            return operand.between(low, high)
        case In():
            operand, *options = _sides((node.operand, *node.options), schema)
            return operand.in_(options)
        case Like():
            return _like(node, schema)
        case Is():
            truths = {None: sa.null(), True: sa.true(), False: sa.false()}
            return _operand(node.operand, schema).is_(truths[node.value])
        case _:
            assert_never(node)


_COMPARISONS: dict[str, Callable[[Element, Element], Truth]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _sides(nodes: Sequence[Node], schema: Schema) -> list[Element]:
    """Values to be compared: where whole numbers meet broken ones, all are floats.

    SQLite would compare them exactly, PostgreSQL knows no way to.
    """
    sides = [_operand(node, schema) for node in nodes]
    return as_floats(sides, nodes) if {*map(kind_of, nodes)} >= NUMBERS else sides


def _like(node: Like, schema: Schema) -> Truth:
    operand = _operand(node.operand, schema)
    if not schema.is_postgresql:
        return operand.like(node.pattern, escape=node.escape or None)
    # Without a word of its own PostgreSQL takes the backslash for the escape character.
    pattern = node.pattern.translate(ASCII_LOWER)
    return sa.func.lower(operand).like(pattern, escape=node.escape)


def _operand(node: Node, schema: Schema) -> Element:
    """The node as a side of something: a condition stands in brackets."""
    if isinstance(node, Condition):
        return Grouping(_truth(node, schema))
    return _value(node, schema)


def _value(node: Node, schema: Schema, *, bounded: bool = False) -> Element:
    """A value; `bounded` where it takes part in arithmetic."""
    match node:
        case Column():
            column = schema.columns[node.name]
            return _bounded(column) if bounded and node.kind is Kind.NUMBER else column
        case Literal():
            return _literal(node, schema)
        case Negative():
            return -_number(node.operand, node.kind, schema)
        case Arithmetic():
            return _arithmetic(node, schema)
        case Call():
            values = [_value(each, schema, bounded=bounded) for each in node.arguments]
            kind = schema.type_of(node.kind)
            return call(node, values, kind, on_postgresql=schema.is_postgresql)
    return _operand(node, schema)


def _literal(node: Literal, schema: Schema) -> Element:
    if node.kind is Kind.BOOLEAN:
        return sa.true() if node.value else sa.false()
    return sa.literal(node.value, schema.type_of(node.kind))


def _bounded(column: Element) -> Element:
    smallest: Element = sa.literal(SMALLEST_OPERAND, sa.Double())
    largest: Element = sa.literal(LARGEST_OPERAND, sa.Double())
    fits = sa.or_(sa.func.abs(column).between(smallest, largest), column == 0.0)
    return sa.case((fits, column))


def _number(node: Node, kind: Kind, schema: Schema) -> Element:
    """A side of an operation of this kind."""
    value = _value(node, schema, bounded=True)
    fits = isinstance(node, Arithmetic | Literal) and kind_of(node) is kind
    if fits or not schema.is_postgresql:
        return value
    if kind is Kind.INTEGER:
        return sa.cast(value, sa.Numeric())
    return sa.cast(value, sa.Double()) if kind_of(node) is Kind.INTEGER else value


def _arithmetic(node: Arithmetic, schema: Schema) -> Element:
    left = _number(node.left, node.kind, schema)
    right = _number(node.right, node.kind, schema)
    if schema.is_postgresql and isinstance(node.left, Literal):
        # One side of a known type decides for both.
        left = sa.cast(left, sa.Numeric() if node.kind is Kind.INTEGER else sa.Double())
    if node.operator in _PLAIN:
        return _PLAIN[node.operator](left, right)
    if not schema.is_postgresql:
        return left.op(node.operator, precedence=_PRODUCT)(right)
    if node.operator == "%":
        return _remainder(node, schema)
    if node.kind is Kind.INTEGER:
        return sa.func.div(left, sa.func.nullif(right, 0), type_=sa.Numeric())
    divisor = sa.func.nullif(right, 0.0)
    return left.op("/", precedence=_PRODUCT, return_type=sa.Double())(divisor)


_PLAIN: dict[str, Callable[[Element, Element], Element]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _remainder(node: Arithmetic, schema: Schema) -> Element:
    """PostgreSQL's `%`: of whole numbers, to which floats are cut as SQLite does."""
    left, right = (_whole(side, schema) for side in (node.left, node.right))
    rest: Element = sa.func.mod(left, sa.func.nullif(right, 0), type_=sa.Numeric())
    return rest if node.kind is Kind.INTEGER else sa.cast(rest, sa.Double())


def _whole(node: Node, schema: Schema) -> Element:
    value = _value(node, schema, bounded=True)
    if kind_of(node) is Kind.NUMBER:
        return sa.cast(sa.func.trunc(value), sa.BigInteger())
    return value


def call(
    node: Call, values: list[Element], kind: sa.types.TypeEngine[Any], *, on_postgresql: bool
) -> Element:
    """The function of `node` with its arguments compiled; `kind` is the column type of its value."""
    if node.function == "coalesce" and node.kind is Kind.NUMBER:
        values = as_floats(values, node.arguments)
    if node.function == "abs" and node.kind is Kind.INTEGER:
        # The smallest whole number has no positive counterpart: both databases would give up.
        values = [sa.func.nullif(values[0], sa.literal(MIN_INT64, sa.BigInteger()))]
    if node.function == "round" and on_postgresql:
        exact = sa.cast(sa.cast(values[0], sa.Text()), sa.Numeric())
        return sa.cast(sa.func.round(exact, sa.type_coerce(values[1], sa.Integer())), sa.Double())
    result: Element = getattr(sa.func, node.function)(*values, type_=kind)
    return result


def as_floats(values: Sequence[Element], nodes: Sequence[Node]) -> list[Element]:
    """The values of nodes that are numbers, every whole one made a float."""
    return [
        sa.cast(value, sa.Double()) if kind_of(node) is Kind.INTEGER else value
        for value, node in zip(values, nodes, strict=True)
    ]
