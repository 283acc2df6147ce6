"""Functions of values as the databases spell them, and what they need their values to be."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from crawler.query.fields import Kind
from crawler.query.parts import INT64
from crawler.query.tree import Call, Node, kind_of

Element = sa.ColumnElement[Any]


def call(
    node: Call, values: list[Element], kind: sa.types.TypeEngine[Any], *, on_postgresql: bool
) -> Element:
    """The function of `node` with its arguments compiled; `kind` is the column type of its value."""
    if node.function == "coalesce" and node.kind is Kind.NUMBER:
        values = as_floats(values, node.arguments)
    if node.function == "abs" and node.kind is Kind.INTEGER:
        # The smallest whole number has no positive counterpart: both databases would give up.
        values = [sa.func.nullif(values[0], sa.literal(INT64.start, sa.BigInteger()))]
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
