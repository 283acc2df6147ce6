"""The pipeline after the lister: feed, fetch, record.

The feeder hands out pending files, the fetchers read headers, and the recorder stores the results in
batches. Each task closes the ends of the streams it was given, so the end of the input flows downstream
by itself. Expected failures are rows or SiteErrors; any other exception ends the run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from crawler.decode.tensors.facts import KnownLists
from crawler.decode.verdict import result_of
from crawler.errors import QuotaError, SiteError
from crawler.model import Fetched, Outcome, Result, Target
from crawler.store.connect.database import Connection
from crawler.store.write.pending import (
    begin_attempts,
    copied_bytes,
    find_copies,
    take_pending,
)
from crawler.store.write.results import settle, store_results
from crawler.sync.breaker import Breaker
from crawler.sync.state import RunState

#: Files handed out at once: enough to keep the fetchers busy during the next look-up.
FEED_BATCH = 64

#: Results in one transaction at most: a kill loses no more than these.
RECORD_BATCH = 64

#: Bytes of headers in one transaction after which no more are added: memory holds few of them.
RECORD_BYTES = 4 * 1024 * 1024

#: A longer header is decoded in a thread, so that the other transfers continue, and only one at a
#: time, because decoding takes many times its memory.
LARGE_HEADER_BYTES = 1024 * 1024

#: A result, and the answer by which the site refused all our requests, if it did.
Ended = tuple[Result, SiteError | None]

_Content = tuple[str | None, int | None]

#: Files to fetch, and for some of them the file whose header is theirs too, by id.
Taken = tuple[list[Target], Mapping[int, int]]


class Supply(Protocol):
    """Where the files to fetch come from, and how many downloads they may cost."""

    @property
    def max_downloads(self) -> int | None:
        """Counted downloads that the run may cost, as far as is known now; None means no limit."""

    @property
    def growing(self) -> bool:
        """Whether there may be files later, although there are none now."""

    async def take(self, *, limit: int, exclude: Collection[int]) -> Taken:
        """Files to fetch, `limit` at most; those with the ids of `exclude` are at work."""

    async def raise_budget(self) -> None:
        """Raise `max_downloads`, if that is possible."""

    async def stored(self, results: Sequence[Result], breaker: Breaker) -> None:
        """Take note of results that were stored."""

    async def standing_elsewhere(self) -> int:
        """Failures of other processes that fetch from the site now and may be the site's."""


