"""A time limit for everything that a block asks of a database, for programs that answer many people.

On SQLite the limit interrupts the statement in this process, which SQLite notices between two operations.
That suffices for conditions of the query language: none of its operations takes long. Statements of
users can have longer ones, and `run_sql` gives them a process of their own.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from crawler.errors import SlowError
from crawler.store.connect.db_errors import ENDED

#: Seconds between two interrupts after the time is up: one that comes between two statements ends none.
_AGAIN_SECONDS = 0.05


@contextlib.contextmanager
def in_time(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """End the statements of the block once it has lasted for some seconds.

    On PostgreSQL each statement has as many seconds. A block may be inside another one.

    Raises:
        SlowError: The time is up. The connection can be used again.
    """
    run = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    try:
        with run(connection, seconds):
            yield
    except Exception as error:
        # That of the driver where its own rows are read.
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        codes = (getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorname", None))
        if codes not in ((ENDED, None), (None, "SQLITE_INTERRUPT")):
            raise
        raise SlowError(f"no answer within {seconds:g} s; ask for less") from error


def end_statement(connection: sa.Connection) -> None:
    """End what the connection runs, from another thread; without a statement nothing happens."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        driver.cancel()
    else:
        driver.interrupt()


@contextlib.contextmanager
def _sqlite(connection: sa.Connection, seconds: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    done = threading.Event()

    def interrupt() -> None:
        left = seconds
        while not done.wait(left):
            driver.interrupt()
            left = _AGAIN_SECONDS

    watch = threading.Thread(target=interrupt, daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()  # else it might interrupt the next user of the connection


@contextlib.contextmanager
def _postgresql(connection: sa.Connection, seconds: float) -> Iterator[None]:
    limit = "SET LOCAL statement_timeout = {}".format
    before = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
    with connection.begin_nested():
        connection.exec_driver_sql(limit(max(round(seconds * 1000), 1)))
        yield
        connection.exec_driver_sql(limit(f"'{before}'"))
