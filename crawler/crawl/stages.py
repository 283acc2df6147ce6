"""The stages of a crawl: list, feed, fetch, record.

Each task closes the ends of the streams that it was given; the end of the input then flows downstream
by itself. Every expected failure is a row or a SiteError, anything else tears the whole run down.
"""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from crawler.crawl.ledger import Ledger
from crawler.crawl.logins import LoginSample
from crawler.crawl.plan import Plan
from crawler.crawl.results import result_of
from crawler.crawl.tally import Tally
from crawler.crawl.walk import Step, steps
from crawler.errors import QuotaError, SiteError, StoppedError
from crawler.model import Fetched, Result, Target
from crawler.model.walk import CursorState
from crawler.sources.base import Source
from crawler.store import writes

#: Files handed out at once: enough to keep the fetchers busy while the next ones are looked up.
FEED_BATCH = 64

#: Results stored in one transaction at most: a kill loses no more than these.
RECORD_BATCH = 64

#: Answers in a row that are about us and not about a file, after which the run stops.
SITE_ERRORS_IN_A_ROW = 3

#: A header longer than this is decoded in a thread, so that the other transfers go on.
DECODE_IN_THREAD_BYTES = 1024 * 1024


class Bell:
    """Wakes one waiting task; a ring while nobody waits is kept."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Something changed."""
        self._event.set()

    async def wait(self) -> None:
        """Return once it rang since the last wait."""
        await self._event.wait()
        self._event = anyio.Event()


@dataclass(slots=True)
class Stages:
    """What the stages of one crawl share.

    Attributes:
        handed_out: Files that must not be handed out again: in flight, or held.
        busy: Files in flight.
        logins: Holds back results that want a login, until it is clear whether every file does.
        trouble: Why no new work is begun, None while all is well.
    """

    source: Source
    ledger: Ledger
    plan: Plan
    tally: Tally
    stop: anyio.Event
    clock: Callable[[], datetime]
    bell: Bell = field(default_factory=Bell)
    handed_out: set[int] = field(default_factory=set)
    busy: int = 0
    logins: LoginSample = field(default_factory=LoginSample)
    site_errors: int = 0
    trouble: StoppedError | None = None
    spent: bool = False

    @property
    def ending(self) -> bool:
        """Whether fetching begins nothing new."""
        return self.stop.is_set() or self.trouble is not None or self.spent

    @property
    def _refused(self) -> bool:
        """Whether the site is in trouble altogether; a spent quota leaves the lists open."""
        return self.trouble is not None and not isinstance(self.trouble, QuotaError)

    # --- list -----------------------------------------------------------------------------------

    async def list_catalogue(self, begun: Mapping[str, CursorState], seen: set[int]) -> None:
        """Store page after page."""
        try:
            async with aclosing(steps(self.source, self.plan.walk, begun, seen)) as walking:
                async for step in walking:
                    await self._store(step, max((s.lap for s in begun.values()), default=1))
                    if self.stop.is_set() or self._refused:
                        return
        except SiteError as error:
            self.trouble = self.trouble or error
        finally:
            self.tally.listing = False
            self.bell.ring()

    async def _store(self, step: Step, lap: int) -> None:
        plan = self.plan
        new_files = await self.ledger.run(
            lambda connection: writes.store_page(
                connection,
                step.models,
                site=plan.site,
                origin=plan.origin or self.source.origin,
                walk=plan.walk.key,
                lap=lap,
                cursors=step.cursors,
                primary_only=plan.walk.primary_only,
                now=self.clock(),
            )
        )
        self.tally.add_new(new_files)
        self.tally.models += step.distinct
        self.tally.list_calls += step.list_calls
        self.tally.add_unreadable(step.unreadable)
        self.bell.ring()

    # --- feed -----------------------------------------------------------------------------------

    async def feed(self, targets: MemoryObjectSendStream[Target]) -> None:
        """Hand out pending files until there are none and no more can come."""
        async with targets:
            while not self.ending:
                batch = await self._take()
                for target in batch:
                    self.handed_out.add(target.file_id)
                    self.busy += 1
                    await targets.send(target)
                if batch:
                    continue
                if self.busy == 0 and (self.spent or not self.tally.listing):
                    return
                await self.bell.wait()

    async def _take(self) -> list[Target]:
        limit = FEED_BATCH
        if self.plan.max_downloads is not None:
            limit = min(limit, self.plan.max_downloads - self.tally.counted - self.busy)
        if limit <= 0:
            self.spent = self.busy == 0
            return []
        return await self.ledger.run(
            lambda connection: writes.take_pending(
                connection,
                walk=self.plan.walk.key,
                now=self.clock(),
                limit=limit,
                exclude=self.handed_out,
            )
        )

    # --- fetch ----------------------------------------------------------------------------------

    async def fetch(
        self,
        targets: MemoryObjectReceiveStream[Target],
        results: MemoryObjectSendStream[Result],
    ) -> None:
        """Read headers; a file that meets a trouble of the site stays pending."""
        async with targets, results:
            async for target in targets:
                if self.ending:
                    self._give_back(target)
                    continue
                try:
                    fetched = await self.source.fetch(target)
                except SiteError as error:
                    self._meet(error)
                    self._give_back(target)
                    continue
                self.site_errors = 0
                self.tally.add_cost(fetched)
                await results.send(await self._judge(fetched))

    async def _judge(self, fetched: Fetched) -> Result:
        if len(fetched.prefix) > DECODE_IN_THREAD_BYTES:
            return await to_thread.run_sync(result_of, fetched, self.clock())
        return result_of(fetched, self.clock())

    def _meet(self, error: SiteError) -> None:
        self.site_errors += 1
        if self.site_errors >= SITE_ERRORS_IN_A_ROW or isinstance(error, QuotaError):
            self.trouble = self.trouble or error

    def _give_back(self, target: Target) -> None:
        self.handed_out.discard(target.file_id)
        self.busy -= 1
        self.bell.ring()

    # --- record ---------------------------------------------------------------------------------

    async def record(self, results: MemoryObjectReceiveStream[Result]) -> None:
        """Store how files ended, in batches."""
        async with results:
            async for result in results:
                batch = [result]
                while len(batch) < RECORD_BATCH:
                    try:
                        batch.append(results.receive_nowait())
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                await self._record(self.logins.release(batch))
                self.trouble = self.trouble or self.logins.trouble
                self.busy -= len(batch)
                self.bell.ring()
        await self._record(self.logins.rest())

    async def _record(self, results: list[Result]) -> None:
        if not results:
            return
        await self.ledger.run(lambda connection: writes.store_results(connection, results))
        self.tally.add_results(results)
        self.handed_out.difference_update(result.target.file_id for result in results)
