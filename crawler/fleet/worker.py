"""A worker of a fleet: it takes batches from the queue and fetches them as a sync does.

It works in rounds. A round is one pipeline, which ends when the queue has nothing for it, or when the
site refuses us. Then all workers wait, and one of them tries first. A worker ends when no batch is left,
not even one that another worker has: that one may die, and its batch comes back.
"""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import anyio

from crawler.errors import (
    BudgetError,
    LoginError,
    LoraCrawlError,
    QuotaError,
    SiteError,
    StoppedError,
    UnreachableError,
)
from crawler.fleet.queue import queue_of
from crawler.fleet.supply import FleetSupply, Member
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

#: Why a worker ends that could go on with another budget.
BUDGET_USED = (
    "the budget of all workers (sync --enqueue --max-downloads) is used up\n"
    "To go on, run sync --enqueue with another budget or with none, then the workers."
)


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
        BudgetError: The budget of all workers is used up.
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

            def begin(connection: Connection) -> tuple[int, int]:
                crawl_id = begin_crawl(
                    connection,
                    origin=origin,
                    walk=WALK,
                    now=utc_now() + behind,
                    has_api_key=plan.has_api_key,
                )
                worker_id = begin_worker(connection, host=socket.gethostname(), pid=os.getpid())
                return worker_id, crawl_id

            worker_id, crawl_id = await writer.run(begin)
            member = Member(
                worker_id=worker_id,
                writer=writer,
                shared_writer=shared_writer,
                queue=queue,
                turns=SharedTurns(shared_writer, worker_id),
                tally=tally,
                clock=lambda: utc_now() + behind,
                tell=tell,
            )
            worker = _Worker(member, FleetSupply(member), open_site, plan, stop)
            await worker.run(crawl_id)
        finally:
            shared_engine.dispose()


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker at work: rounds of one pipeline each, until one of them says that it is over."""

    member: Member
    supply: FleetSupply
    open_site: OpenSite
    plan: Plan
    stop: anyio.Event

    async def run(self, crawl_id: int) -> None:
        """Work until nothing is left, and complete the rows of the run; errors as in `work`."""
        member, ending = self.member, "cancelled"
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._send_heartbeats)
                group.start_soon(self._hurry)
                await self._work()
                group.cancel_scope.cancel()
            ending = "interrupted" if self.stop.is_set() else "done"
        except BaseExceptionGroup as several:
            cause = cause_of(several)
            ending = str(cause) if isinstance(cause, LoraCrawlError) else ending
            raise cause from several
        finally:
            with anyio.CancelScope(shield=True), suppress(LoraCrawlError):
                member.writer.patience = member.shared_writer.patience = LAST_PATIENCE
                await member.writer.run(lambda connection: self._end(connection, crawl_id, ending))
                await self._refresh()

    def _end(self, connection: Connection, crawl_id: int, ending: str) -> None:
        member, tally = self.member, self.member.tally
        tally.pending = self.supply.left
        self._see(connection)
        end_worker(connection, member.worker_id, ending)
        summary = tally.summary()
        finish_crawl(connection, crawl_id, ending=ending, summary=summary, now=member.clock())
        count_changes(connection, tally.files)

    async def _refresh(self) -> None:
        """Make the statistics anew, unless others still change what they are made of."""
        member = self.member
        alive, _ = await member.shared_writer.run(
            lambda connection: others(connection, member.worker_id, LOST_AFTER)
        )
        if not alive:
            await member.writer.run_outside(
                lambda engine: refresh_if_due(
                    engine, now=member.clock(), going=lambda: not self.stop.is_set()
                )
            )

    async def _work(self) -> None:
        """Open the site, and again after each refusal, until nothing is left."""
        contacted, unreached = False, 0
        while not self.stop.is_set():
            ended = self.member.tally.files
            refusal: StoppedError | None
            try:
                async with self.open_site(self.member.turns) as site:
                    contacted = True
                    refusal = await self._rounds(site)
            except SiteError as error:
                if not (contacted or self.stop.is_set()):
                    raise
                refusal = error
            if refusal is None or (self.stop.is_set() and isinstance(refusal, UnreachableError)):
                return
            if self.member.tally.files > ended:
                unreached = 0
            if isinstance(refusal, UnreachableError):
                await self._wait_alone(refusal, unreached)
                unreached += 1
            else:
                await self._pause_all(refusal)
            while not self.stop.is_set() and await self._waits():
                pass

    async def _rounds(self, site: Source) -> StoppedError | None:
        """Work until nothing is left or the site refuses us; returns why it does, else None.

        Raises:
            BudgetError: The budget of all workers is used up.
            StoppedError: Only batches of another version are left.
        """
        breaker = Breaker(site.origin)
        while not self.stop.is_set():
            if await self._waits():
                continue
            state = await self._round(site, breaker)
            if state.trouble is not None:
                return state.trouble
            if state.budget_used:
                if (await self.member.queue.depth()).waiting:
                    raise BudgetError(BUDGET_USED)
                return None
            if await self._is_over():
                return None
        return None

    async def _round(self, site: Source, breaker: Breaker) -> RunState:
        """Fetch what the queue has for this worker; returns how that ended."""
        member = self.member
        state = RunState(site, member.writer, self.plan, member.tally, self.stop, member.clock)
        whole = False
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_wake_now_and_then, state)
                async with anyio.create_task_group() as inner:
                    await inner.start(Pipeline(state, breaker, self.supply).start, inner)
                group.cancel_scope.cancel()
            whole = not state.ending
        finally:
            with anyio.CancelScope(shield=True):
                await self.supply.close(whole=whole)
        return state

    async def _waits(self) -> bool:
        """Whether the workers are paused; returns after a while."""
        member, shared = self.member, await self.member.shared_writer.run(read_shared)
        member.tally.waiting = ""
        if shared is None or shared.pause_reason is None or shared.paused_until is None:
            return False
        left = (shared.paused_until - member.clock()).total_seconds()
        if left <= 0:
            return False
        member.tally.waiting = _told(shared)
        await self._sleep(min(left, LOOK_SECONDS * 2))
        return True

    async def _wait_alone(self, trouble: UnreachableError, unreached: int) -> None:
        """Wait, since the network may be this worker's own: longer each time in a row."""
        wait = FIRST_PAUSE.total_seconds() * 2 ** min(unreached, 5)
        self.member.tell(f"{trouble}\nthis worker tries again in {wait:.0f} s")
        await self._sleep(wait)

    async def _pause_all(self, refusal: StoppedError) -> None:
        """Let all workers wait after a refusal.

        Raises:
            LoginError: The site wants an API key, or does not know the one of this worker.
        """
        if isinstance(refusal, LoginError):
            raise refusal
        least = QUOTA_PERIOD if isinstance(refusal, QuotaError) else timedelta(0)
        until = await self.member.shared_writer.run(
            lambda connection: pause(connection, str(refusal), least=least)
        )
        self.member.turns.limited = True
        self.member.tell(f"{refusal}\nall workers wait until {until:%Y-%m-%d %H:%M:%S} UTC")

    async def _is_over(self) -> bool:
        """Whether nothing is left on the queue; returns after a while if something is.

        Raises:
            StoppedError: Only batches of another version are left.
        """
        depth = await self.member.queue.depth()
        if depth.waiting:
            return False
        if depth.in_work:
            # Others have it. If one of them dies, its batches come back.
            await self._sleep(LOOK_SECONDS)
            return False
        if depth.unknown:
            raise StoppedError(
                f"{depth.unknown} batches on the queue are of another version of lora-crawl, which must"
                " fetch them; upgrade this one: pip install --upgrade 'lora-crawl[fleet]'"
            )
        return True

    async def _sleep(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self.stop.wait()

    async def _send_heartbeats(self) -> None:
        """Say now and then that this worker is alive, and look what the fleet shares."""
        member = self.member

        def see(connection: Connection) -> Shared | None:
            self._see(connection)
            return read_shared(connection)

        while True:
            shared = await member.shared_writer.run(see)
            if shared is not None:
                member.turns.watch(shared, member.clock())
            await member.queue.heartbeat([*self.supply.held.values()])
            await anyio.sleep(HEARTBEAT_SECONDS)

    def _see(self, connection: Connection) -> None:
        tally = self.member.tally
        see_worker(
            connection, self.member.worker_id, files=tally.files, downloads=tally.counted_downloads
        )

    async def _hurry(self) -> None:
        """Wait no longer for a database that is away, once the worker is to stop."""
        await self.stop.wait()
        member = self.member
        member.writer.patience = member.shared_writer.patience = LAST_PATIENCE
        member.queue.patience = LAST_PATIENCE


async def _wake_now_and_then(state: RunState) -> None:
    while True:
        await anyio.sleep(LOOK_SECONDS)
        state.wakeup.notify()


def _told(shared: Shared) -> str:
    reason = (shared.pause_reason or "").splitlines()[0]
    return f"waiting until {shared.paused_until:%Y-%m-%d %H:%M:%S} UTC: {reason}"
