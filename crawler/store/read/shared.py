"""What another machine needs to go on: which rows of which tables, in the order of their keys.

Rows with an id below 0 belong to files of this machine. They are private and never among these rows.
"""

import contextlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.query.tree import Node
from crawler.store.connect.url import redacted
from crawler.store.read.search import Search, condition_on, number_errors, statement_on
from crawler.store.schema import tables
from crawler.store.schema.types import Json, UtcTime

#: The tables, each after those that it refers to. The others are about this machine and its runs, or
#: are computed from these.
SHARED = (
    tables.models,
    tables.versions,
    tables.loras,
    tables.headers,
    tables.tensor_lists,
    tables.old_headers,
    tables.datasets,
    tables.directories,
    tables.tags,
    tables.file_tags,
    tables.problems,
    tables.stat_history,
    tables.field_notes,
)

#: Rows in memory at once: of short ones, of those with JSON, and of headers, each of which may have as many
#: bytes as `sync --max-header` allows.
_BATCH, _BATCH_WITH_JSON, _BATCH_OF_HEADERS = 5_000, 500, 16

#: The ids by which rows belong to files of the site: they are above 0.
_IDS = frozenset({"file_id", "version_id", "model_id"})

#: Bytes of the header of an SQLite WAL file.
_WAL_HEADER = 32

#: Base models that the coverage lists.
_MOST_BASE_MODELS = 12


class Form(StrEnum):
    """The types of values. TIME is an aware datetime in UTC, JSON anything that JSON can hold."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true/false"
    TIME = "time"
    JSON = "JSON"
    BYTES = "bytes"


#: The first match counts.
_FORMS: tuple[tuple[type[sa.types.TypeEngine[Any]], Form], ...] = (
    (UtcTime, Form.TIME),
    (Json, Form.JSON),
    (sa.Boolean, Form.BOOLEAN),
    (sa.LargeBinary, Form.BYTES),
    (sa.Integer, Form.INTEGER),
    (sa.Float, Form.NUMBER),
    (sa.Text, Form.TEXT),
)


@dataclass(frozen=True, slots=True)
class SharedColumn:
    """A column; the meaning and the unit are those of the registry, the unit may be empty."""

    name: str
    form: Form
    meaning: str
    unit: str


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table.

    Attributes:
        meaning: What a row is.
        key: The columns that rows are sorted by, which together identify a row.
    """

    name: str
    meaning: str
    columns: tuple[SharedColumn, ...]
    key: tuple[str, ...]

    @property
    def has_headers(self) -> bool:
        """Whether a row holds the bytes of a header or a tensor list."""
        return any(column.name == "data" for column in self.columns)


def shared_tables() -> tuple[SharedTable, ...]:
    """The tables of SHARED."""
    return tuple(
        SharedTable(
            str(table.name),  # not SQLAlchemy's kind of text
            str(table.comment),
            tuple(
                SharedColumn(
                    str(column.name),
                    next(form for kind, form in _FORMS if isinstance(column.type, kind)),
                    column.info["meaning"],
                    column.info["unit"],
                )
                for column in table.columns
            ),
            tuple(str(column.name) for column in table.primary_key),
        )
        for table in SHARED
    )


@contextlib.contextmanager
def one_snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection whose statements all see the same state of the database."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # A transaction of SQLite always does.
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def lasting_version(connection: sa.Connection, tree: Node | None) -> str:
    """A text that is another one after each committed change, and for another choice of rows.

    Another process can compare it. It may also change when no row did.

    Args:
        connection: Of `one_snapshot`, before it reads anything.
        tree: The condition on `loras`; None for every row.
    """
    is_file = connection.dialect.name == "sqlite"
    state = _state_of_file(connection) if is_file else _state_of_tables(connection)
    chosen = statement_on(connection.dialect.name, Search(tree=tree, columns=("file_id",), limit=0))
    return "\n".join((redacted(connection.engine.url), state, chosen))


def _state_of_file(connection: sa.Connection) -> str:
    """The size and time of an SQLite file and of its WAL file, and how the WAL file begins.

    A commit appends to the WAL file. One that overwrites it from the beginning changes its first bytes.
    The database itself is not opened: closing it would drop SQLite's locks on it.
    """
    path = str(connection.engine.url.database)
    found = Path(path).stat()
    state = f"{found.st_size} {found.st_mtime_ns}"
    with contextlib.suppress(FileNotFoundError), Path(f"{path}-wal").open("rb") as wal:
        found = os.fstat(wal.fileno())
        if found.st_size:  # readers leave an empty one
            state += f" {found.st_size} {found.st_mtime_ns} {wal.read(_WAL_HEADER).hex()}"
    return state


