"""The files that a worker fetches: those of the batches that the queue hands it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crawler.fleet.queue import MOST_DEATHS, Batch, Queue
from crawler.fleet.turns import SharedTurns
from crawler.model import Result
from crawler.model.outcome import READ
from crawler.store.connect.database import Connection
from crawler.store.connect.lock import is_listed
from crawler.store.read.fleet import LOST_AFTER
from crawler.store.write.fleet import give_back, others, reserve, resume, tell_standing
from crawler.store.write.pending import find_copies, give_up, still_pending, take_pending
from crawler.sync.breaker import Breaker
from crawler.sync.pipeline import Taken
from crawler.sync.progress import SyncTally
from crawler.sync.state import WriterThread

#: Downloads that are reserved at once. A worker that is killed loses no more of the budget.
BUDGET_STEP = 32

#: Why a file is given up that was never read to its end.
POISON = f"each of {MOST_DEATHS} workers that read this file alone ended while it did"

#: The clocks of two machines differ by less; the server's is not read for each file.
_CLOCK_TOLERANCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a worker has from its beginning to its end.

    Attributes:
        worker_id: Its row in `workers`.
        writer: Where files are read from and stored.
        shared_writer: Where what the fleet shares is changed.
        clock: The server's time.
        tell: Takes sentences on what the worker waits for.
    """

    worker_id: int
    writer: WriterThread
    shared_writer: WriterThread
    queue: Queue
    turns: SharedTurns
    tally: SyncTally
    clock: Callable[[], datetime]
    tell: Callable[[str], object]


@dataclass(slots=True)
class FleetSupply:
    """The files of one worker.

    Attributes:
        held: The batches that this worker has, by the number of the job.
        reserved: Downloads that were reserved for it, used ones too.
        left: Files of its batches that are pending and could not be tried again.
        standing: Failures of this worker that the others know; -1 before the first results.
    """

    member: Member
    held: dict[int, Batch] = field(default_factory=dict)
    reserved: int = 0
    left: int = 0
    growing: bool = True
    standing: int = -1

    @property
    def max_downloads(self) -> int:
        """What is reserved for this worker."""
        return self.reserved

    async def take(self, *, limit: int, exclude: Collection[int]) -> Taken:
        """Files of the batches, and of the next one when there are none left."""
        while True:
            ids = [file_id for batch in self.held.values() for file_id in batch.files]
            if ids and (taken := await self._pending(ids, limit, exclude))[0]:
                return taken
            await self._finish(exclude)
            batch = await self._next(alone=not exclude)
            if batch is None:
                listed = await self.member.shared_writer.run(is_listed)
                self.growing = listed or bool(await self._waiting())
                return [], {}
            self.held[batch.job.id] = batch
            if batch.deaths:
                await self._set_apart(batch)

    async def _pending(self, ids: Sequence[int], limit: int, exclude: Collection[int]) -> Taken:
        def take(connection: Connection) -> Taken:
            now = self.member.clock()
            found = take_pending(
                connection, walk=None, now=now, limit=limit, exclude=exclude, among=ids
            )
            return found, find_copies(connection, found)

        return await self.member.writer.run(take)

    async def _next(self, *, alone: bool) -> Batch | None:
        """The next batch. A file that is read alone comes when nothing else does, and nothing with it."""
        if any(batch.alone for batch in self.held.values()):
            return None
        batch = await self.member.queue.take()
        if batch is None and alone and not self.held:
            batch = await self.member.queue.take(alone=True)
        # After a late heartbeat the queue may hand out a batch to the worker that has it.
        return None if batch is not None and batch.job.id in self.held else batch

    async def _waiting(self) -> int:
        if self.held:
            return 0  # What is alone must wait, and so must other things while something is alone.
        return (await self.member.queue.depth()).waiting

    async def _set_apart(self, batch: Batch) -> None:
        """Find the files of a batch that were being read when a worker died, perhaps because of one.

        Each gets a batch of its own, which is read alone. A file that was alone again and again when a
        worker died is given up.
        """
        since = batch.begun and batch.begun - _CLOCK_TOLERANCE
        if since is None:
            return
        begun = await self.member.writer.run(
            lambda connection: still_pending(connection, batch.files, begun_since=since)
        )
        if not batch.alone:
            await self.member.queue.put([[file_id] for file_id in sorted(begun)], alone=True)
            rest = tuple(file_id for file_id in batch.files if file_id not in begun)
            self.held[batch.job.id] = Batch(batch.job, rest, batch.alone, 0, None)
        elif batch.deaths >= MOST_DEATHS:
            await self.member.writer.run(lambda connection: give_up(connection, begun, POISON))
            for file_id in sorted(begun):
                self.member.tell(f"file {file_id}: failed: {POISON}")

    async def _finish(self, exclude: Collection[int]) -> None:
        """Take the batches off the queue of which nothing can be fetched and nothing is at work."""
        for batch in [*self.held.values()]:
            if not any(file_id in exclude for file_id in batch.files):
                await self._end(batch)

    async def _end(self, batch: Batch) -> None:
        left = await self.member.writer.run(
            lambda connection: still_pending(connection, batch.files)
        )
        self.left += len(left)
        await self.member.queue.done(batch)
        del self.held[batch.job.id]

    async def raise_budget(self) -> None:
        """Reserve some more downloads."""
        self.reserved += await self.member.shared_writer.run(
            lambda connection: reserve(connection, BUDGET_STEP)
        )

    async def stored(self, results: Sequence[Result], breaker: Breaker) -> None:
        """Tell the others of failures that stand, and let them go on after a pause once a file was read."""
        if len(breaker.standing) != self.standing:
            self.standing = standing = len(breaker.standing)
            await self.member.shared_writer.run(
                lambda connection: tell_standing(connection, self.member.worker_id, standing)
            )
        turns = self.member.turns
        if turns.trying and any(one.outcome in READ and one.attempts for one in results):
            turns.trying = False
            await self.member.shared_writer.run(resume)
            self.member.tell("the site gives files again")

    async def standing_elsewhere(self) -> int:
        """Those of the other workers that are alive."""
        _, standing = await self.member.shared_writer.run(
            lambda connection: others(connection, self.member.worker_id, LOST_AFTER)
        )
        return standing

    async def close(self, *, whole: bool) -> None:
        """End the batches after a round, or give them back; give back what is left of the budget.

        Args:
            whole: The round ended because there was nothing left to fetch.
        """
        for batch in [*self.held.values()]:
            if whole:
                await self._end(batch)
            else:
                await self.member.queue.give_back(batch)
                del self.held[batch.job.id]
        used = self.member.tally.counted_downloads
        unused, self.reserved = self.reserved - used, used
        await self.member.shared_writer.run(lambda connection: give_back(connection, unused))
