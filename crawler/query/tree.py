"""A checked condition: the meaning of a query, independent of its spelling.

`types` builds only well-typed nodes. Logic has SQL's three values: a comparison with a missing value
is neither true nor false.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TypeAlias

from crawler.query.fields import Kind


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the text of a query: `text[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Column:
    """The value of a field; `unit` is that of the field."""

    name: str
    kind: Kind
    unit: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; its Python type fits `kind`, a time is aware and in UTC."""

    value: bool | int | float | str | datetime
    kind: Kind


@dataclass(frozen=True, slots=True)
class Negative:
    """`-operand`."""

    operand: "Node"
    kind: Kind


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left operator right`; the kind is INTEGER only where both sides are.

    Attributes:
        operator: One of `+ - * / %`.
        place: Where it was written; two nodes with different places may be equal.
    """

    operator: str
    left: "Node"
    right: "Node"
    kind: Kind
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of values.

    `lower upper abs length` take one, `coalesce` two or more, `round` a value and a literal number
    of digits.
    """

    function: str
    arguments: tuple["Node", ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`.

    Attributes:
        operator: One of `= != < <= > >=`.
    """

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Between:
    """`operand between low and high`, ends included."""

    operand: "Node"
    low: "Node"
    high: "Node"


@dataclass(frozen=True, slots=True)
class In:
    """`operand in (options)`."""

    operand: "Node"
    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Like:
    """`operand like pattern`, ignoring the case of ASCII letters.

    Attributes:
        escape: The character before a `%` or `_` that stands for itself; empty for none.
    """

    operand: "Node"
    pattern: str
    escape: str = ""


@dataclass(frozen=True, slots=True)
class Is:
    """`operand is value`, always true or false; None stands for NULL."""

    operand: "Node"
    value: bool | None


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a list has exactly this member; unknown if there is no list."""

    name: str
    member: str | int | float


@dataclass(frozen=True, slots=True)
class Not:
    """`not operand`."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more parts."""

    parts: tuple["Node", ...]


Value: TypeAlias = Column | Literal | Negative | Arithmetic | Call
Condition: TypeAlias = Comparison | Between | In | Like | Is | Has | Not | And | Or
Node: TypeAlias = Value | Condition


def kind_of(node: Node) -> Kind:
    """The type of a node's value; a condition is true or false."""
    return node.kind if isinstance(node, Value) else Kind.BOOLEAN


def names(tree: Node) -> tuple[str, ...]:
    """The fields in a tree, each once, in the order of their first mention."""
    return tuple(dict.fromkeys(node.name for node in walk(tree) if isinstance(node, Column | Has)))


def walk(tree: Node) -> Iterator[Node]:
    """Every node, parents first, from left to right."""
    yield tree
    for each in fields(tree):
        value = getattr(tree, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield from walk(part)