def _state_of_tables(connection: sa.Connection) -> str:
    """How many rows each table of PostgreSQL has, and the sum of the transactions that wrote them.

    A row that is written anew has the number of a later transaction. The number of the latest would not
    do: an earlier one may commit later.
    """
    written = sa.cast(sa.cast(sa.literal_column("xmin"), sa.Text), sa.BigInteger)
    numbers = sa.func.count(), sa.func.sum(written)
    each = (sa.select(sa.literal(one.name), *numbers).select_from(one) for one in SHARED)
    found = connection.execute(sa.union_all(*each)).all()
    return "\n".join(f"{name} {rows} {total}" for name, rows, total in sorted(found))


def shared_rows(
    connection: sa.Connection, name: str, tree: Node | None
) -> Generator[Sequence[sa.Row[Any]]]:
    """The rows of a table that belong to the chosen files, in the order of its key, in batches.

    Args:
        connection: Of `one_snapshot`.
        name: Of a table of SHARED.
        tree: The condition on `loras`; None for every row.

    Raises:
        DatabaseError: A value is not one of its column.
        QueryError: A result of the tree's arithmetic is out of range, on PostgreSQL.
    """
    table = tables.metadata.tables[name]
    statement = (
        sa.select(table)
        .where(_belongs(table, tree, connection.dialect.name))
        .order_by(*table.primary_key)
    )
    with (
        number_errors(tree),
        contextlib.closing(
            connection.execute(statement, execution_options={"yield_per": _batch_of(table)})
        ) as result,
    ):
        batches = result.partitions()
        while True:
            try:
                batch = next(batches, None)
            except (
                ValueError,
                TypeError,
            ) as error:  # of SQLite, which stores any type in any column
                raise DatabaseError(f"the table {name} has a damaged value: {error}") from error
            if batch is None:
                return
            yield batch


def _batch_of(table: sa.Table) -> int:
    if "data" in table.c:
        return _BATCH_OF_HEADERS
    has_json = any(isinstance(column.type, Json) for column in table.c)
    return _BATCH_WITH_JSON if has_json else _BATCH


def _belongs(table: sa.Table, tree: Node | None, dialect: str) -> sa.ColumnElement[bool]:
    """Whether a row belongs to the chosen files."""

    def among(column: sa.Column[int]) -> sa.ColumnElement[bool]:
        if tree is None:
            return column > 0
        chosen = sa.select(tables.loras.c[column.name]).where(
            tables.loras.c.file_id > 0, condition_on(tree, dialect)
        )
        return column.in_(chosen)

    of_file, of_header = tables.file_tags.c, tables.headers.c
    match table.name:
        case "loras":
            return sa.and_(table.c.file_id > 0, condition_on(tree, dialect))
        case "models" if tree is not None:
            # A version that moved to another model may still have files that have not.
            version = tables.versions.c
            of_versions = sa.select(version.model_id).where(among(version.version_id))
            return sa.or_(among(table.c.model_id), table.c.model_id.in_(of_versions))
        case "tensor_lists":
            return table.c.digest.in_(
                sa.select(of_header.list_digest).where(among(of_header.file_id))
            )
        case "tags":
            return table.c.tag_id.in_(sa.select(of_file.tag_id).where(among(of_file.file_id)))
        case "field_notes":
            return table.c.table_name.in_([one.name for one in SHARED])
    return among(next(column for column in table.primary_key if column.name in _IDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the chosen files are.

    Attributes:
        outcomes: Number of files by outcome, the most frequent first.
        base_models: Number of files by base model, the most frequent first, _MOST_BASE_MODELS at most.
        gone: Files that the site no longer lists.
        first_published: When the first of their versions was published; None if no file has a time.
        last_published: When the last one was.
    """

    outcomes: Mapping[str, int]
    base_models: Mapping[str | None, int]
    gone: int
    first_published: datetime | None
    last_published: datetime | None


def coverage(connection: sa.Connection, tree: Node | None) -> Coverage:
    """The coverage of the files that `shared_rows` has."""
    loras = tables.loras
    belongs = _belongs(loras, tree, connection.dialect.name)

    def counts(column: sa.Column[Any], most: int | None) -> dict[Any, int]:
        counted = sa.select(column, sa.func.count()).where(belongs).group_by(column)
        found = connection.execute(counted.order_by(sa.func.count().desc(), column).limit(most))
        return dict(found.all())

    published = loras.c.published_at
    numbers = (sa.func.count(loras.c.gone_at), sa.func.min(published), sa.func.max(published))
    gone, first, last = connection.execute(sa.select(*numbers).where(belongs)).one()
    return Coverage(
        outcomes=counts(loras.c.outcome, None),
        base_models=counts(loras.c.base_model, _MOST_BASE_MODELS),
        gone=gone,
        first_published=first,
        last_published=last,
    )
