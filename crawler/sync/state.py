"""What the stages of one crawl share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
from anyio import to_thread

from crawler.errors import CursorError, QuotaError, SiteError, StoppedError
from crawler.sources.base import Source
from crawler.store.connect.database import Connection, Engine, translated
from crawler.sync.plan import Plan
from crawler.sync.progress import SyncTally

_T = TypeVar("_T")


class WriterThread:
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


#: Answers in a row that are about us and not about a file, after which the run stops.
SITE_ERRORS_IN_A_ROW = 3

#: How long the site's download quota counts back.
QUOTA_TIME = timedelta(hours=24)


class Wakeup:
    """Wakes one waiting task; a ring while nobody waits is kept."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Something changed."""
        self._event.set()

    async def wait(self) -> None:
        """Return once it rang since the last wait."""
        await self._event.wait()
        self._event = anyio.Event()


@dataclass(slots=True)
class RunState:
    """One crawl while it runs.

    Attributes:
        wakeup: Rings when there may be something to hand out, or nothing any more.
        site_errors: Answers in a row that were about us.
        trouble: Why no new work is begun, None while all is well.
        list_trouble: Why the list could not be followed to its end; what it brought is read.
        go_on_at: When to come back, where that is known.
        budget_used: The budget of downloads is used up.
    """

    source: Source
    writer: WriterThread
    plan: Plan
    tally: SyncTally
    stop: anyio.Event
    clock: Callable[[], datetime]
    wakeup: Wakeup = field(default_factory=Wakeup)
    site_errors: int = 0
    trouble: StoppedError | None = None
    list_trouble: CursorError | None = None
    go_on_at: datetime | None = None
    budget_used: bool = False

    @property
    def ending(self) -> bool:
        """Whether fetching begins nothing new."""
        return self.stop.is_set() or self.trouble is not None or self.budget_used

    @property
    def list_is_closed(self) -> bool:
        """Whether listing ends: on a wish, or since the site is in trouble altogether.

        A spent quota leaves the lists open.
        """
        refused = self.trouble is not None and not isinstance(self.trouble, QuotaError)
        return self.stop.is_set() or refused

    def record_site_error(self, error: SiteError) -> None:
        """A file was not had for a reason that is not its own."""
        self.site_errors += 1
        if isinstance(error, QuotaError):
            self.stop_for(error, self.clock() + QUOTA_TIME)
        elif self.site_errors >= SITE_ERRORS_IN_A_ROW:
            self.stop_for(error)

    def stop_for(self, trouble: StoppedError | None, go_on_at: datetime | None = None) -> None:
        """End the run for this reason, if it is one and the first."""
        if trouble is not None and self.trouble is None:
            self.trouble, self.go_on_at = trouble, go_on_at
