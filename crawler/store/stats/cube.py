"""All rows in memory, as far as facets need them: to count the facets of any condition in no time.

Among a million files there are some ten thousand combinations of base model, trainer, optimizer, algorithm,
rank and month. A condition on these fields holds for a whole combination or for none of it. So it is
checked, in SQL, once for each combination, and the rows are only added up. Creators are too many to be a part
of the combinations; they are a second property of each row.
"""

import weakref
from array import array
from collections import defaultdict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from crawler.query.fields import Kind
from crawler.query.tree import And, Column, Comparison, Has, Is, Literal, Node, names, walk
from crawler.store.read.search import condition_on
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from crawler.store.schema.types import type_of
from crawler.store.stats.facets import FACETS, Counted, Facet, facet_values

#: The facet that is not a part of the combinations.
_ALONE = "creator"

#: The fields of the combinations.
_TOGETHER = tuple(name for name in FACETS if name != _ALONE)

#: Rows fetched at a time.
_FETCH_ROWS = 1_000

Numbers = npt.NDArray[np.int32]


def can_count(tree: Node | None) -> bool:
    """Whether each part of a condition is about the combinations, or about the creator alone."""
    return all(
        not any(isinstance(node, Has) for node in walk(part))
        and (names(part) == (_ALONE,) or _is_about_groups(part))
        for part in _parts(tree)
    )


class Cube:
    """The rows of one moment. Any thread may ask; one at a time is answered."""

    def __init__(self, connection: sa.Connection, tree: Node | None) -> None:
        """Read the rows for which `tree` is true."""
        groups: defaultdict[tuple[Any, ...], int] = defaultdict(lambda: len(groups))
        creators: defaultdict[str | None, int] = defaultdict(lambda: len(creators))
        of_group, of_creator = array("i"), array("i")
        dialect = connection.dialect.name
        columns = [facet_values(name, dialect) for name in (*_TOGETHER, _ALONE)]
        statement = sa.select(*columns).where(condition_on(tree, dialect))
        options = {"yield_per": _FETCH_ROWS}
        for rows in connection.execute(statement, execution_options=options).partitions():
            *together, alone = zip(*rows, strict=True)
            of_group.extend([groups[one] for one in zip(*together, strict=True)])
            of_creator.extend([creators[one] for one in alone])
        self._of_group, self._of_creator = _numbers(of_group), _numbers(of_creator)
        self._counts = np.bincount(self._of_group, minlength=len(groups))
        self._values = [_numbered([group[at] for group in groups]) for at in range(len(_TOGETHER))]
        self._groups = _Rows(_TOGETHER, list(groups))
        self._creators = _Rows((_ALONE,), [(creator,) for creator in creators])
        self._names = list(creators)
        self._lock = Lock()

    def counted(self, tree: Node | None, *, most: int) -> Counted:
        """As `facets.counted`, of the rows of that moment, if `can_count` is true of the condition."""
        parts = _parts(tree)
        with self._lock:
            groups = self._groups.matching([part for part in parts if names(part) != (_ALONE,)])
            creators = self._creators.matching([part for part in parts if names(part) == (_ALONE,)])
        counts, of_creator = self._counts, self._of_creator
        if creators is not None:
            rows = creators[self._of_creator]
            if groups is not None:
                rows &= groups[self._of_group]
            counts = np.bincount(self._of_group[rows], minlength=len(counts))
            of_creator = of_creator[rows]
        elif groups is not None:
            counts = np.where(groups, counts, 0)
            of_creator = of_creator[groups[self._of_group]]
        found = {
            name: (values, np.bincount(numbers, counts, len(values)))
            for name, (values, numbers) in zip(_TOGETHER, self._values, strict=True)
        }
        found[_ALONE] = (self._names, np.bincount(of_creator, minlength=len(self._names)))
        return Counted(
            total=int(counts.sum()),
            facets=tuple(_facet(name, *found[name], most) for name in FACETS),
        )


class _Rows:
    """Different rows in a database in memory, whose table `loras` has some columns and their numbers."""

    def __init__(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        self._length = len(rows)
        # Any thread uses it, one at a time.
        options = {"check_same_thread": False}
        engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args=options)
        number = sa.Column("number", sa.Integer, primary_key=True)
        kinds = (type_of(BY_NAME[name].kind) for name in columns)
        table = sa.Table(loras.name, sa.MetaData(), number, *map(sa.Column, columns, kinds))
        self._connection = engine.connect()
        weakref.finalize(self, _close, self._connection)
        table.create(self._connection)
        is_time = [BY_NAME[name].kind is Kind.TIME for name in columns]
        values = [(number, *map(_instant, row, is_time)) for number, row in enumerate(rows)]
        if values:
            marks = ", ".join("?" * len(table.c))
            self._connection.exec_driver_sql(f"INSERT INTO loras VALUES ({marks})", values)  # noqa: S608 - no text of others

    def matching(self, parts: Sequence[Node]) -> npt.NDArray[np.bool_] | None:
        """For each row whether all parts hold; None if there are none."""
        if not parts:
            return None
        where = condition_on(And(tuple(parts)), "sqlite")
        number: sa.ColumnClause[int] = sa.literal_column("number")
        statement = sa.select(number).select_from(loras).where(where)
        result = np.zeros(self._length, np.bool_)
        result[self._connection.execute(statement).scalars().all()] = True
        return result


def _close(connection: sa.Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _instant(value: Any, is_month: bool) -> Any:  # noqa: FBT001 - mapped over columns
    """A value as SQLite stores it: of a month its first instant."""
    return f"{value}-01 00:00:00" if is_month and value is not None else value


def _numbers(found: "array[int]") -> Numbers:
    return np.frombuffer(found, np.int32) if found else np.zeros(0, np.int32)


def _parts(tree: Node | None) -> list[Node]:
    """The conditions that must all hold."""
    if isinstance(tree, And):
        return [part for node in tree.parts for part in _parts(node)]
    return [] if tree is None else [tree]


def _is_about_groups(part: Node) -> bool:
    """Whether a condition is the same for all rows of a combination. Of a time these know the month."""
    nodes = list(walk(part))
    columns = [node.name for node in nodes if isinstance(node, Column)]
    whole = 0
    for node in nodes:
        match node:
            case Is(Column(name), None):
                whole += BY_NAME[name].kind is Kind.TIME
            case Comparison(">=" | "<", Column(name, Kind.TIME), Literal(value)):
                whole += f"{value:%d %H:%M:%S.%f}" == "01 00:00:00.000000"
    times = sum(BY_NAME[name].kind is Kind.TIME for name in columns if name in _TOGETHER)
    return set(columns) <= set(_TOGETHER) and times == whole


def _numbered(values: Sequence[Any]) -> tuple[list[Any], Numbers]:
    """The different values, and the number of each one among them."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return list(numbers), np.array([numbers[value] for value in values], np.int32)


def _facet(name: str, values: Sequence[Any], counts: npt.NDArray[Any], most: int) -> Facet:
    is_time = BY_NAME[name].kind is Kind.TIME
    known = [number for number in np.flatnonzero(counts).tolist() if values[number] is not None]
    if not is_time and len(known) > most + 1:  # only the largest are put in order
        least = np.partition(counts[known], -most - 1)[-most - 1]
        kept = [number for number in known if counts[number] >= least]
    else:
        kept = known
    pairs = [(values[number], int(counts[number])) for number in kept]
    if is_time:
        pairs.sort(reverse=True)
    else:
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    missing = sum(int(counts[number]) for number, value in enumerate(values) if value is None)
    return Facet(name, tuple(pairs[:most]), missing, more=len(known) > most)
