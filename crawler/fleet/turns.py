"""The turns at the API, which all processes of a fleet take from one row of the database."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import anyio

from crawler.sources.base import Source
from crawler.store.connect.database import Connection
from crawler.store.read.fleet import Shared, read_shared
from crawler.store.write.fleet import hold_requests, server_time, take_turn
from crawler.sync.state import WriterThread

#: Seconds that a process waits at most before it asks again while there are no turns.
LOOK_AGAIN = 5.0

#: A turn that was waited for longer than these seconds is used only if the workers are not paused by now.
LONG_WAIT = 0.5

#: The part of the time between two turns by which a turn may be late. A later one is left unused: the
#: next one follows at once, and the API would see both at the same time.
LATE = 0.5

#: Answers of the server that its clock is judged by.
ANSWERS = 16

#: Seconds that a turn may be late at any rate, or a busy process would never be in time for a high one.
#: With these, too, no second has more than one request above the rate, up to 500 a second.
ALWAYS_IN_TIME = 0.002


#: Opens the site, with the turns of the fleet; raises SiteError if it does not answer.
OpenSite = Callable[["SharedTurns"], AbstractAsyncContextManager[Source]]


@dataclass(slots=True)
class SharedTurns:
    """The turns of one process. It holds one at a time, so that a pause leaves few that are granted.

    Attributes:
        shared_writer: Its own connection: what is stored must not delay a turn.
        worker_id: Who takes them; None for what lists.
        limited: Turns must be taken: there is a rate, or the workers are paused.
        trying: The last turn was granted while the other workers wait.
    """

    shared_writer: WriterThread
    worker_id: int | None
    limited: bool = True
    trying: bool = False
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _behind: deque[float] = field(default_factory=lambda: deque(maxlen=ANSWERS))

    async def take(self) -> None:
        """Return once one request may go out: not before its turn, and not much later."""
        if not self.limited:
            return
        async with self._one_at_a_time:
            while True:
                turn = await self.shared_writer.run(
                    lambda connection: take_turn(connection, self.worker_id)
                )
                wait = turn.wait.total_seconds()
                if not turn.granted:
                    await anyio.sleep(min(wait, LOOK_AGAIN))
                    continue
                begins = self._here(turn.now) + wait
                # The timers of uvloop count whole milliseconds, and end up to two too early.
                while (left := begins - monotonic()) > 0:  # noqa: ASYNC110 - it waits for a time
                    await anyio.sleep(left)
                if await self._is_paused(wait):
                    continue
                in_time = max(LATE * turn.step.total_seconds(), ALWAYS_IN_TIME)
                if not turn.step or monotonic() - begins <= in_time:
                    self.trying = turn.trying
                    return

    def _here(self, server_time: datetime) -> float:
        """What this machine's clock shows at a time that the server has just told.

        An answer that took long makes its clock seem behind. The fastest of the last answers is nearest to
        the truth, and as each took some time, the result is never too early.
        """
        told = server_time.timestamp()
        self._behind.append(monotonic() - told)
        return told + min(self._behind)

    async def _is_paused(self, waited: float) -> bool:
        """Whether the workers were paused during a long wait."""
        if self.worker_id is None or waited <= LONG_WAIT:
            return False
        return await self.shared_writer.run(_has_begun_a_pause)

    async def hold(self, seconds: float) -> None:
        """Give nobody in the fleet a turn for so many seconds."""
        self.limited = True
        await self.shared_writer.run(lambda connection: hold_requests(connection, seconds))

    def watch(self, shared: Shared, now: datetime) -> None:
        """Take note of what the fleet shares now."""
        held = shared.held_until is not None and shared.held_until > now
        self.limited = shared.rate > 0 or shared.pause_reason is not None or held


def _has_begun_a_pause(connection: Connection) -> bool:
    shared = read_shared(connection)
    if shared is None or shared.pause_reason is None or shared.paused_until is None:
        return False
    return shared.paused_until > server_time(connection)
