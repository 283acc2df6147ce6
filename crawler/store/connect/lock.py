"""Locks: one sync at a time on a database or the workers of a fleet, and one upgrade."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError, LostConnectionError, StoppedError
from crawler.store.connect.db_errors import LOCKED, translated
from crawler.store.connect.url import redacted

#: The key of PostgreSQL's advisory lock for a sync. Each database of a server has its own locks.
_SYNC_LOCK = 7_236_180_212

#: The key of the one that lists for a fleet.
_LIST_LOCK = 7_236_180_213

#: The key of the one for an upgrade as a whole, which has several transactions.
_WHOLE_UPGRADE_LOCK = 7_236_180_220

#: Seconds that an upgrade waits for another upgrade, and for each lock of another session. A sync stores
#: a batch in less than one, and nobody waits longer in front of a terminal.
UPGRADE_WAIT = 30.0

#: Seconds that a statement of an upgrade or of `db copy` may take. The longest one, an index or the copy of
#: a table of a million files, takes minutes.
UPGRADE_STATEMENT = 6 * 3600.0

#: Seconds between two looks whether a lock file is free.
_LOOK_SECONDS = 0.1

#: Sessions that a message names.
_NAMED_SESSIONS = 3

#: The sessions that hold a lock, except those whose transaction is younger than the wait for it. What
#: belongs to other roles is NULL, unless this one may see it.
_HOLDERS = """
SELECT DISTINCT pid, application_name, usename, state,
  CAST(extract(epoch FROM now() - xact_start) AS bigint) AS seconds
FROM pg_locks AS held JOIN pg_stat_activity USING (pid)
WHERE held.granted AND pid <> pg_backend_pid()
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND coalesce(extract(epoch FROM now() - xact_start) >= :waited, true) AND {lock}
ORDER BY pid
"""
_OF_TABLES = """held.relation IN
  (SELECT oid FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace))"""
_ADVISORY = """held.locktype = 'advisory'
  AND (CAST(held.classid AS bigint) << 32 | CAST(held.objid AS bigint)) = :key"""

#: How an advisory lock is held, once for each session that holds it.
_MODES = f"""
SELECT mode FROM pg_locks AS held
WHERE granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND {_ADVISORY}
"""  # noqa: S608 - constants


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
def upgrade_lock(engine: sa.Engine) -> Iterator[None]:
    """Prevent other upgrades of this database, and syncs on a SQLite file.

    Raises:
        StoppedError: It was held for UPGRADE_WAIT seconds.
        DatabaseError: The lock file beside a SQLite database cannot be created.
    """
    if engine.dialect.name != "postgresql":
        until = time.monotonic() + UPGRADE_WAIT
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(_file_lock(engine))
                    break
                except StoppedError:
                    if time.monotonic() > until:
                        raise
                time.sleep(_LOOK_SECONDS)
            yield
        return
    with translated(engine.url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        try:
            limit_waits(connection, "SET")
            with translated(engine.url), naming_holders(engine, _WHOLE_UPGRADE_LOCK):
                connection.execute(sa.select(sa.func.pg_advisory_lock(_WHOLE_UPGRADE_LOCK)))
            yield
        finally:
            connection.invalidate()  # its locks belong to the session


def limit_waits(connection: sa.Connection, scope: str) -> None:
    """Limit the time of PostgreSQL's waits for locks, and that of statements, whatever its own limits are.

    Args:
        connection: Of an upgrade.
        scope: `SET LOCAL` for the transaction, `SET` for the session.
    """
    connection.exec_driver_sql(f"{scope} lock_timeout = {round(UPGRADE_WAIT * 1000)}")
    connection.exec_driver_sql(f"{scope} statement_timeout = {round(UPGRADE_STATEMENT * 1000)}")


@contextlib.contextmanager
def naming_holders(engine: sa.Engine, key: int | None = None) -> Iterator[None]:
    """Turn the error about a lock that was not free in time into one that says who holds it.

    Args:
        engine: On PostgreSQL.
        key: That of an advisory lock; None for locks of tables.

    Raises:
        StoppedError: A lock inside the block was not free in time.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCKED:
            raise
        raise StoppedError(_why_locked(engine, key)) from error


