"""Run a sync: connect the site, the database, the signals and the display."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import asdict, dataclass
from enum import Enum, auto
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import anyio

from crawler.answers.outcomes import spoken
from crawler.answers.text import json_text
from crawler.cli.options import fleet_engine, write_engine
from crawler.cli.output.console import FAILED, Voice, answers, print_error
from crawler.cli.pages.sync import forecast, preview_lines, summary_lines
from crawler.cli.progress import (
    AGAIN,
    KEPT,
    STOPPING,
    ending_soon,
    handling_signals,
    live_display,
    picture_of,
    print_now_and_then,
    shows_live,
)
from crawler.errors import BudgetError, LoraCrawlError, StoppedError
from crawler.http import HttpSettings, Secret
from crawler.model import Result
from crawler.model.outcome import READ
from crawler.sources.civitai.client import Civitai, origin_of
from crawler.store.connect.database import Engine, State, open_for_reading, state
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import redacted
from crawler.store.read.headers import header_lengths
from crawler.store.write.crawls import read_cursors
from crawler.sync.progress import SyncTally
from crawler.sync.run import Preview, crawl, look_ahead
from crawler.sync.state import Plan, WriterThread
from crawler.sync.walk import is_complete

if TYPE_CHECKING:
    from crawler.fleet.turns import SharedTurns

    #: Opens the site, with the turns of a fleet or its own, once it has answered.
    OpenCivitai = Callable[[SharedTurns | None], AbstractAsyncContextManager[Civitai]]


class Kind(Enum):
    """What a job does with the pending files."""

    SYNC = auto()  # list and fetch them
    ENQUEUE = auto()  # list them and put them on the queue of a fleet
    WORKER = auto()  # fetch what is on the queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The options of one `sync` or `worker`.

    Attributes:
        where: The database.
        api_url: None for a sandbox that is started for this run.
        tells_terms: Whether to say what the site's terms ask of clients without a key.
        rate: Requests a second to the API, 0 = no limit; of a fleet None for the one that it has.
        max_header: Longest header to read, in bytes.
    """

    plan: Plan
    where: str
    api_url: str | None
    key: str | None
    tells_terms: bool
    rate: float | None
    storage_hosts: tuple[str, ...]
    max_header: int
    as_json: bool
    voice: Voice
    kind: Kind = Kind.SYNC


#: Printed once when there is no key.
TERMS = (
    "no API key: Civitai's terms allow automated clients with their user's own key and within its"
    " rate limits. Continuing anonymously; `lora-crawl login` stores a key."
)

#: Models in the catalogue of `--sandbox`, more than any first try asks for. For a higher limit it has
#: half as many again, since the list without mature models shows about two thirds of them.
SANDBOX_MODELS = 2_000

#: The exit code when work is left.
WORK_LEFT = 4

_T = TypeVar("_T")


def sync_into(job: Job) -> int:
    """Sync into the job's database, which is created or upgraded first; return the exit code.

    Raises:
        DatabaseError: The database cannot be used.
        StoppedError: Another sync is running on it.
        UsageError: The database was filled from another API, or the site does not know a filter.
    """
    tally = SyncTally(
        tell=partial(_tell, job.voice) if job.voice.verbose else None,
        is_worker=job.kind is Kind.WORKER,
        enqueued=0 if job.kind is Kind.ENQUEUE else None,
    )

    def interrupt() -> None:
        """Before and after the crawl; one that is already stopping is closed and reported."""
        if not tally.stopping:
            raise KeyboardInterrupt
        end_soon()

    with ending_soon(WORK_LEFT) as end_soon, handling_signals(interrupt), translated(job.where):
        with _engine(job) as engine, _api(job) as api_url:
            _tell_forecast(job, complete=_is_complete(job, engine))
            if job.tells_terms:
                job.voice.notice(TERMS)
            trouble = _run(partial(_sync, job, api_url, engine, tally, end_soon))
        _report(job, tally, trouble)
    left = tally.pending and job.plan.fetch_headers
    return WORK_LEFT if trouble or tally.stopping or left else 0


def _engine(job: Job) -> AbstractContextManager[Engine]:
    """The database, for the only writer or for one of several; errors as in `sync_into`."""
    if job.kind is Kind.SYNC:
        return write_engine(job.where, job.voice)
    return fleet_engine(job.where, job.voice, lists=job.kind is Kind.ENQUEUE)


def _tell(voice: Voice, result: Result) -> None:
    """Print a line about a file that was not read; with `-vv` about every file."""
    if result.outcome not in READ or voice.verbose > 1:
        reason = f": {result.reason}" if result.reason else ""
        voice.detail(f"file {result.target.file_id}: {spoken(result.outcome)}{reason}")


def _tell_forecast(job: Job, *, complete: bool) -> None:
    """Say how long a sync takes and what it costs. A sandbox costs nothing, and a fleet has its own rate."""
    if job.api_url is not None and job.kind is Kind.SYNC:
        for line in forecast(job.plan, api_url=job.api_url, rate=job.rate, complete=complete):
            job.voice.notice(line)


def _report(job: Job, tally: SyncTally, trouble: StoppedError | None) -> None:
    """Print the closing summary on stdout, and problems on stderr."""
    with answers(machine=job.as_json) as out:
        if job.as_json:
            ending = "work left" if tally.pending else "done"
            ending = "interrupted" if tally.stopping else ending
            summary = tally.summary() | {
                "ending": "stopped" if trouble else ending,
                "trouble": None if trouble is None else str(trouble),
                "database": redacted(job.where),
            }
            out.write(json_text(summary) + "\n")
        elif not job.voice.quiet:
            is_whole = trouble is None and not tally.stopping
            lines = summary_lines(tally, where=job.where, is_whole=is_whole, api_url=job.api_url)
            out.write("\n".join(lines) + "\n")
    for notice in tally.notices:
        job.voice.notice(notice)
    job.voice.some([f"skipped: {each}" for each in tally.sentences], tally.troubles, "more item")
    if trouble is not None:
        print_error(f"{FAILED}{trouble}")
    if trouble is not None or tally.stopping:
        print_error(KEPT if isinstance(trouble, BudgetError) else f"{KEPT} {AGAIN}")


