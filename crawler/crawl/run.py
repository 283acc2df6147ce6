"""A crawl on one machine: it begins where the last one ended, and survives being killed.

The lister stores each page with its cursor in one transaction and leaves the files `pending`; the
feeder hands out what is pending; the fetchers read headers; the recorder stores how each file ended.
Nothing that matters lives in memory only: killed anywhere, the next run finds the same database and
goes on.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
from anyio.abc import TaskGroup, TaskStatus

from crawler.crawl.ledger import Ledger
from crawler.crawl.logins import LoginSample
from crawler.crawl.plan import Plan
from crawler.crawl.stages import RECORD_BATCH, Stages
from crawler.crawl.tally import Tally
from crawler.crawl.walk import Walk, begin
from crawler.errors import LoraCrawlError
from crawler.model import Result, Target
from crawler.model.walk import CursorState
from crawler.sources.base import Source
from crawler.store import writes


def utc_now() -> datetime:
    """The time that is stored."""
    return datetime.now(UTC)


async def crawl(
    source: Source,
    ledger: Ledger,
    plan: Plan,
    *,
    tally: Tally,
    stop: anyio.Event,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Walk, fetch and store until the walk is complete or `stop` is set.

    Cancelling it loses nothing that was stored; what was in flight is pending again.

    Args:
        source: An open source.
        ledger: The database, created and upgraded.
        plan: What to do.
        tally: Grows while it runs; afterwards `pending` holds what is left of this walk.
        stop: Once set, no new work is begun, and what is in flight is finished and stored.
        clock: Gives the stored times.

    Raises:
        StoppedError: The site is in trouble or refuses us; what was stored stays.
        UsageError: The database was filled from another API.
    """
    run = Stages(source, ledger, plan, tally, stop, clock, logins=LoginSample(settled=plan.keyed))
    async with _entry(run):
        begun, seen = await ledger.run(lambda connection: _begin(connection, plan, tally))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(run.list_catalogue, begun, seen)
                if plan.fetch_headers:
                    await group.start(_start_fetching, run, group)
        except BaseExceptionGroup as several:
            raise _cause(several) from several
    if run.trouble is not None:
        raise run.trouble


def _cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to tell of the exceptions that tore the run down: one of ours, if there is one."""
    ours = several.subgroup(LoraCrawlError)
    found: BaseException = several if ours is None else ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _start_fetching(run: Stages, group: TaskGroup, *, task_status: TaskStatus[None]) -> None:
    send_targets, receive_targets = anyio.create_memory_object_stream[Target](run.plan.concurrency)
    send_results, receive_results = anyio.create_memory_object_stream[Result](RECORD_BATCH)
    async with receive_targets, send_results:
        group.start_soon(run.record, receive_results)
        for _ in range(run.plan.concurrency):
            group.start_soon(run.fetch, receive_targets.clone(), send_results.clone())
        group.start_soon(run.feed, send_targets)
        task_status.started()


def where_it_stands(
    connection: writes.Connection, walk: Walk
) -> tuple[dict[str, CursorState], set[int]]:
    """The cursors to begin this run with, and the models that their lap has met."""
    stored = writes.read_cursors(connection, walk.key)
    lap = max((state.lap for state in stored.values()), default=0)
    # Without a limit nobody counts them, and there may be a million.
    seen = writes.walk_model_ids(connection, walk.key, lap) if walk.limit is not None else set()
    begun, anew = begin(walk, stored, len(seen))
    return begun, set() if anew else seen


def _begin(
    connection: writes.Connection, plan: Plan, tally: Tally
) -> tuple[dict[str, CursorState], set[int]]:
    if plan.retry_failed:
        writes.retry_failed(connection, walk=plan.walk.key)
    tally.pending = writes.count_pending(connection, walk=plan.walk.key)
    begun, seen = where_it_stands(connection, plan.walk)
    if plan.walk.limit is not None:
        tally.limit = plan.walk.limit - len(seen)
    return begun, seen


@asynccontextmanager
async def _entry(run: Stages) -> AsyncIterator[None]:
    """The row in `crawls`: written at the beginning, completed however the run ends."""
    crawl_id = await run.ledger.run(
        lambda connection: writes.begin_crawl(
            connection,
            origin=run.plan.origin or run.source.origin,
            walk=run.plan.walk.key,
            now=run.clock(),
        )
    )
    ending = "cancelled"
    try:
        yield
        ending = _ending(run)
    finally:
        with anyio.CancelScope(shield=True):
            await run.ledger.run(lambda connection: _finish(connection, run, crawl_id, ending))


def _ending(run: Stages) -> str:
    if run.trouble is not None:
        return str(run.trouble)
    if run.stop.is_set():
        return "interrupted"
    return "download budget spent" if run.spent else "done"


def _finish(connection: writes.Connection, run: Stages, crawl_id: int, ending: str) -> None:
    run.tally.pending = writes.count_pending(connection, walk=run.plan.walk.key)
    writes.finish_crawl(
        connection, crawl_id, ending=ending, summary=run.tally.summary(), now=run.clock()
    )
    if run.tally.files:
        writes.refresh_statistics(connection)
