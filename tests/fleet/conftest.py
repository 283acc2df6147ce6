"""Workers in this process, on the small site of the sync tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from crawler.errors import LoraCrawlError
from crawler.fleet import queue, supply, turns, worker
from crawler.fleet.enqueue import enqueue
from crawler.fleet.queue import Queue, queue_of
from crawler.fleet.turns import SharedTurns
from crawler.fleet.worker import work
from crawler.model import Fetched, Outcome, Target
from crawler.store.schema.tables import loras
from crawler.sync.progress import SyncTally
from crawler.sync.state import Plan
from tests.sync.site import WALK, Site

#: Seconds that a test of processes that wait for each other may take.
DEADLINE = 30


@dataclass
class TurnedSite(Site):
    """The small site, whose files cost a turn each."""

    waits: set[anyio.CancelScope] = field(default_factory=set)

    def hurry(self) -> None:
        super().hurry()
        for wait in self.waits:
            wait.cancel()

    async def fetch_in_turn(
        self, turns: SharedTurns, target: Target, renew: Callable[[], bool]
    ) -> Fetched:
        with anyio.CancelScope() as wait:
            self.waits.add(wait)
            await turns.take()
        self.waits.discard(wait)
        if wait.cancelled_caught:
            return Fetched(target=target, refusal=Outcome.PENDING, reason="stopped")
        return await self.fetch(target, renew=renew)


@dataclass
class InTurn:
    """The small site for one worker, which takes its turns."""

    site: TurnedSite
    turns: SharedTurns

    def __getattr__(self, name: str) -> Any:
        return getattr(self.site, name)

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        return await self.site.fetch_in_turn(self.turns, target, renew)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is not heard of for a second is dead, and nobody sleeps long."""
    lost_after = timedelta(seconds=1)
    for module in (queue, supply, worker):
        monkeypatch.setattr(module, "LOST_AFTER", lost_after)
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.05)


def on_queue(engine: sa.Engine, do: Callable[[Queue], Any]) -> Any:
    """What `do`, which is async, gives for the queue of the database."""

    async def go() -> Any:
        async with queue_of(engine.url) as opened:
            return await do(opened)

    return anyio.run(go)


def enqueued(engine: sa.Engine, site: Site, *, rate: float = 0, **plan: Any) -> SyncTally:
    """List the site, and put its files on the queue."""
    tally = SyncTally()

    @asynccontextmanager
    async def opened(_turns: SharedTurns) -> AsyncIterator[Site]:
        yield site

    async def go() -> None:
        wanted = Plan(walk=WALK, has_api_key=True, **plan)
        await enqueue(opened, engine, wanted, rate=rate, tally=tally, stop=anyio.Event())

    anyio.run(go)
    return tally


@dataclass
class Ended:
    """How a worker ended, and what it said."""

    tally: SyncTally = field(default_factory=lambda: SyncTally(is_worker=True))
    error: LoraCrawlError | None = None
    told: list[str] = field(default_factory=list)


def worked(
    engine: sa.Engine,
    site: TurnedSite,
    *,
    workers: int = 1,
    stop_after: int | None = None,
    concurrency: int = 1,
) -> list[Ended]:
    """Run workers side by side to their ends; `stop_after` so many fetches they are asked to stop."""
    ends = [Ended() for _ in range(workers)]
    stop = anyio.Event()

    @asynccontextmanager
    async def opened(shared: SharedTurns) -> AsyncIterator[Any]:
        await shared.take()
        yield InTurn(site, shared)

    async def run(end: Ended) -> None:
        plan = Plan(walk=WALK, has_api_key=True, concurrency=concurrency)
        try:
            await work(
                opened,
                engine,
                plan,
                rate=None,
                origin=site.origin,
                tally=end.tally,
                stop=stop,
                tell=end.told.append,
            )
        except LoraCrawlError as error:
            end.error = error

    async def watch() -> None:
        while stop_after is None or len(site.fetched) < stop_after:  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.005)
        stop.set()
        site.hurry()

    async def go() -> None:
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as outer:
                outer.start_soon(watch)
                async with anyio.create_task_group() as group:
                    for end in ends:
                        group.start_soon(run, end)
                outer.cancel_scope.cancel()

    anyio.run(go)
    return ends


def outcomes(engine: sa.Engine) -> list[str]:
    """The outcomes of all files, by id."""
    with engine.connect() as connection:
        statement = sa.select(loras.c.outcome).order_by(loras.c.file_id)
        return [*connection.execute(statement).scalars()]
