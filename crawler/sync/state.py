"""Shared state of the tasks of one crawl: the source, the writer thread, and why the run stops."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
from anyio import to_thread

from crawler.errors import (
    ConflictError,
    LostConnectionError,
    NoServerError,
    QuotaError,
    SiteError,
    StoppedError,
)
from crawler.sources.base import Source
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.transactions import CONFLICT_TRIES, CONFLICT_WAIT, in_transaction
from crawler.sync.progress import SyncTally
from crawler.sync.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of one sync.

    Attributes:
        origin: The API that the database stores; None means the source's own.
        has_api_key: An API key is sent.
        fetch_headers: Read headers; if False, the walk only lists.
        refresh: List all known models again, in a new pass.
        retry_failed: Make failed files pending again.
        retry_refused: Make the files pending again that the site did not give us.
        max_downloads: Counted downloads that this run may cost; None means no limit.
        concurrency: Files fetched at the same time.
    """

    walk: Walk
    origin: str | None = None
    has_api_key: bool = False
    fetch_headers: bool = True
    refresh: bool = False
    retry_failed: bool = False
    retry_refused: bool = False
    max_downloads: int | None = None
    concurrency: int = 8


#: The period of the site's download quota.
QUOTA_PERIOD = timedelta(hours=24)

#: Seconds between two tries to reach a database that cannot be reached: the first, which doubles, and
#: the longest.
RECONNECT_WAIT, LONGEST_RECONNECT_WAIT = 0.25, 10.0

_T = TypeVar("_T")


class WriterThread:
    """Runs store work in a thread, one piece at a time, each in its own transaction.

    A piece that has started is always finished: cancelling its task waits for the commit. A piece that
    conflicts with another program is done again, so it must not change anything but the database.

    Attributes:
        patience: Seconds to wait for a database that was reached before and cannot be reached now.
    """

    def __init__(self, engine: Engine, *, patience: float = 0.0) -> None:
        self.patience = patience
        self._engine = engine
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Do `work` in a transaction; raises DatabaseError or StoppedError if the database fails."""

        async def once() -> _T:
            return await to_thread.run_sync(
                in_transaction, self._engine, work, limiter=self._one_at_a_time
            )

        return await patiently(once, patience=lambda: self.patience)

    async def run_outside(self, work: Callable[[Engine], _T]) -> _T:
        """Do `work`, which begins and ends its own transactions."""
        return await to_thread.run_sync(work, self._engine, limiter=self._one_at_a_time)


async def patiently(once: Callable[[], Awaitable[_T]], *, patience: Callable[[], float]) -> _T:
    """The result of `once`, which is called again after a conflict, and while the database is away.

    Args:
        once: Work on the database.
        patience: Seconds to wait for the database, as of now.

    Raises:
        ConflictError: It conflicts again and again.
        LostConnectionError: The database is still away.
    """
    conflicts, losses, since = 0, 0, anyio.current_time()
    while True:
        try:
            return await once()
        except ConflictError:
            conflicts += 1
            if conflicts >= CONFLICT_TRIES:
                raise
            wait = random.uniform(0, CONFLICT_WAIT)  # noqa: S311 - jitter
        except (LostConnectionError, NoServerError) as error:
            if losses == 0:
                since = anyio.current_time()
            if anyio.current_time() - since >= patience():
                # It was reached before: there is work left, and no database that needs work.
                if isinstance(error, LostConnectionError):
                    raise
                told = f"{error}\nrun the command again when it can"
                raise LostConnectionError(told) from error
            wait = min(RECONNECT_WAIT * 2 ** min(losses, 10), LONGEST_RECONNECT_WAIT)
            losses += 1
        await anyio.sleep(wait)


class Wakeup:
    """Wakes one waiting task. A notification is kept until a task waits."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wake the task."""
        self._event.set()

    async def wait(self) -> None:
        """Return once there was a notification since the last wait."""
        await self._event.wait()
        self._event = anyio.Event()


@dataclass(slots=True)
class RunState:
    """One crawl while it runs.

    Attributes:
        listed: Called with the ids of the models of each page that is stored.
        wakeup: Notified when there may be files to hand out, or none any more.
        trouble: Why no new work starts; None while all is well.
        list_trouble: Why the list could not be read whole; its files are still fetched.
        left_out: Clauses about models that the site failed to list.
        go_on_at: When to run again, if that is known.
        budget_used: The budget of counted downloads is used up.
    """

    source: Source
    writer: WriterThread
    plan: Plan
    tally: SyncTally
    stop: anyio.Event
    clock: Callable[[], datetime]
    listed: Callable[[Sequence[int]], Awaitable[None]] | None = None
    wakeup: Wakeup = field(default_factory=Wakeup)
    trouble: StoppedError | None = None
    list_trouble: SiteError | None = None
    left_out: list[str] = field(default_factory=list)
    go_on_at: datetime | None = None
    budget_used: bool = False

    @property
    def ending(self) -> bool:
        """Whether no new fetch starts."""
        return self.stop.is_set() or self.trouble is not None or self.budget_used

    @property
    def list_is_closed(self) -> bool:
        """Whether listing stops. A used-up download quota does not stop it."""
        refused = self.trouble is not None and not isinstance(self.trouble, QuotaError)
        return self.stop.is_set() or refused

    def stop_for(self, trouble: StoppedError | None) -> None:
        """Stop the run, if there is a reason; the first reason is kept."""
        if trouble is None or self.trouble is not None:
            return
        self.trouble = trouble
        if isinstance(trouble, QuotaError):
            self.go_on_at = self.clock() + QUOTA_PERIOD
