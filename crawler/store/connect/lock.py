"""A lock that allows one sync at a time on a database."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import redacted

#: The key of PostgreSQL's advisory lock for a sync. Each database of a server has its own locks.
_SYNC_LOCK = 7_236_180_212


@contextlib.contextmanager
def sync_lock(engine: sa.Engine) -> Iterator[None]:
    """Prevent other syncs on this database. The lock is released when the process ends, even if killed.

    Every transaction of the engine inside the block first makes sure that the lock still holds and that
    the database is still the same one.

    Raises:
        StoppedError: Another sync holds it, or it was lost.
        DatabaseError: The lock file beside a SQLite database cannot be created.
    """
    lock = _postgres_lock if engine.dialect.name == "postgresql" else _file_lock
    with lock(engine) as check:

        @sa.event.listens_for(engine, "begin")
        def begin(_connection: sa.Connection) -> None:
            check()

        try:
            yield
        finally:
            sa.event.remove(engine, "begin", begin)


@contextlib.contextmanager
def _postgres_lock(engine: sa.Engine) -> Iterator[Callable[[], None]]:
    with translated(engine.url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    driver: Any = connection.connection.driver_connection

    def check() -> None:
        # Past SQLAlchemy, which would connect again, without the lock.
        try:
            driver.execute("SELECT 1")
        except driver_error as error:
            raise StoppedError(
                f"{redacted(engine.url)}: the connection that kept other syncs away was lost;"
                " run the command again"
            ) from error

    assert engine.dialect.dbapi is not None  # noqa: S101 - for the type checker
    driver_error = engine.dialect.dbapi.Error
    with connection:
        try:
            statement = sa.select(sa.func.pg_try_advisory_lock(_SYNC_LOCK))
            with translated(engine.url):
                free = connection.execute(statement).scalar_one()
            if not free:
                raise _held(engine)
            try:
                yield check
            finally:
                # Closing the connection would free the lock too, but only a moment later.
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(_SYNC_LOCK)))
        finally:
            # The lock belongs to the session, so the connection must not return to the pool.
            connection.invalidate()


@contextlib.contextmanager
def _file_lock(engine: sa.Engine) -> Iterator[Callable[[], None]]:
    # A file of its own: closing the database file here would drop SQLite's locks on it. The file is
    # never removed: another process might be opening it at that moment.
    database = Path(str(engine.url.database))
    # A symbolic link and the file that it leads to must have one lock. Hard links are not opened.
    path = Path(f"{os.path.realpath(database)}.lock")
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise DatabaseError(f"{path}: the lock file cannot be created: {error.strerror}") from error
    with file:
        if not _lock_file(file.fileno()):
            raise _held(engine)
        locked = [(database, _identity(database)), (path, _identity(path))]

        def check() -> None:
            for each, identity in locked:
                if _identity(each) != identity:
                    raise DatabaseError(
                        f"{each} was deleted or replaced while this command was writing to"
                        f" {database}; run the command again"
                    )

        yield check


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _held(engine: sa.Engine) -> StoppedError:
    return StoppedError(
        f"another sync is running on {redacted(engine.url)}; run the command again when it is done"
    )


if sys.platform == "win32":
    import msvcrt

    def _lock_file(descriptor: int) -> bool:
        """Take the lock until the file is closed; False if it is taken."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock_file(descriptor: int) -> bool:
        """Take the lock until the file is closed; False if it is taken."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
