"""Copy every row of a database to an empty one, of the same kind or not.

One snapshot is read, and one transaction stores it: the target has all rows or none, whenever the process
is killed. Rows go from one driver to the other, one after the other, so memory does not grow with them.
Indexes and foreign keys are made afterwards, which takes a fraction of the time.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError, UsageError
from crawler.store.connect.database import changing_tables
from crawler.store.connect.db_errors import driver_errors, short, translated
from crawler.store.connect.engines import json_text, json_value
from crawler.store.connect.sqlite_copies import without_wal
from crawler.store.connect.url import redacted
from crawler.store.read.status import check_tables, table_counts
from crawler.store.schema import tables
from crawler.store.schema.types import UtcTime

#: The tables that are copied, parents first. Every database has its notes from the beginning.
COPIED = tuple(one for one in tables.metadata.sorted_tables if one is not tables.field_notes)

#: Rows between two calls of `going`.
STEP = 1_000

#: Rows that PostgreSQL sends at once, which takes a third less time than one after the other. Of tables with
#: headers, each of which may have megabytes, it sends one.
_CHUNK = 200


@dataclass(slots=True)
class CopyProgress:
    """How far a copy is.

    Attributes:
        total: Rows that there are.
        rows: Rows that were read.
        table: The table that is copied; empty before the first and after the last one.
    """

    total: int = 0
    rows: int = 0
    table: str = ""


def copy_database(
    source: sa.Engine, target: sa.Engine, *, progress: CopyProgress, going: Callable[[], bool]
) -> None:
    """Copy every row.

    Args:
        source: A current database, open for reading.
        target: Another current one without rows, open for writing.
        progress: Updated during the copy.
        going: Called now and then; when it returns False the copy ends and is undone.

    Raises:
        UsageError: The target has rows.
        DatabaseError: A table of the source is missing, or one of its values or rows cannot be stored.
        StoppedError: `going` returned False. The target is as before.
        DatabaseError, StoppedError: As in `translated`.
    """
    with translated(source.url), _snapshot(source) as reading:
        check_tables(reading)
        counts = table_counts(reading)
        progress.total = sum(counts[table.name] for table in COPIED)
        try:
            with without_wal(target), changing_tables(target) as writing:
                _demand_empty(writing)
                with _indexes_later(writing):
                    for table in COPIED:
                        progress.table = table.name
                        with closing(_rows(reading, writing, table, progress, going)) as found:
                            _store(writing, table, found)
                    progress.table = ""
                if writing.dialect.name == "postgresql":
                    _finish(writing)
        except sa.exc.DBAPIError as error:
            told = f" of {progress.table}" if progress.table else ""
            raise DatabaseError(
                f"{redacted(target.url)}: a row{told} from {redacted(source.url)} cannot be stored:"
                f" {short(str(error.orig))}"
            ) from error


def stored_bytes(engine: sa.Engine) -> int:
    """The size of a database."""
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).stat().st_size
    with translated(engine.url), engine.connect() as connection:
        size = sa.func.pg_database_size(sa.func.current_database())
        return int(connection.execute(sa.select(size)).scalar_one())


@contextmanager
def _snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that reads one state of the database, whatever others write meanwhile."""
    is_file = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        # A transaction of SQLite is one anyway.
        yield (
            connection
            if is_file
            else connection.execution_options(isolation_level="REPEATABLE READ")
        )


def _demand_empty(connection: sa.Connection) -> None:
    filled = [
        table.name
        for table in COPIED
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
    ]
    if filled:
        raise UsageError(
            f"{redacted(connection.engine.url)}: a copy needs an empty database, and this one has rows in"
            f" {', '.join(filled)}; choose another one"
        )


@contextmanager
def _indexes_later(connection: sa.Connection) -> Iterator[None]:
    """Make the indexes and foreign keys of empty tables after the block."""
    for table in COPIED:
        for index in table.indexes:
            index.drop(connection, checkfirst=True)
    keys: list[sa.ForeignKeyConstraint] = []
    if connection.dialect.name == "postgresql":  # SQLite checks them at the end of the transaction
        keys = [key for table in COPIED for key in table.foreign_key_constraints]
        for key in keys:
            connection.execute(sa.schema.DropConstraint(key, if_exists=True))
        # COPY may then store rows as if they had been there for long, which saves a VACUUM of all.
        connection.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in COPIED)}")
    yield
    tables.create_missing_indexes(connection)
    for key in keys:
        connection.execute(sa.schema.AddConstraint(key, isolate_from_table=False))


def _rows(
    reading: sa.Connection,
    writing: sa.Connection,
    table: sa.Table,
    progress: CopyProgress,
    going: Callable[[], bool],
) -> Generator[Sequence[Any], None, None]:
    """The rows of a table in the order of its key, as the other driver stores them. To be closed.

    Every value of SQLite is one that PostgreSQL reads. SQLite has texts for times and JSON.
    """
    statement = str(sa.select(table).order_by(*table.primary_key).compile(dialect=reading.dialect))
    driver: Any = reading.connection.driver_connection
    is_file = writing.dialect.name == "sqlite"
    times: list[int] = []
    # Rows that are left would keep the connection, which could not even roll back.
    with driver_errors(reading), ExitStack() as stack:
        cursor = driver.cursor()
        if reading.dialect.name == "sqlite":
            found = cursor.execute(statement)
        else:
            from psycopg import capabilities  # noqa: PLC0415 - an extra
            from psycopg.types.json import set_json_loads  # noqa: PLC0415 - an extra

            set_json_loads(_rewritten if is_file else _same, context=cursor)
            if is_file:
                columns = enumerate(table.columns)
                times = [at for at, column in columns if isinstance(column.type, UtcTime)]
            is_long = any(isinstance(one.type, sa.LargeBinary) for one in table.columns)
            chunked = capabilities.has_stream_chunked() and not is_long
            found = cursor.stream(statement, size=_CHUNK if chunked else 1)
        stack.callback(found.close)
        for number, row in enumerate(found, start=1):
            if times:
                row = list(row)  # noqa: PLW2901 - the same row
                for at in times:
                    row[at] = row[at] and row[at].isoformat(" ")
            yield row
            progress.rows += 1
            if number % STEP == 0 and not going():
                raise StoppedError(
                    f"{redacted(writing.engine.url)}: stopped; nothing was copied; run the same command"
                    " again"
                )


def _rewritten(text: str | bytes) -> str:
    """JSON of PostgreSQL as it is written to SQLite."""
    return json_text(json_value(text))


def _same(text: str | bytes) -> str:
    """JSON of PostgreSQL for another PostgreSQL."""
    return text if isinstance(text, str) else text.decode()


def _store(connection: sa.Connection, table: sa.Table, rows: Iterator[Sequence[Any]]) -> None:
    """Store rows with the fastest means of the driver."""
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            driver.executemany(str(sa.insert(table).compile(dialect=connection.dialect)), rows)
            return
        quoted = map(connection.dialect.identifier_preparer.format_column, table.columns)
        command = f"COPY {table.name} ({', '.join(quoted)}) FROM STDIN (FREEZE)"
        with driver.cursor() as cursor, cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(row)


def _finish(connection: sa.Connection) -> None:
    """Let new numbers follow the highest, and tell the planner of PostgreSQL what there is."""
    for table in COPIED:
        column = table.autoincrement_column
        if column is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            last = sa.select(sa.func.setval(sequence, sa.func.max(column)))
            connection.execute(last.having(sa.func.max(column).is_not(None)))
    connection.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in COPIED)}")