def _why_locked(engine: sa.Engine, key: int | None) -> str:
    statement = sa.text(_HOLDERS.format(lock=_OF_TABLES if key is None else _ADVISORY))
    given = {"waited": UPGRADE_WAIT} | ({} if key is None else {"key": key})
    with translated(engine.url), engine.connect() as connection:
        rows = connection.execute(statement, given).all()
    waited = f"{redacted(engine.url)}: waited {UPGRADE_WAIT:g} s"
    if not rows:
        return f"{waited} for a lock that is free now; run the command again"
    named = ", ".join(map(_session, rows[:_NAMED_SESSIONS]))
    more = f" and {len(rows) - _NAMED_SESSIONS} more" if len(rows) > _NAMED_SESSIONS else ""
    if key is not None:
        return f"{waited} for another upgrade or copy: {named}{more}\nrun the command again when it is done"
    return (
        f"{waited} for tables that other sessions hold: {named}{more}"
        f"\nend them, for example with SELECT pg_terminate_backend({rows[0].pid}), and run the command"
        " again"
    )


def _session(row: sa.Row[Any]) -> str:
    """`process 4711 (psql of ann, idle in transaction for 320 s)`."""
    state = row.state or "its state is hidden"
    since = "" if row.seconds is None else f" for {row.seconds} s"
    return f"process {row.pid} ({row.application_name or 'a program'} of {row.usename}, {state}{since})"


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
                shared = _modes(connection, _SYNC_LOCK) == {"ShareLock"}
                raise _held_by_fleet(engine) if shared else _held(engine)
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
def fleet_lock(engine: sa.Engine, *, lists: bool = False) -> Iterator[None]:
    """Keep syncs away from this PostgreSQL database, but not the other processes of a fleet.

    It is released when the process ends, and taken again when its connection was lost.

    Args:
        engine: Open for writing. Each of its transactions inside the block first makes sure that the
            lock holds.
        lists: Also keep away others that list for the fleet.

    Raises:
        StoppedError: A sync is running, or something else lists.
    """
    lock = _FleetLock(engine, lists=lists)
    lock.take()
    sa.event.listen(engine, "begin", lock.check)
    try:
        yield
    finally:
        sa.event.remove(engine, "begin", lock.check)
        lock.release()


class _FleetLock:
    """The connection that holds the locks of one process of a fleet."""

    def __init__(self, engine: sa.Engine, *, lists: bool) -> None:
        self._engine = engine
        self._locks = [("pg_try_advisory_lock_shared", _SYNC_LOCK, _held)]
        if lists:
            self._locks.append(("pg_try_advisory_lock", _LIST_LOCK, _listed))
        self._connection: sa.Connection | None = None

    def take(self) -> None:
        """Connect and take the locks."""
        self.release()
        with translated(self._engine.url):
            self._connection = self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        for take, key, held in self._locks:
            if not self._ask(f"SELECT {take}({key})"):
                self.release()
                raise held(self._engine)

    def check(self, _connection: sa.Connection) -> None:
        """Make sure that the locks hold."""
        try:
            self._ask("SELECT 1")
        except LostConnectionError:
            self.take()

    def release(self) -> None:
        """Close the connection: the locks belong to its session."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _ask(self, statement: str) -> Any:
        """The answer to a statement, past SQLAlchemy, which would connect again and call `check`."""
        dbapi: Any = self._engine.dialect.dbapi
        try:
            if self._connection is None:
                raise dbapi.OperationalError
            driver: Any = self._connection.connection.driver_connection
            return driver.execute(statement).fetchone()[0]
        except dbapi.Error as error:
            raise LostConnectionError(
                f"{redacted(self._engine.url)}: the connection was lost; run the command again"
            ) from error


def is_listed(connection: sa.Connection) -> bool:
    """Whether something lists for the fleet of this database."""
    return bool(_modes(connection, _LIST_LOCK))


def _modes(connection: sa.Connection, key: int) -> set[str]:
    """How an advisory lock of this database is held: `ShareLock`, `ExclusiveLock`; empty if it is not."""
    return {*connection.execute(sa.text(_MODES), {"key": key}).scalars()}


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
        if not lock_file(file.fileno()):
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


def _held_by_fleet(engine: sa.Engine) -> StoppedError:
    return StoppedError(
        f"workers are fetching into {redacted(engine.url)}; run the command again when they are done, or"
        " stop them (lora-crawl status lists them)"
    )


def _listed(engine: sa.Engine) -> StoppedError:
    return StoppedError(
        f"another sync --enqueue is running on {redacted(engine.url)}; run the command again when it is"
        " done"
    )


if sys.platform == "win32":
    import msvcrt

    def lock_file(descriptor: int) -> bool:
        """Take the lock until the file is closed; False if it is taken."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock_file(descriptor: int) -> bool:
        """Take the lock until the file is closed; False if it is taken."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
