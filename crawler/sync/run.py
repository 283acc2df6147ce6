"""A crawl on one machine, and a preview. A crawl continues where the last one stopped or was killed.

The lister stores each page with its cursor in one transaction and leaves the files `pending`. The
feeder hands out pending files, the fetchers read headers, and the recorder stores the results. Nothing
that matters is only in memory: after a kill the next run finds the same database and continues.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio

from crawler.errors import LoraCrawlError
from crawler.model import Model, Outcome
from crawler.model.catalogue import CursorState
from crawler.sources.base import Source
from crawler.store.connect.database import Connection
from crawler.store.read.status import outcomes_of
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.catalogue import why_not_requested
from crawler.store.write.crawls import begin_crawl, finish_crawl, read_cursors, walk_model_ids
from crawler.store.write.pending import count_pending, reopen, retry_failed
from crawler.sync.breaker import Breaker
from crawler.sync.filters import checked
from crawler.sync.lister import list_catalogue
from crawler.sync.pipeline import Pipeline, WalkSupply
from crawler.sync.progress import NOT_CREDIBLE, SyncTally
from crawler.sync.state import Plan, RunState, WriterThread
from crawler.sync.walk import Walk, begin, steps


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
    listed: Callable[[Sequence[int] | None], Awaitable[None]] | None = None,
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
        listed: Called with the ids of the models of each page that is stored, and with None before the
            first page.

    Raises:
        StoppedError: The site cannot be reached or refuses us; what was stored stays.
        UsageError: The database was filled from another API, or the site does not know a filter.
    """
    plan = replace(plan, walk=replace(plan.walk, ask=await checked(source, plan.walk.ask)))
    run = RunState(source, writer, plan, tally, stop, clock, listed)
    async with _entry(run):
        begun, seen = await writer.run(lambda connection: _begin(connection, run))
        if listed is not None:
            await listed(None)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(list_catalogue, run, begun, seen)
                if plan.fetch_headers:
                    pipeline = Pipeline(run, Breaker(source.origin), WalkSupply(run))
                    await group.start(pipeline.start, group)
        except BaseExceptionGroup as several:
            raise cause_of(several) from several
    if listed is None:  # else workers do it, when nothing else writes to the database
        await writer.run_outside(
            lambda engine: refresh_if_due(engine, now=clock(), going=lambda: not stop.is_set())
        )
    if (trouble := run.trouble or run.list_trouble) is not None:
        raise trouble


