"""One sync: its options, how it ends, and what it prints before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.cli.database import db_option
from crawler.cli.output.cells import json_text
from crawler.cli.output.console import Voice, answers, tell
from crawler.cli.output.outcomes import REMEDIES, outcome_lines
from crawler.cli.output.words import count, duration, number, size
from crawler.errors import StoppedError
from crawler.model import Outcome
from crawler.store.connect.url import redacted

if TYPE_CHECKING:
    from crawler.sync.preview import Preview
    from crawler.sync.progress import SyncTally
    from crawler.sync.state import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The options of one `sync`.

    Attributes:
        where: The database.
        api_url: None for a sandbox that is started for this run.
        rate: Requests a second to the API, 0 = no limit.
        max_header: Longest header to read, in bytes.
    """

    plan: "Plan"
    where: str
    api_url: str | None
    key: str | None
    rate: float
    storage_hosts: tuple[str, ...]
    max_header: int
    as_json: bool
    voice: Voice


@dataclass(frozen=True, slots=True)
class Finished:
    """How a sync ended.

    Attributes:
        trouble: Why it stopped early, None if it did not.
        interrupted: By Ctrl-C or a termination signal.
    """

    tally: "SyncTally"
    trouble: StoppedError | None
    interrupted: bool


#: Printed once when there is no key.
TERMS = (
    "no API key: Civitai's terms allow automated clients with their user's own key and within its"
    " rate limits. Continuing anonymously; `lora-crawl login` stores a key."
)

#: LoRA files on Civitai, for the estimate of a sync without --limit. The API gives no totals; the
#: ids of 2026 suggest 0.5 to 0.9 million versions.
ASSUMED_FILES = 900_000

#: Models on a page of the list.
_PAGE_MODELS = 100


def beforehand(job: Job, *, complete: bool) -> Iterator[str]:
    """The expected time and cost of a sync without --limit.

    Args:
        job: What is to be done.
        complete: The whole list was read before.
    """
    walk = job.plan.walk
    if walk.limit is not None or walk.model_ids or job.api_url is None:
        return
    if complete and walk.grows_at_its_end and not job.plan.refresh:
        yield "full list already read; checking for changes"
        return
    cost = "each file costs one counted download and one request"
    speed = f"at {job.rate:g} requests a second" if job.rate else "without a rate limit"
    ask = walk.ask
    if ask.base_models or ask.creator or ask.tag or ask.search:
        yield f"no --limit: the number of matching files is not known yet; {cost}, {speed}"
    else:
        requests = ASSUMED_FILES + ASSUMED_FILES // _PAGE_MODELS
        takes = f"about {duration(requests / job.rate)} " if job.rate else ""
        files = f"Civitai has about {number(ASSUMED_FILES)} LoRA files"
        yield f"no --limit: {files}; {cost}, {takes}{speed}"
    yield "press Ctrl-C to stop at any time; the same command continues"


def report(job: Job, finished: Finished) -> None:
    """Print the closing summary on stdout, and problems on stderr."""
    tally = finished.tally
    with answers(machine=job.as_json) as out:
        if job.as_json:
            out.write(json_text(_summary(job, finished)) + "\n")
        elif not job.voice.quiet:
            out.write("\n".join(_lines(job, tally)) + "\n")
    for notice in tally.notices:
        job.voice.notice(notice)
    job.voice.some([f"skipped: {each}" for each in tally.sentences], tally.troubles, "more item")
    if finished.trouble is not None:
        tell(f"error: {finished.trouble}")
        tell("All stored data is kept. Run the same command again to continue.")


def _summary(job: Job, finished: Finished) -> dict[str, Any]:
    return finished.tally.summary() | {
        "ending": _ending(finished),
        "trouble": None if finished.trouble is None else str(finished.trouble),
        "database": redacted(job.where),
    }


def _ending(finished: Finished) -> str:
    if finished.trouble is not None:
        return "stopped"
    if finished.interrupted:
        return "interrupted"
    return "work left" if finished.tally.pending else "done"


def _lines(job: Job, tally: "SyncTally") -> Iterator[str]:
    listed = f"{count(tally.models, 'model')} listed, {count(tally.new_files, 'new file')}"
    if tally.replaced:
        listed += f", {number(tally.replaced)} replaced"
    if tally.gone:
        listed += f", {count(tally.gone, 'model')} gone"
    yield f"{listed}, {count(tally.headers, 'header')} read in {duration(tally.seconds)}"
    pending = {Outcome.PENDING: tally.pending} if tally.pending else {}
    for _, line in outcome_lines({**tally.outcomes, **pending}, REMEDIES):
        yield line
    downloads = count(tally.counted_downloads, "counted download")
    calls = count(tally.list_calls, "list call")
    yield f"cost: {downloads}, {calls}, {size(tally.bytes_read)} read"
    yield f"database: {redacted(job.where)}"
    if tally.headers:
        yield f'try: lora-crawl query "network_dim>64"{db_option(job.where)}'


def report_preview(job: Job, found: "Preview", *, complete: bool) -> None:
    """Print what a sync would do and cost, on stdout."""
    data = {
        "complete": found.complete,
        "list_calls": found.list_calls,
        "models": found.models,
        "files": found.files,
        "not_safetensors": found.not_safetensors,
        "known": found.known,
        "counted_downloads": found.to_read,
        "seconds": round(found.to_read / job.rate, 1) if job.rate else None,
    }
    with answers(machine=job.as_json) as out:
        if job.as_json:
            out.write(json_text(data) + "\n")
            return
        listed = "the walk lists" if found.complete else "its first page lists"
        out.write(
            f"{listed} {count(found.models, 'model')} with {count(found.files, 'file')}"
            f" ({count(found.list_calls, 'list call')})\n"
            f"  {number(found.to_read)} to read, with one counted download each\n"
            f"  {number(found.known)} already known\n"
            f"  {number(found.not_safetensors)} without a safetensors file name\n"
        )
        if job.rate:
            time = duration(found.to_read / job.rate)
            out.write(f"about {time} at {job.rate:g} requests a second\n")
        out.write("nothing was stored\n")
    if not found.complete:
        for line in beforehand(job, complete=complete):
            job.voice.notice(line)
