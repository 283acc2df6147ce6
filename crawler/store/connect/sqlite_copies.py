"""Copy an SQLite file before a large change, make it smaller afterwards, and fill an empty one."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.store.connect.db_errors import translated

#: Free bytes that remain beside a copy, for the log of the change.
_RESERVE = 64 * 1024 * 1024

#: Bytes of pages in memory while a file is filled. With SQLite's usual 2 MB each index would be sorted in
#: a thousand small pieces.
_FILL_CACHE = 64 * 1024 * 1024


def keep_copy(path: Path, revision: str) -> str:
    """Copy a database beside itself; returns a sentence on it. An older copy is overwritten.

    Raises:
        DatabaseError: There is no room, or the copy cannot be written.
    """
    copy = path.with_name(f"{path.name}.{revision}")
    size = path.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if free < size + _RESERVE:
        raise DatabaseError(
            f"{path}: the upgrade copies the database first, which needs"
            f" {_mb(size + _RESERVE)} of free disk space; {_mb(free)} are free"
        )
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise DatabaseError(f"{copy}: the database cannot be copied: {error}") from error
    return f"copied the database ({_mb(size)}) to {copy}; delete the copy when you do not need it"


def shrink(engine: sa.Engine) -> None:
    """Give the freed space of a database back, unless there is no room to do it.

    Its pages get the size of those of a new file, unless another program has the file open.
    """
    path = Path(str(engine.url.database))
    if shutil.disk_usage(path.parent).free < path.stat().st_size + _RESERVE:
        return
    with translated(engine.url), engine.connect() as connection:
        cursor = connection.connection.cursor()  # VACUUM works outside of transactions only
        with contextlib.suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode = DELETE")
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()


@contextlib.contextmanager
def without_wal(engine: sa.Engine) -> Iterator[None]:
    """For one transaction that fills an empty file: no WAL file, which would hold every page once more.

    SQLite's other journal only holds the pages that were there before. It undoes what a killed process
    leaves. Does nothing on PostgreSQL. The connections of the engine are closed at the end.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    with translated(engine.url), engine.connect() as connection:
        cursor = connection.connection.cursor()
        with contextlib.suppress(sqlite3.OperationalError):  # another program has the file open
            cursor.execute("PRAGMA journal_mode = DELETE")
        cursor.execute("PRAGMA synchronous = FULL")  # NORMAL is safe with a WAL only
        cursor.execute(f"PRAGMA cache_size = -{_FILL_CACHE // 1024}")
        cursor.close()
    try:
        yield
    finally:
        engine.dispose()  # a new connection sets all that as usual


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
