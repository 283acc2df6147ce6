"""The pipeline behind the list: feed, fetch, record.

Each task closes the ends of the streams that it was given; the end of the input then flows downstream
by itself. Every expected failure is a row or a SiteError, anything else tears the whole run down.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from crawler.decode.verdict import result_of
from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.model import Fetched, Outcome, Result, Target
from crawler.store.connect.database import Connection
from crawler.store.write.pending import KnownBytes, known_bytes, take_pending
from crawler.store.write.results import store_results
from crawler.sync.breaker import DEFERRED_FOR, LoginSample, Outage, defer
from crawler.sync.state import RunState

_Content = tuple[str, int]


@dataclass(slots=True)
class DuplicatesInFlight:
    """Which content is being fetched, and which files wait for that.

    Attributes:
        fetched: The file that is being fetched, by content.
        waiting: The files that wait for it, by content.
    """

    fetched: dict[_Content, int] = field(default_factory=dict)
    waiting: dict[_Content, set[int]] = field(default_factory=dict)

    @property
    def held(self) -> set[int]:
        """Every file that waits."""
        return set().union(*self.waiting.values())

    def must_wait(self, target: Target) -> bool:
        """Whether a file has to wait for another one; if not, others wait for it from now on."""
        content = _content(target)
        if content is None:
            return False
        if self.fetched.setdefault(content, target.file_id) == target.file_id:
            return False
        self.waiting.setdefault(content, set()).add(target.file_id)
        return True

    def end(self, target: Target) -> None:
        """A file is stored, or given back: whoever waited for it may go on."""
        content = _content(target)
        if content is not None and self.fetched.get(content) == target.file_id:
            del self.fetched[content]
            self.waiting.pop(content, None)


def _content(target: Target) -> _Content | None:
    if target.sha256 is None or target.size_bytes is None:
        return None
    return target.sha256, target.size_bytes


#: Files handed out at once: enough to keep the fetchers busy while the next ones are looked up.
FEED_BATCH = 64

#: Results stored in one transaction at most: a kill loses no more than these.
RECORD_BATCH = 64

#: A file that so often meets what is about us is put off, for it is taken first each time and must
#: not keep a run from the others. When it happens again in a run that had others, it has failed.
TRIES_OF_AN_ODD_FILE = 3

#: A header longer than this is decoded in a thread, so that the other transfers go on.
DECODE_IN_THREAD_BYTES = 1024 * 1024


@dataclass(slots=True)
class Pipeline:
    """What feeding, fetching and recording share.

    Attributes:
        logins: Holds back results that want a login, until it is clear whether every file does.
        outage: Holds back failures, until it is clear whether the site is down.
        handed_out: Files that must not be handed out again: in flight, or held.
        duplicates: Files that wait for another one with the same bytes.
        busy: Files in flight.
        renewals: Second downloads that files in flight may spend.
        met: How often a file met a trouble of the site in this run.
    """

    state: RunState
    logins: LoginSample
    outage: Outage
    handed_out: set[int] = field(default_factory=set)
    duplicates: DuplicatesInFlight = field(default_factory=DuplicatesInFlight)
    busy: int = 0
    renewals: int = 0
    met: Counter[int] = field(default_factory=Counter)

    # --- feed -----------------------------------------------------------------------------------

    async def feed(
        self, targets: MemoryObjectSendStream[Target], results: MemoryObjectSendStream[Result]
    ) -> None:
        """Hand out pending files until there are none and no more can come.

        What is known from another file with the same bytes goes straight to the recorder.
        """
        state = self.state
        async with targets, results:
            while not state.ending:
                batch, known = await self._take()
                for target in batch:
                    content = known.get(target.file_id)
                    if content is None and self.duplicates.must_wait(target):
                        continue
                    self.handed_out.add(target.file_id)
                    self.busy += 1
                    if content is None:
                        await targets.send(target)
                    else:
                        await results.send(await self._judge(_taken_over(target, content)))
                if batch:
                    continue
                if self.busy == 0 and (state.budget_used or not state.tally.listing):
                    return
                await state.wakeup.wait()

    async def _take(self) -> tuple[list[Target], Mapping[int, KnownBytes]]:
        limit = min(FEED_BATCH, self._affordable())
        if limit <= 0:
            self.state.budget_used = self.busy == 0
            return [], {}

        def take(
            connection: Connection,
        ) -> tuple[list[Target], Mapping[int, KnownBytes]]:
            found = take_pending(
                connection,
                walk=self.state.plan.walk.key,
                now=self.state.clock(),
                limit=limit,
                exclude=self.handed_out | self.duplicates.held,
            )
            return found, known_bytes(connection, found)

        return await self.state.writer.run(take)

    def _affordable(self) -> int:
        """How many more downloads may be begun; each file in flight has its one."""
        most = self.state.plan.max_downloads
        if most is None:
            return FEED_BATCH
        return most - self.state.tally.counted_downloads - self.busy - self.renewals

    # --- fetch ----------------------------------------------------------------------------------

    async def fetch(
        self,
        targets: MemoryObjectReceiveStream[Target],
        results: MemoryObjectSendStream[Result],
    ) -> None:
        """Read headers; a file that meets a trouble of the site stays pending."""
        state = self.state
        async with targets, results:
            async for target in targets:
                if state.ending:
                    self._give_back(target)
                    continue
                try:
                    fetched = await self._fetch(target)
                except SiteError as error:
                    state.tally.counted_downloads += error.counted_downloads
                    # A file that was put off comes last and alone: all its tries tell as much as one.
                    if not (target.deferred and self.met[target.file_id]):
                        state.record_site_error(error)
                    if (odd := self._odd_ending(target, error)) is None:
                        self._give_back(target)
                    else:
                        await results.send(odd)
                    continue
                state.site_errors = 0
                state.tally.add_cost(fetched)
                if fetched.refusal is Outcome.PENDING:
                    self._give_back(target)
                else:
                    await results.send(await self._judge(fetched))

    async def _fetch(self, target: Target) -> Fetched:
        """One file, within the budget of downloads also where its link must be renewed."""
        reserved = 0

        def renew() -> bool:
            nonlocal reserved
            if self._affordable() <= 0:
                return False
            reserved += 1
            self.renewals += 1
            return True

        try:
            return await self.state.source.fetch(target, renew=renew)
        finally:
            self.renewals -= reserved

    def _odd_ending(self, target: Target, error: SiteError) -> Result | None:
        """What is stored of a file that keeps meeting what is about us; None to try it again."""
        says_nothing_of_it = isinstance(error, QuotaError | UnreachableError)
        self.met[target.file_id] += not says_nothing_of_it
        if says_nothing_of_it or self.met[target.file_id] < TRIES_OF_AN_ODD_FILE:
            return None
        now = self.state.clock()
        failed = result_of(Fetched(target=target, refusal=Outcome.FAILED, reason=error.cause), now)
        others_are_fine = self.outage.up and self.state.trouble is None
        return failed if target.deferred and others_are_fine else defer(failed, now + DEFERRED_FOR)

    async def _judge(self, fetched: Fetched) -> Result:
        if len(fetched.prefix) > DECODE_IN_THREAD_BYTES:
            return await to_thread.run_sync(result_of, fetched, self.state.clock())
        return result_of(fetched, self.state.clock())

    def _give_back(self, target: Target) -> None:
        self.handed_out.discard(target.file_id)
        self.duplicates.end(target)
        self.busy -= 1
        self.state.wakeup.notify()

    # --- record ---------------------------------------------------------------------------------

    async def record(self, results: MemoryObjectReceiveStream[Result]) -> None:
        """Store how files ended, in batches."""
        state = self.state
        async with results:
            async for result in results:
                batch = [result]
                while len(batch) < RECORD_BATCH:
                    try:
                        batch.append(results.receive_nowait())
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                await self._record(self.logins.release(batch))
                for one in batch:
                    self.duplicates.end(one.target)
                self.busy -= len(batch)
                state.wakeup.notify()
        await self._record(self.logins.rest())
        if state.trouble is None:
            await self._store(self.outage.rest())

    async def _record(self, results: list[Result]) -> None:
        now = self.state.clock()
        sure = self.outage.release(results, now)
        # First of all no new work is begun.
        self.state.stop_for(self.logins.trouble)
        self.state.stop_for(self.outage.trouble)
        await self._store(sure)

    async def _store(self, results: list[Result]) -> None:
        if not results:
            return
        await self.state.writer.run(lambda connection: store_results(connection, results))
        self.state.tally.add_results(results)
        self.handed_out.difference_update(result.target.file_id for result in results)


def _taken_over(target: Target, content: KnownBytes) -> Fetched:
    return Fetched(target=target, prefix=content.prefix, file_bytes=content.file_bytes, tries=0)
