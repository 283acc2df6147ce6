"""The pipeline after the lister: feed, fetch, record.

The feeder hands out pending files, the fetchers read headers, and the recorder stores the results in
batches. Each task closes the ends of the streams it was given, so the end of the input flows downstream
by itself. Expected failures are rows or SiteErrors; any other exception ends the run.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from crawler.decode.verdict import result_of
from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.model import Fetched, HeaderBytes, Outcome, Result, Target
from crawler.store.connect.database import Connection
from crawler.store.write.pending import known_bytes, take_pending
from crawler.store.write.results import store_results
from crawler.sync.breaker import DEFERRED_FOR, LoginSample, Outage, defer
from crawler.sync.state import RunState

#: Files handed out at once: enough to keep the fetchers busy during the next look-up.
FEED_BATCH = 64

#: Results in one transaction at most: a kill loses no more than these.
RECORD_BATCH = 64

#: Defer a file after this many site-level errors, so that it does not delay the others in every run.
#: If that happens again in a run in which other files were read, the file has failed.
MOST_SITE_ERRORS_OF_A_FILE = 3

#: A longer header is decoded in a thread, so that the other transfers continue.
DECODE_IN_THREAD_BYTES = 1024 * 1024

_Content = tuple[str | None, int | None]


@dataclass(slots=True)
class DuplicatesInFlight:
    """Fetches only one of several files with the same SHA-256 and size at a time; the others wait.

    Attributes:
        fetched: The file that is being fetched, by content.
        waiting: The files that wait for it, by content.
    """

    fetched: dict[_Content, int] = field(default_factory=dict)
    waiting: dict[_Content, set[int]] = field(default_factory=dict)

    @property
    def held(self) -> set[int]:
        """All files that wait."""
        return set().union(*self.waiting.values())

    def must_wait(self, target: Target) -> bool:
        """Whether a file must wait for another; if not, files with its content wait from now on."""
        content = (target.sha256, target.size_bytes)
        if None in content or self.fetched.setdefault(content, target.file_id) == target.file_id:
            return False
        self.waiting.setdefault(content, set()).add(target.file_id)
        return True

    def end(self, target: Target) -> None:
        """Record that a file is stored or given back, so that the files waiting for it continue."""
        content = (target.sha256, target.size_bytes)
        if self.fetched.get(content) == target.file_id:
            del self.fetched[content]
            self.waiting.pop(content, None)


@dataclass(slots=True)
class Pipeline:
    """The tasks of the pipeline, and what they share.

    Attributes:
        logins: Holds back `login_required` results until it is clear whether all files require a login.
        outage: Holds back failures until it is clear whether the site is down.
        handed_out: Files not to hand out again: in flight, or held back.
        duplicates: Files that wait for another one with the same bytes.
        busy: Files in flight.
        renewals: Second downloads that files in flight may use.
        site_errors: Site-level errors of each file in this run.
    """

    state: RunState
    logins: LoginSample
    outage: Outage
    handed_out: set[int] = field(default_factory=set)
    duplicates: DuplicatesInFlight = field(default_factory=DuplicatesInFlight)
    busy: int = 0
    renewals: int = 0
    site_errors: Counter[int] = field(default_factory=Counter)

    async def feed(
        self, targets: MemoryObjectSendStream[Target], results: MemoryObjectSendStream[Result]
    ) -> None:
        """Hand out pending files until there are none and no more can come.

        A file whose bytes are known from another file goes straight to the recorder.
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
                        prefix, size = content.prefix, content.file_bytes
                        copy = Fetched(target=target, prefix=prefix, file_bytes=size, tries=0)
                        await results.send(await self._judge(copy))
                if batch:
                    continue
                if self.busy == 0 and (state.budget_used or not state.tally.listing):
                    return
                await state.wakeup.wait()

    async def _take(self) -> tuple[list[Target], Mapping[int, HeaderBytes]]:
        limit = min(FEED_BATCH, self._affordable())
        if limit <= 0:
            self.state.budget_used = self.busy == 0
            return [], {}

        def take(connection: Connection) -> tuple[list[Target], Mapping[int, HeaderBytes]]:
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
        """How many more downloads may start. One is reserved for each file in flight."""
        most = self.state.plan.max_downloads
        if most is None:
            return FEED_BATCH
        return most - self.state.tally.counted_downloads - self.busy - self.renewals

    async def fetch(
        self,
        targets: MemoryObjectReceiveStream[Target],
        results: MemoryObjectSendStream[Result],
    ) -> None:
        """Read headers; after a site-level error the file stays pending."""
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
                    # A deferred file comes last and alone, so all its errors count as one.
                    if not (target.deferred and self.site_errors[target.file_id]):
                        state.record_site_error(error)
                    if (result := self._result_of_error(target, error)) is None:
                        self._give_back(target)
                    else:
                        await results.send(result)
                    continue
                state.site_errors = 0
                state.tally.add_cost(fetched)
                if fetched.refusal is Outcome.PENDING:
                    self._give_back(target)
                else:
                    await results.send(await self._judge(fetched))

    async def _fetch(self, target: Target) -> Fetched:
        """Fetch one file; renewing its link stays within the budget of downloads too."""
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

    def _result_of_error(self, target: Target, error: SiteError) -> Result | None:
        """The result of a file with too many site-level errors; None to try it again."""
        if isinstance(error, QuotaError | UnreachableError):
            return None
        self.site_errors[target.file_id] += 1
        if self.site_errors[target.file_id] < MOST_SITE_ERRORS_OF_A_FILE:
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

    async def record(self, results: MemoryObjectReceiveStream[Result]) -> None:
        """Store results, in batches."""
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
        # First of all, no new work starts.
        self.state.stop_for(self.logins.trouble)
        self.state.stop_for(self.outage.trouble)
        await self._store(sure)

    async def _store(self, results: list[Result]) -> None:
        if not results:
            return
        await self.state.writer.run(lambda connection: store_results(connection, results))
        self.state.tally.add_results(results)
        self.handed_out.difference_update(result.target.file_id for result in results)