def preview(job: Job) -> int:
    """Print what the job would do and cost, store nothing, and return the exit code.

    Raises:
        SiteError: The site fails or refuses us.
    """
    engine, complete = None, False
    with ExitStack() as stack:
        if state(job.where) not in {State.MISSING, State.EMPTY}:
            engine = open_for_reading(job.where)
            stack.callback(engine.dispose)
            complete = _is_complete(job, engine)
        api_url = stack.enter_context(_api(job))
        found = _run(partial(_look_ahead, job, api_url, engine))
    data = asdict(found)
    data["counted_downloads"] = data.pop("to_read")
    data["seconds"] = round(found.to_read / job.rate, 1) if job.rate else None
    with answers(machine=job.as_json) as out:
        if job.as_json:
            out.write(json_text(data) + "\n")
            return 0
        out.write("\n".join(preview_lines(found, rate=job.rate)) + "\n")
    if not found.complete:
        _tell_forecast(job, complete=complete)
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


def _source(
    job: Job, api_url: str, engine: Engine | None, turns: "SharedTurns | None" = None
) -> Civitai:
    seen: Mapping[str | None, Iterable[int]] = {}
    if engine is not None:
        with engine.connect() as connection:
            seen = header_lengths(connection)
    settings = HttpSettings(
        api_url=api_url,
        api_key=None if job.key is None else Secret(job.key),
        rate=job.rate or 0.0,
        storage_hosts=job.storage_hosts,
    )
    return Civitai(
        settings,
        max_header=job.max_header,
        seen=seen,
        turn=None if turns is None else turns.take,
        hold=None if turns is None else turns.hold,
        tell=job.voice.notice,
    )


async def _look_ahead(job: Job, api_url: str, engine: Engine | None) -> Preview:
    async with _source(job, api_url, engine) as source:
        await source.refuses_key()
        return await look_ahead(source, WriterThread(engine) if engine else None, job.plan)


async def _sync(
    job: Job, api_url: str, engine: Engine, tally: SyncTally, end_soon: Callable[[], None]
) -> StoppedError | None:
    """Do the job, and count it in `tally`; why it stopped early, None if it did not."""
    stop = anyio.Event()
    sites: list[Civitai] = []
    trouble: LoraCrawlError | None = None

    def on_signal() -> None:
        """Ask for an orderly end the first time, cancel everything the second time."""
        if stop.is_set():
            group.cancel_scope.cancel()
            return
        stop.set()
        for site in sites:
            site.hurry()
        tally.stopping = True
        if not shows_live(job.voice):
            job.voice.notice(STOPPING)

    loop = asyncio.get_running_loop()
    signals = itertools.count(1)

    def handle() -> None:
        """Take a signal, perhaps amid the event loop's own work: it calls `on_signal` between two steps."""
        loop.call_soon_threadsafe(on_signal)
        if next(signals) > 1:
            end_soon()

    @asynccontextmanager
    async def open_site(turns: "SharedTurns | None") -> AsyncIterator[Civitai]:
        """The site, once it has answered."""
        async with _source(job, api_url, engine, turns) as site:
            sites.append(site)
            try:
                with_key = job.key is not None and job.plan.fetch_headers
                await _first_contact(site, with_key=with_key)
                yield site
            finally:
                sites.remove(site)

    with live_display(job.voice, lambda: picture_of(tally)):
        async with anyio.create_task_group() as group:
            group.start_soon(print_now_and_then, tally, job.voice)
            try:
                with handling_signals(handle):
                    await _work(job, open_site, engine, tally=tally, stop=stop)
            except LoraCrawlError as error:
                # Raised inside the group, it would come out wrapped in an ExceptionGroup.
                trouble = error
            group.cancel_scope.cancel()
    if trouble is not None and not isinstance(trouble, StoppedError):
        raise trouble
    return trouble


async def _work(
    job: Job, open_site: "OpenCivitai", engine: Engine, *, tally: SyncTally, stop: anyio.Event
) -> None:
    """Do what the kind of the job says; errors as in `crawl` and in crawler.fleet."""
    if job.kind is Kind.ENQUEUE:
        from crawler.fleet.enqueue import enqueue

        await enqueue(open_site, engine, job.plan, rate=job.rate, tally=tally, stop=stop)
    elif job.kind is Kind.WORKER:
        from crawler.fleet.worker import work

        await work(
            open_site,
            engine,
            job.plan,
            rate=job.rate,
            origin=origin_of(job.api_url or ""),
            tally=tally,
            stop=stop,
            tell=job.voice.notice,
        )
    else:
        async with open_site(None) as site:
            await crawl(site, WriterThread(engine), job.plan, tally=tally, stop=stop)


async def _first_contact(source: Civitai, *, with_key: bool) -> None:
    """Check that the site answers, and `with_key` that it knows the API key.

    Raises:
        StoppedError: It does not. An unknown key would be used as if there were none.
    """
    if await source.refuses_key() and with_key:
        raise StoppedError(
            "the site does not know this API key: it may be mistyped, expired or revoked.\n"
            "Run `lora-crawl login` with a new key, or remove it with `lora-crawl logout`."
        )
