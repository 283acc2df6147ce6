"""Work in a transaction of its own, which may be done again when it conflicts with another program."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from crawler.errors import ConflictError
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated

#: Times that a transaction is tried which conflicts with those of other programs, and the longest wait
#: before another try, in seconds.
CONFLICT_TRIES, CONFLICT_WAIT = 8, 0.2

_T = TypeVar("_T")


def in_transaction(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    """The result of `work`, which runs in a transaction; errors as in `translated`."""
    with translated(engine.url), engine.begin() as connection:
        return work(connection)


def retried_transaction(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    """The same; after a conflict `work` is done again, so it must not change anything but the database.

    Raises:
        ConflictError: It conflicts again and again.
    """
    for _ in range(CONFLICT_TRIES - 1):
        with suppress(ConflictError):
            return in_transaction(engine, work)
        time.sleep(random.uniform(0, CONFLICT_WAIT))  # noqa: S311 - jitter
    return in_transaction(engine, work)
