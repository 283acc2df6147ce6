"""A worker of a fleet: it takes batches from the queue and fetches them as a sync does.

It works in rounds. A round is one pipeline, which ends when the queue has nothing for it, or when the
site refuses us. Then all workers wait, and one of them tries first. A worker ends when no batch is left,
not even one that another worker has: that one may die, and its batch comes back.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from crawler.errors import (
    LoginError,
    LoraCrawlError,
    QuotaError,
    SiteError,
    StoppedError,
    UnreachableError,
)
from crawler.fleet.queue import Queue, queue_of
from crawler.fleet.supply import FleetSupply
from crawler.fleet.turns import OpenSite, SharedTurns
from crawler.sources.base import Source
from crawler.store.connect.database import Connection, Engine, open_as_found
from crawler.store.read.fleet import LOST_AFTER, Shared, read_shared
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.fleet import (
    FIRST_PAUSE,
    begin_worker,
    end_worker,
    others,
    pause,
    see_worker,
    server_time,
    share,
)
from crawler.sync.breaker import Breaker
from crawler.sync.pipeline import Pipeline
from crawler.sync.progress import SyncTally
from crawler.sync.run import cause_of, utc_now
from crawler.sync.state import QUOTA_PERIOD, Plan, RunState, WriterThread

#: What stands for a walk in the row of `crawls` of a worker.
WALK = "worker"

#: Seconds between two heartbeats. Six of them may be lost before a worker counts as dead.
HEARTBEAT_SECONDS = LOST_AFTER.total_seconds() / 6

#: Seconds between two looks at the queue while nothing is there for this worker.
LOOK_SECONDS = 1.0

#: Seconds that a worker waits for a database that cannot be reached any more, such as one that restarts.
DATABASE_PATIENCE = 300.0

#: The same once it was asked to stop.
LAST_PATIENCE = 5.0


async def work(
    open_site: OpenSite,
    engine: Engine,
    plan: Plan,
    *,
    rate: float | None,
    origin: str,
    tally: SyncTally,
    stop: anyio.Event,
    tell: Callable[[str], object],
) -> None:
    """Fetch what is on the queue until nothing is left or `stop` is set.

    Args:
        open_site: Opens the site; it may raise SiteError.
        engine: Open for writing, on PostgreSQL, with a `fleet_lock`.
        plan: Its `concurrency` and `has_api_key` count. The files come from the queue, whatever its walk.
        rate: Requests a second of all together from now on; None keeps what is stored.
        origin: The API.
        tally: Grows during the run; at the end its `pending` is what is left of the batches.
        stop: Once set, no new work starts, and files in flight are finished and stored.
        tell: Takes sentences on what the worker waits for.

    Raises:
        StoppedError: The site wants an API key; it cannot be reached; the database cannot be reached
            any more; or batches of another version are left on the queue.
        DatabaseError: The tables are of another revision by now.
        UsageError: The database was filled from another API.
    """
    async with queue_of(engine.url, patience=DATABASE_PATIENCE) as queue:
        shared_engine = open_as_found(engine.url)
        try:
            writer = WriterThread(engine, patience=DATABASE_PATIENCE)
            shared_writer = WriterThread(shared_engine, patience=DATABASE_PATIENCE)
            await shared_writer.run(lambda connection: share(connection, rate=rate))
            behind = await shared_writer.run(server_time) - utc_now()
            worker = _Worker(
                open_site=open_site,
                writer=writer,
                shared_writer=shared_writer,
                queue=queue,
                plan=plan,
                tally=tally,
                stop=stop,
                tell=tell,
                behind=behind,
            )
            await worker.run(origin)
        finally:
            shared_engine.dispose()


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A worker at work.

    Attributes:
        behind: How much this machine's clock is behind the server's.
        supply: The files of the current round.
        breaker: Judges failures; a new one after each refusal.
        contacted: The site has answered once.
        unreached: How often in a row the site could not be reached.
        trouble: Why work is left.
        over: There is nothing to do any more.
        left: Files of its batches that are pending.
    """

    open_site: OpenSite
    writer: WriterThread
    shared_writer: WriterThread
    queue: Queue
    plan: Plan
    tally: SyncTally
    stop: anyio.Event
    tell: Callable[[str], object]
    behind: timedelta
    worker_id: int = 0
    supply: FleetSupply | None = None
    breaker: Breaker | None = None
    contacted: bool = False
    unreached: int = 0
    trouble: StoppedError | None = None
    over: bool = False
    left: int = 0

    def clock(self) -> datetime:
        """The server's time."""
        return utc_now() + self.behind

    async def run(self, origin: str) -> None:
        """Work until nothing is left; errors as in `work`."""
        async with self._entry(origin):
            turns = SharedTurns(self.shared_writer, self.worker_id)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._send_heartbeats, turns)
                    group.start_soon(self._hurry)
                    await self._work(turns)
                    group.cancel_scope.cancel()
            except BaseExceptionGroup as several:
                raise cause_of(several) from several
        if self.trouble is not None:
            raise self.trouble

    @asynccontextmanager
    async def _entry(self, origin: str) -> AsyncIterator[None]:
        """The rows in `workers` and `crawls`: inserted at the start, completed however the run ends."""

        def begin(connection: Connection) -> tuple[int, int]:
            crawl_id = begin_crawl(
                connection,
                origin=origin,
                walk=WALK,
                now=self.clock(),
                has_api_key=self.plan.has_api_key,
            )
            return begin_worker(connection, host=socket.gethostname(), pid=os.getpid()), crawl_id

        self.worker_id, crawl_id = await self.writer.run(begin)
        ending = "cancelled"
        try:
            yield
            ending = str(self.trouble or ("interrupted" if self.stop.is_set() else "done"))
        except LoraCrawlError as error:
            ending = str(error)
            raise
        finally:
            with anyio.CancelScope(shield=True), suppress(LoraCrawlError):
                self.writer.patience = self.shared_writer.patience = LAST_PATIENCE
                await self.writer.run(lambda connection: self._end(connection, crawl_id, ending))
                await self._refresh()

    def _end(self, connection: Connection, crawl_id: int, ending: str) -> None:
        self.tally.pending = self.left
        self._see(connection)
        end_worker(connection, self.worker_id, ending)
        summary = self.tally.summary()
        finish_crawl(connection, crawl_id, ending=ending, summary=summary, now=self.clock())
        count_changes(connection, self.tally.files)

    async def _refresh(self) -> None:
        """Make the statistics anew, unless others still change what they are made of."""
        alive, _ = await self.shared_writer.run(
            lambda connection: others(connection, self.worker_id, LOST_AFTER)
        )
        if not alive:
            await self.writer.run_outside(
                lambda engine: refresh_if_due(
                    engine, now=self.clock(), going=lambda: not self.stop.is_set()
                )
            )

    def _going(self) -> bool:
        return not (self.over or self.stop.is_set())

    async def _work(self, turns: SharedTurns) -> None:
        """Open the site, and again after each refusal, until nothing is left."""
        while self._going():
            trouble: StoppedError | None
            try:
                async with self.open_site(turns) as site:
                    self.contacted = True
                    trouble = await self._rounds(site, turns)
            except SiteError as error:
                if not (self.contacted or self.stop.is_set()):
                    raise
                trouble = error
            stopped = self.stop.is_set() and isinstance(trouble, UnreachableError)
            if trouble is not None and not stopped:
                await self._wait_after_refusal(trouble, turns)
            while self._going() and await self._waits():
                pass

    async def _rounds(self, site: Source, turns: SharedTurns) -> StoppedError | None:
        """Work until nothing is left or the site refuses us; returns why it does."""
        while self._going():
            if await self._waits():
                continue
            trouble = await self._round(site, turns)
            if trouble is not None:
                return trouble
            self.over = self.over or await self._is_over()
        return None

    async def _round(self, site: Source, turns: SharedTurns) -> StoppedError | None:
        """Fetch what the queue has for this worker; why it stopped early, None if it did not."""
        if self.breaker is None:
            self.breaker = Breaker(site.origin)
        state = RunState(site, self.writer, self.plan, self.tally, self.stop, self.clock)
        self.supply = supply = FleetSupply(
            state=state,
            writer=self.writer,
            shared_writer=self.shared_writer,
            queue=self.queue,
            turns=turns,
            worker_id=self.worker_id,
            tell=self.tell,
            reserved=self.tally.counted_downloads,
        )
        whole = False
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_wake_now_and_then, state)
                async with anyio.create_task_group() as inner:
                    await inner.start(Pipeline(state, self.breaker, supply).start, inner)
                group.cancel_scope.cancel()
            whole = not state.ending
        finally:
            with anyio.CancelScope(shield=True):
                await supply.close(whole=whole)
            self.left += supply.left
            self.supply = None
        if whole:
            self.unreached = 0
        if state.budget_used:
            self.over = True
            if (await self.queue.depth()).waiting:
                self.trouble = StoppedError(
                    "the budget of sync --enqueue --max-downloads is used up; the same command without it,"
                    " or with another one, lets the workers go on"
                )
        return state.trouble

    async def _waits(self) -> bool:
        """Whether the workers are paused; returns after a while."""
        shared = await self.shared_writer.run(read_shared)
        if shared is None or shared.pause_reason is None or shared.paused_until is None:
            self.tally.waiting = ""
            return False
        left = (shared.paused_until - self.clock()).total_seconds()
        if left <= 0:
            self.tally.waiting = ""
            return False
        self.tally.waiting = _told(shared)
        await self._sleep(min(left, LOOK_SECONDS * 2))
        return True

    async def _wait_after_refusal(self, trouble: StoppedError, turns: SharedTurns) -> None:
        """Let all workers wait after a refusal, or this one alone if the network is its own.

        Raises:
            LoginError: The site wants an API key, or does not know the one of this worker.
        """
        self.breaker = None
        if isinstance(trouble, LoginError):
            raise trouble
        if isinstance(trouble, UnreachableError):
            wait = FIRST_PAUSE.total_seconds() * 2 ** min(self.unreached, 5)
            self.unreached += 1
            self.tell(f"{trouble}\nthis worker tries again in {wait:.0f} s")
            await self._sleep(wait)
            return
        least = QUOTA_PERIOD if isinstance(trouble, QuotaError) else timedelta(0)
        until = await self.shared_writer.run(
            lambda connection: pause(connection, str(trouble), least=least)
        )
        turns.limited = True
        self.tell(f"{trouble}\nall workers wait until {until:%Y-%m-%d %H:%M:%S} UTC")

    async def _is_over(self) -> bool:
        """Whether nothing is left on the queue; returns after a while if something is."""
        depth = await self.queue.depth()
        if depth.waiting:
            return False
        if depth.in_work:
            # Others have it. If one of them dies, its batches come back.
            await self._sleep(LOOK_SECONDS)
            return False
        if depth.unknown:
            self.trouble = StoppedError(
                f"{depth.unknown} batches on the queue are of another version of lora-crawl, which must"
                " fetch them; upgrade this one: pip install --upgrade 'lora-crawl[fleet]'"
            )
        return True

    async def _sleep(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self.stop.wait()

    async def _send_heartbeats(self, turns: SharedTurns) -> None:
        """Say now and then that this worker is alive, and look what the fleet shares."""

        def see(connection: Connection) -> Shared | None:
            self._see(connection)
            return read_shared(connection)

        while True:
            shared = await self.shared_writer.run(see)
            if shared is not None:
                turns.watch(shared, self.clock())
            if self.supply is not None:
                await self.queue.heartbeat([*self.supply.held.values()])
            await anyio.sleep(HEARTBEAT_SECONDS)

    def _see(self, connection: Connection) -> None:
        see_worker(
            connection,
            self.worker_id,
            files=self.tally.files,
            downloads=self.tally.counted_downloads,
        )

    async def _hurry(self) -> None:
        """Wait no longer for a database that is away, once the worker is to stop."""
        await self.stop.wait()
        self.writer.patience = self.shared_writer.patience = self.queue.patience = LAST_PATIENCE


async def _wake_now_and_then(state: RunState) -> None:
    while True:
        await anyio.sleep(LOOK_SECONDS)
        state.wakeup.notify()


def _told(shared: Shared) -> str:
    reason = (shared.pause_reason or "").splitlines()[0]
    return f"waiting until {shared.paused_until:%Y-%m-%d %H:%M:%S} UTC: {reason}"