@dataclass(frozen=True, slots=True)
class WalkSupply:
    """The pending files of a walk, for a run that is alone."""

    state: RunState

    @property
    def max_downloads(self) -> int | None:
        """As the plan says."""
        return self.state.plan.max_downloads

    @property
    def growing(self) -> bool:
        """Whether the list is still being read."""
        return self.state.tally.listing

    async def take(self, *, limit: int, exclude: Collection[int]) -> Taken:
        """Files of the walk."""

        def take(connection: Connection) -> Taken:
            found = take_pending(
                connection,
                walk=self.state.plan.walk.key,
                now=self.state.clock(),
                limit=limit,
                exclude=exclude,
            )
            return found, find_copies(connection, found)

        return await self.state.writer.run(take)

    async def raise_budget(self) -> None:
        """The plan does not change."""

    async def stored(self, results: Sequence[Result], breaker: Breaker) -> None:
        """Nobody else needs to know."""

    async def standing_elsewhere(self) -> int:
        """There is no other process."""
        return 0


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
        breaker: Decides whether failures are the files' own or the site's.
        supply: Where the files come from.
        in_flight: Files taken and not yet stored.
        taking: Files that are being taken, at most.
        duplicates: Files that wait for another one with the same bytes.
        renewals: Second downloads that files in flight may use.
        beginning: Files that wait until it is stored that they are requested.
        begin: Held while that is stored.
        large: Held while a large header is decoded.
        lists: The tensor lists that were read in this run.
    """

    state: RunState
    breaker: Breaker
    supply: Supply
    in_flight: set[int] = field(default_factory=set)
    taking: int = 0
    duplicates: DuplicatesInFlight = field(default_factory=DuplicatesInFlight)
    renewals: int = 0
    beginning: set[int] = field(default_factory=set)
    begin: anyio.Lock = field(default_factory=anyio.Lock)
    large: anyio.Lock = field(default_factory=anyio.Lock)
    lists: KnownLists = field(default_factory=KnownLists)

    async def start(self, group: TaskGroup, *, task_status: TaskStatus[None]) -> None:
        """Start all tasks in the group. They end when there are no files, or the run stops."""
        concurrency = self.state.plan.concurrency
        send_targets, receive_targets = anyio.create_memory_object_stream[Target](concurrency)
        # It holds none: results that wait cost downloads, and a kill loses them.
        send_results, receive_results = anyio.create_memory_object_stream[Ended](0)
        async with receive_targets, send_results:
            group.start_soon(self.record, receive_results)
            for _ in range(concurrency):
                group.start_soon(self.fetch, receive_targets.clone(), send_results.clone())
            group.start_soon(self.feed, send_targets, send_results.clone())
            task_status.started()

    async def feed(
        self, targets: MemoryObjectSendStream[Target], results: MemoryObjectSendStream[Ended]
    ) -> None:
        """Hand out pending files until there are none and no more can come.

        A file whose bytes are known from another file goes straight to the recorder.
        """
        state = self.state
        async with targets, results:
            while not state.ending:
                changing = bool(self.in_flight) or self.supply.growing
                batch, copies = await self._take()
                for target in batch:
                    copy = await self._copied(target, copies.get(target.file_id))
                    if copy is not None:
                        await self._send(copy, None, results)
                    elif self.duplicates.must_wait(target):
                        self.in_flight.remove(target.file_id)
                    else:
                        await targets.send(target)
                if batch:
                    continue
                if self.in_flight or (self.supply.growing and not state.budget_used):
                    await state.wakeup.wait()
                elif not changing or state.budget_used:
                    return
                # Else something ended during the look, which may not have seen what became pending.

    async def _take(self) -> Taken:
        """Files to hand out."""
        if self._affordable() <= 0:
            await self.supply.raise_budget()
        limit = min(FEED_BATCH, self._affordable())
        if limit <= 0:
            self.state.budget_used = not self.in_flight
            return [], {}
        self.taking = limit
        found, copies = await self.supply.take(
            limit=limit,
            exclude=self.in_flight | self.duplicates.held | self.breaker.undecided,
        )
        self.taking = 0
        self.in_flight |= {target.file_id for target in found}
        return found, copies

    async def _copied(self, target: Target, other_id: int | None) -> Fetched | None:
        """The header of a file as copied from another one; None if that is not possible."""
        if other_id is None:
            return None
        known = await self.state.writer.run(lambda connection: copied_bytes(connection, other_id))
        if known is None:
            return None
        return Fetched(target=target, prefix=known.prefix, file_bytes=known.file_bytes, tries=0)

    def _affordable(self) -> int:
        """How many more downloads may start. One is reserved for each file in flight."""
        most = self.supply.max_downloads
        if most is None:
            return FEED_BATCH
        promised = self.taking + len(self.in_flight) + self.renewals
        return most - self.state.tally.counted_downloads - promised

    async def fetch(
        self,
        targets: MemoryObjectReceiveStream[Target],
        results: MemoryObjectSendStream[Ended],
    ) -> None:
        """Read headers."""
        state = self.state
        async with targets, results:
            async for target in targets:
                if not state.ending:
                    await self._begin(target)
                    error = None
                    try:
                        fetched = await self._fetch(target)
                    except SiteError as refusal:
                        error = refusal
                        fetched = Fetched(
                            target=target,
                            refusal=Outcome.PENDING,
                            reason=error.cause,
                            counted_downloads=error.counted_downloads,
                        )
                    state.tally.add_cost(fetched)
                    await self._send(fetched, error, results)
                else:
                    self._release(target)
                    state.wakeup.notify()

    async def _begin(self, target: Target) -> None:
        """Store that a file is being requested, in one transaction with the others that begin now."""
        self.beginning.add(target.file_id)
        begun: set[int] = set()

        def begin(connection: Connection) -> None:
            begun.update(self.beginning)
            self.beginning -= begun
            begin_attempts(connection, file_ids=begun, now=self.state.clock())

        async with self.begin:
            if target.file_id in self.beginning:
                await self.state.writer.run(begin)

    async def _fetch(self, target: Target) -> Fetched:
        """Fetch one file; renewing its link stays within the budget of downloads too."""
        reserved = 0

        def renew() -> bool:
            nonlocal reserved
            if self._affordable() <= 0 or not self.breaker.may_renew():
                return False
            reserved += 1
            self.renewals += 1
            return True

        try:
            return await self.state.source.fetch(target, renew=renew)
        finally:
            self.renewals -= reserved

    async def _send(
        self, fetched: Fetched, error: SiteError | None, results: MemoryObjectSendStream[Ended]
    ) -> None:
        """Decode a header and hand it to the recorder; large ones one at a time."""
        now = self.state.clock()
        if len(fetched.prefix) <= LARGE_HEADER_BYTES:
            await results.send((_result_of(fetched, now, self.lists), error))
            return
        async with self.large:
            # The known lists belong to this thread.
            own = KnownLists()
            await results.send((await to_thread.run_sync(_result_of, fetched, now, own), error))

    def _release(self, target: Target) -> None:
        self.in_flight.discard(target.file_id)
        self.duplicates.end(target)

    async def record(self, results: MemoryObjectReceiveStream[Ended]) -> None:
        """Store results, in batches."""
        state, breaker = self.state, self.breaker
        async with results:
            async for first in results:
                batch = [self._judged(*first)]
                header_bytes = len(batch[0].header)
                while len(batch) < RECORD_BATCH and header_bytes < RECORD_BYTES:
                    try:
                        batch.append(self._judged(*results.receive_nowait()))
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                    header_bytes += len(batch[-1].header)
                await self._store(batch)
                for one in batch:
                    self._release(one.target)
                state.wakeup.notify()
        if not state.ending:
            elsewhere = await self.supply.standing_elsewhere() if breaker.standing else 0
            breaker.end_in_peace(elsewhere)
            state.stop_for(breaker.trouble)
            await self._store([])

    def _judged(self, result: Result, error: SiteError | None) -> Result:
        judged = self.breaker.judge(result, self.state.clock(), error)
        if (trouble := self.breaker.trouble) is not None:
            # No new work starts from now on. Without the quota, listing continues.
            self.state.stop_for(trouble)
            if not isinstance(trouble, QuotaError):
                self.state.source.hurry()
        return judged

    async def _store(self, results: list[Result]) -> None:
        settled = dict(self.breaker.settled)
        if not results and not settled:
            return

        def store(connection: Connection) -> list[Result]:
            stored = store_results(connection, results)
            settle(connection, settled)
            return stored

        stored = await self.state.writer.run(store)
        self.breaker.forget(settled)
        self.state.tally.add_results(stored, settled.values())
        await self.supply.stored(stored, self.breaker)


def _result_of(fetched: Fetched, now: datetime, lists: KnownLists) -> Result:
    """The result of a file, without the tensors and the raw metadata, which would fill the memory."""
    result = result_of(fetched, now, lists)
    if result.decoded is None:
        return result
    bare = replace(result.decoded.header, tensors={}, metadata=None)
    return replace(result, decoded=replace(result.decoded, header=bare))
