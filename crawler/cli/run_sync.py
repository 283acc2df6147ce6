"""Run a sync: connect the site, the database, the signals and the display."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TypeVar

import anyio

from crawler.cli.output.console import Voice
from crawler.cli.progress import (
    STOPPING,
    handling_signals,
    live_display,
    picture_of,
    print_now_and_then,
    shows_live,
)
from crawler.cli.sync_report import TERMS, Finished, Job, beforehand, report, report_preview
from crawler.errors import LoraCrawlError, StoppedError
from crawler.http import HttpSettings, Secret
from crawler.sources.civitai.client import Civitai
from sqlalchemy import Engine
from crawler.store.connect.database import State, open_for_reading, open_for_writing, state
from crawler.store.connect.lock import sync_lock
from crawler.store.read.headers import header_lengths
from crawler.store.write.crawls import read_cursors
from crawler.sync.preview import Preview, look_ahead
from crawler.sync.progress import SyncTally
from crawler.sync.run import crawl
from crawler.sync.state import WriterThread
from crawler.sync.walk import is_complete

#: Models in the catalogue of `--sandbox`, more than any first try asks for. For a higher limit it has
#: half as many again, since the list without mature models shows about two thirds of them.
SANDBOX_MODELS = 2_000

_T = TypeVar("_T")

#: The exit code when work is left.
WORK_LEFT = 4


def sync_into(job: Job) -> int:
    """Sync into the job's database, which is created or upgraded first; return the exit code.

    Raises:
        DatabaseError: The database cannot be used.
        StoppedError: Another sync is running on it.
        UsageError: The database was filled from another API, or the site does not know a filter.
    """
    with ExitStack() as stack:
        engine = open_for_writing(job.where)
        stack.callback(engine.dispose)
        stack.enter_context(sync_lock(engine))
        api_url = stack.enter_context(_api(job))
        for line in beforehand(job, complete=_is_complete(job, engine)):
            job.voice.notice(line)
        if job.api_url is not None and job.key is None:
            job.voice.notice(TERMS)
        finished = _run(partial(_sync, job, api_url, engine))
    report(job, finished)
    left = finished.tally.pending and job.plan.fetch_headers
    return WORK_LEFT if finished.trouble or finished.interrupted or left else 0


def preview(job: Job) -> int:
    """Print what the job would do and cost, store nothing, and return the exit code.

    Raises:
        SiteError: The site is in trouble or refuses us.
    """
    with ExitStack() as stack:
        engine = None
        if state(job.where) not in {State.MISSING, State.EMPTY}:
            engine = open_for_reading(job.where)
            stack.callback(engine.dispose)
        api_url = stack.enter_context(_api(job))
        found = _run(partial(_look_ahead, job, api_url, engine))
        complete = engine is not None and _is_complete(job, engine)
    report_preview(job, found, complete=complete)
    return 0


def _is_complete(job: Job, engine: Engine) -> bool:
    with engine.connect() as connection:
        return is_complete(job.plan.walk, read_cursors(connection, job.plan.walk.key))


@contextmanager
def _api(job: Job) -> Iterator[str]:
    """The URL of the API; without one a sandbox runs during the block."""
    if job.api_url is not None:
        yield job.api_url
        return
    from crawler.sandbox import Catalogue, Faults, Sandbox

    size = max(SANDBOX_MODELS, (job.plan.walk.limit or 0) * 3 // 2)
    with Sandbox(Catalogue(size, faults=Faults.mild())) as sandbox:
        yield sandbox.url


def _run(work: Callable[[], Awaitable[_T]]) -> _T:
    return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def _source(job: Job, api_url: str, engine: Engine | None) -> Civitai:
    seen: Mapping[str | None, Iterable[int]] = {}
    if engine is not None:
        with engine.connect() as connection:
            seen = header_lengths(connection)
    settings = HttpSettings(
        api_url=api_url,
        api_key=None if job.key is None else Secret(job.key),
        rate=job.rate,
        storage_hosts=job.storage_hosts,
    )
    return Civitai(settings, max_header=job.max_header, seen=seen)


async def _look_ahead(job: Job, api_url: str, engine: Engine | None) -> Preview:
    async with _source(job, api_url, engine) as source:
        return await look_ahead(source, WriterThread(engine) if engine else None, job.plan)


async def _sync(job: Job, api_url: str, engine: Engine) -> Finished:
    tally = SyncTally()
    stop = anyio.Event()
    trouble: LoraCrawlError | None = None
    async with _source(job, api_url, engine) as source:
        with live_display(job.voice, lambda: picture_of(tally)):
            async with anyio.create_task_group() as group:
                group.start_soon(print_now_and_then, tally, job.voice)
                on_signal = _stopper(stop, group.cancel_scope, tally, job.voice)
                try:
                    with handling_signals(on_signal):
                        await crawl(source, WriterThread(engine), job.plan, tally=tally, stop=stop)
                except LoraCrawlError as error:
                    # Raised inside the group, it would come out wrapped in an ExceptionGroup.
                    trouble = error
                group.cancel_scope.cancel()
    if trouble is not None and not isinstance(trouble, StoppedError):
        raise trouble
    return Finished(tally, trouble, interrupted=stop.is_set())


def _stopper(
    stop: anyio.Event, scope: anyio.CancelScope, tally: SyncTally, voice: Voice
) -> Callable[[], object]:
    """What a signal does: the first one asks for an orderly end, the second one cancels."""

    def end() -> None:
        if stop.is_set():
            scope.cancel()
            return
        stop.set()
        tally.stopping = True
        if not shows_live(voice):
            voice.notice(STOPPING)

    # A signal can interrupt the event loop's own work; the loop calls `end` between two steps.
    return partial(asyncio.get_running_loop().call_soon_threadsafe, end)
