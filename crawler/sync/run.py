"""A crawl on one machine. It continues where the last one stopped or was killed.

The lister stores each page with its cursor in one transaction and leaves the files `pending`. The
feeder hands out pending files, the fetchers read headers, and the recorder stores the results. Nothing
that matters is only in memory: after a kill the next run finds the same database and continues.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
from anyio.abc import TaskGroup, TaskStatus

from crawler.errors import LoraCrawlError
from crawler.model import Result, Target
from crawler.model.catalogue import CursorState
from crawler.sources.base import Source
from crawler.store.connect.database import Connection
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.crawls import begin_crawl, finish_crawl, read_cursors, walk_model_ids
from crawler.store.write.pending import count_pending, reopen, retry_failed
from crawler.sync.breaker import LoginSample, Outage
from crawler.sync.lister import list_catalogue
from crawler.sync.pipeline import Pipeline
from crawler.sync.progress import SyncTally
from crawler.sync.state import Plan, RunState, WriterThread
from crawler.sync.walk import Walk, begin


def utc_now() -> datetime:
    """The time that is stored."""
    return datetime.now(UTC)


async def crawl(
    source: Source,
    writer: WriterThread,
    plan: Plan,
    *,
    tally: SyncTally,
    stop: anyio.Event,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """List, fetch and store until the walk is complete or `stop` is set.

    Cancelling it loses nothing that was stored; files in flight are pending again.

    Args:
        source: An open source.
        writer: The database, created and upgraded.
        plan: What to do.
        tally: Grows during the run; at the end its `pending` is what is left of this walk.
        stop: Once set, no new work starts, and files in flight are finished and stored.
        clock: Gives the stored times.

    Raises:
        StoppedError: The site cannot be reached or refuses us; what was stored stays.
        UsageError: The database was filled from another API.
    """
    run = RunState(source, writer, plan, tally, stop, clock)
    async with _entry(run):
        begun, seen = await writer.run(lambda connection: _begin(connection, run))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(list_catalogue, run, begun, seen)
                if plan.fetch_headers:
                    await group.start(_start_fetching, run, group)
        except BaseExceptionGroup as several:
            raise _cause(several) from several
    if (trouble := run.trouble or run.list_trouble) is not None:
        raise trouble


def _cause(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception to raise for a group: a LoraCrawlError if it contains one."""
    ours = several.subgroup(LoraCrawlError)
    found: BaseException = several if ours is None else ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _start_fetching(
    run: RunState, group: TaskGroup, *, task_status: TaskStatus[None]
) -> None:
    pipeline = Pipeline(run, LoginSample(settled=run.plan.has_api_key), Outage(run.source.origin))
    send_targets, receive_targets = anyio.create_memory_object_stream[Target](run.plan.concurrency)
    # No longer than the number of fetchers: results in this stream cost downloads and a kill loses them.
    send_results, receive_results = anyio.create_memory_object_stream[Result](run.plan.concurrency)
    async with receive_targets, send_results:
        group.start_soon(pipeline.record, receive_results)
        for _ in range(run.plan.concurrency):
            group.start_soon(pipeline.fetch, receive_targets.clone(), send_results.clone())
        group.start_soon(pipeline.feed, send_targets, send_results.clone())
        task_status.started()


def start_of(
    connection: Connection, walk: Walk, *, refresh: bool, now: datetime
) -> tuple[dict[str, CursorState], set[int]]:
    """The first cursors of a run, and the models that their pass has listed.

    Args:
        connection: May be a reader's.
        walk: The walk.
        refresh: As in `begin`.
        now: As in `begin`.
    """
    stored = read_cursors(connection, walk.key)
    pass_number = max((state.pass_number for state in stored.values()), default=0)
    # They are counted only for a limit; without one there may be a million.
    seen = walk_model_ids(connection, walk.key, pass_number) if walk.limit is not None else set()
    begun, anew = begin(walk, stored, len(seen), refresh=refresh, now=now)
    return begun, set() if anew else seen


def _begin(connection: Connection, run: RunState) -> tuple[dict[str, CursorState], set[int]]:
    plan, tally = run.plan, run.tally
    if plan.retry_failed:
        retry_failed(connection, walk=plan.walk.key, has_api_key=plan.has_api_key)
    tally.pending = count_pending(connection, walk=plan.walk.key)
    begun, seen = start_of(connection, plan.walk, refresh=plan.refresh, now=run.clock())
    if plan.walk.limit is not None:
        tally.limit = plan.walk.limit - len(seen)
    return begun, seen


@asynccontextmanager
async def _entry(run: RunState) -> AsyncIterator[None]:
    """The row in `crawls`: inserted at the start, completed however the run ends."""
    crawl_id = await run.writer.run(lambda connection: _start(connection, run))
    cancelled = True
    try:
        yield
        cancelled = False
    finally:
        with anyio.CancelScope(shield=True):
            await run.writer.run(
                lambda connection: _finish(connection, run, crawl_id, cancelled=cancelled)
            )


def _start(connection: Connection, run: RunState) -> int:
    reopen(connection, now=run.clock(), has_api_key=run.plan.has_api_key)
    return begin_crawl(
        connection,
        origin=run.plan.origin or run.source.origin,
        walk=run.plan.walk.key,
        now=run.clock(),
        has_api_key=run.plan.has_api_key,
    )


def _finish(connection: Connection, run: RunState, crawl_id: int, *, cancelled: bool) -> None:
    run.tally.pending = count_pending(connection, walk=run.plan.walk.key)
    if run.budget_used and (left := run.tally.pending):
        run.tally.notices.append(
            f"--max-downloads is used up; {left} files are still pending; the same command continues"
        )
    finish_crawl(
        connection,
        crawl_id,
        ending="cancelled" if cancelled else _ending(run),
        summary=run.tally.summary(),
        now=run.clock(),
        go_on_at=run.go_on_at,
    )
    # A run that found nothing new need not count a million rows again.
    if run.tally.files or run.tally.new_files or run.plan.refresh:
        refresh_statistics(connection)


def _ending(run: RunState) -> str:
    """The column `ending` of the run, in words. `tally.pending` must be final."""
    if (trouble := run.trouble or run.list_trouble) is not None:
        return str(trouble)
    if run.stop.is_set():
        return "interrupted"
    return "download budget used up" if run.budget_used and run.tally.pending else "done"