def cause_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to raise for those of several tasks.

    One of our own errors explains the end better than what followed from it.
    """
    cause: BaseException = several.subgroup(LoraCrawlError) or several
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


def start_of(
    connection: Connection, walk: Walk, *, refresh: bool, now: datetime
) -> tuple[dict[str, CursorState], set[int]]:
    """The first cursors of a run, and the models that their pass has listed; arguments as in `begin`."""
    stored = read_cursors(connection, walk.key)
    pass_number = max((state.pass_number for state in stored.values()), default=0)
    # They are counted only for a limit; without one there may be a million.
    seen = walk_model_ids(connection, walk.key, pass_number) if walk.limit is not None else set()
    begun, anew = begin(walk, stored, len(seen), refresh=refresh, now=now)
    return begun, set() if anew else seen


def _begin(connection: Connection, run: RunState) -> tuple[dict[str, CursorState], set[int]]:
    plan, tally = run.plan, run.tally
    if plan.retry_failed:
        retry_failed(connection, walk=plan.walk.key, refused=plan.retry_refused)
    tally.pending = count_pending(connection, walk=plan.walk.key)
    begun, seen = start_of(connection, plan.walk, refresh=plan.refresh, now=run.clock())
    if plan.walk.limit is not None:
        tally.limit = plan.walk.limit - len(seen)
    return begun, seen


@asynccontextmanager
async def _entry(run: RunState) -> AsyncIterator[None]:
    """The row in `crawls`: inserted at the start, completed however the run ends."""
    plan, has_api_key = run.plan, run.plan.has_api_key

    def start(connection: Connection) -> int:
        reopen(connection, now=run.clock(), has_api_key=has_api_key)
        origin = plan.origin or run.source.origin
        return begin_crawl(
            connection, origin=origin, walk=plan.walk.key, now=run.clock(), has_api_key=has_api_key
        )

    crawl_id = await run.writer.run(start)
    cancelled = True
    try:
        yield
        cancelled = False
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await run.writer.run(
                    lambda connection: _finish(connection, run, crawl_id, cancelled=cancelled)
                )
            except LoraCrawlError:
                # When the database failed, the first failure says what happened.
                if not cancelled:
                    raise


def _finish(connection: Connection, run: RunState, crawl_id: int, *, cancelled: bool) -> None:
    run.tally.pending = count_pending(connection, walk=run.plan.walk.key)
    if run.budget_used and (left := run.tally.pending):
        run.tally.notices.append(
            f"--max-downloads is used up; {left} files are still pending; the same command continues"
        )
    if run.tally.doubted_files:
        run.tally.notices.append(
            f"{run.tally.doubted_files} known files are no longer listed by their versions."
            f" {NOT_CREDIBLE}"
        )
    finish_crawl(
        connection,
        crawl_id,
        ending="cancelled" if cancelled else _ending(run),
        summary=run.tally.summary(),
        now=run.clock(),
        go_on_at=run.go_on_at,
    )
    # A file that is both new and read is one changed row. A refresh changes what each model has.
    changed = max(run.tally.files, run.tally.new_files)
    count_changes(connection, changed + (run.tally.models if run.plan.refresh else 0))


def _ending(run: RunState) -> str:
    """The column `ending` of the run, in words. `tally.pending` must be final."""
    if (trouble := run.trouble or run.list_trouble) is not None:
        return str(trouble)
    if run.stop.is_set():
        return "interrupted"
    return "download budget used up" if run.budget_used and run.tally.pending else "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The listed models, and how many of their files a sync would read.

    Attributes:
        complete: Everything that the sync would list was listed, not only its first page.
        list_calls: Requests for this; a sync makes them again.
        files: Of the listed models.
        not_safetensors: Of these, no safetensors or no LoRA by name or type, so never requested.
        known: Of these, already read or finally refused.
        to_read: Of these, one counted download each.
    """

    complete: bool
    list_calls: int
    models: int
    files: int
    not_safetensors: int
    known: int
    to_read: int


async def look_ahead(source: Source, writer: WriterThread | None, plan: Plan) -> Preview:
    """List the models that a sync would list. Without a limit, list only the first page.

    Args:
        source: An open source.
        writer: The database as it is; None when there is none yet.
        plan: What the sync would do.

    Raises:
        SiteError: The site cannot be reached or refuses us.
        UsageError: The site does not know a filter.
    """
    walk = replace(plan.walk, ask=await checked(source, plan.walk.ask))
    complete = walk.limit is not None or bool(walk.model_ids)
    if writer is None:
        (begun, _), seen = begin(walk, {}, 0), set[int]()
    else:
        begun, seen = await writer.run(
            lambda connection: start_of(connection, walk, refresh=plan.refresh, now=utc_now())
        )
    models: dict[int, Model] = {}
    calls = 0
    async for step in steps(source, walk, begun, seen):
        models |= {model.model_id: model for model in step.models}
        calls += step.list_calls
        if not complete:
            break
    files = {
        file.file_id: file
        for model in models.values()
        for version in model.versions
        for file in version.files
        if file.is_primary or not walk.primary_only
    }
    outcomes: Mapping[int, Outcome] = {}
    if writer is not None:
        outcomes = await writer.run(lambda connection: outcomes_of(connection, list(files)))
    usable = [file_id for file_id, file in files.items() if why_not_requested(file) is None]
    to_read = sum(outcomes.get(one, Outcome.PENDING) is Outcome.PENDING for one in usable)
    return Preview(
        complete=complete,
        list_calls=calls,
        models=len(models),
        files=len(files),
        not_safetensors=len(files) - len(usable),
        known=len(usable) - to_read,
        to_read=to_read,
    )
