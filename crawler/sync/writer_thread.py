"""The one thread that talks to the database."""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread

from crawler.store.connect.database import Connection, Engine, translated

_T = TypeVar("_T")


class Ledger:
    """Runs pieces of store work one after the other, each in a transaction of its own.

    A piece that has begun is always finished: cancelling its task waits for the commit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Do `work` in a transaction; raises DatabaseError or StoppedError where the database fails."""

        def transaction() -> _T:
            with translated(), self._engine.begin() as connection:
                return work(connection)

        return await to_thread.run_sync(transaction, limiter=self._one_at_a_time)
