"""What a sync says before and after it runs."""

import json
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from crawler.cli.options import place
from crawler.cli.output.cells import REMEDIES, count, duration, json_text, number, share, size
from crawler.cli.output.console import Voice, answers
from crawler.errors import StoppedError
from crawler.model import Outcome
from crawler.store.connect.url import redacted

if TYPE_CHECKING:
    from crawler.sync.plan import Plan
    from crawler.sync.preview import Preview
    from crawler.sync.progress import SyncTally


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of `sync`.

    Attributes:
        where: The database.
        api_url: None means a sandbox, started for this run.
        rate: Requests a second to the API, 0 = no limit.
        max_header: Longest header that is fetched, in bytes.
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
    """How a crawl ended.

    Attributes:
        trouble: Why it stopped early, None when it did not.
        interrupted: By Ctrl-C or a termination signal.
    """

    tally: "SyncTally"
    trouble: StoppedError | None
    interrupted: bool


#: Said once to whoever crawls without a key.
TERMS = (
    "no API key: Civitai's terms allow automated clients on its public API with the user's own key,"
    " within its rate limits. Going on anonymously; `lora-crawl login` keeps a key."
)

#: LoRA files on Civitai, for the estimate of an unlimited walk: its API tells no totals, and ids
#: of 2026 put the versions of LoRAs at 0.5 to 0.9 million.
ASSUMED_FILES = 900_000

#: Models on a page of the list.
_PAGE_MODELS = 100


def beforehand(plan: "Plan", *, rate: float, sandbox: bool, complete: bool) -> list[str]:
    """What a walk without a limit is told to take and cost.

    Args:
        plan: What is to be done.
        rate: Requests a second to the API, 0 = no limit.
        sandbox: The site is made up.
        complete: The list has been read to its end before.
    """
    walk = plan.walk
    if walk.limit is not None or walk.model_ids or sandbox:
        return []
    if complete and walk.grows_at_its_end and not plan.refresh:
        return [
            "the list has been read to its end before: what is new or changed since is asked for"
        ]
    ask = walk.ask
    filtered = bool(ask.base_models or ask.creator or ask.tag or ask.search)
    cost = "each file costs one counted download and one request"
    speed = f"at {rate:g} requests a second" if rate else "without a rate limit"
    if filtered:
        lines = [
            f"a walk without --limit: how many files match is known at its end; {cost} ({speed})"
        ]
    else:
        requests = ASSUMED_FILES + ASSUMED_FILES // _PAGE_MODELS
        takes = f"about {duration(requests / rate)}" if rate else "as long as the site lets it"
        size_of_it = f"Civitai has some {number(ASSUMED_FILES)} LoRA files"
        lines = [f"a walk without --limit: {size_of_it}; {cost}, {takes} {speed}"]
    return [*lines, "stop it with Ctrl-C at any time: the same command goes on"]


def summary_of(job: "Job", finished: "Finished") -> dict[str, Any]:
    """The closing summary as data."""
    return finished.tally.summary() | {
        "ending": _ending(finished),
        "trouble": None if finished.trouble is None else str(finished.trouble),
        "database": redacted(job.where),
    }


def report(job: "Job", finished: "Finished") -> None:
    """The closing summary on stdout, what went wrong on stderr."""
    tally = finished.tally
    with answers(machine=job.as_json) as out:
        if job.as_json:
            out.write(json_text(summary_of(job, finished)) + "\n")
        elif not job.voice.quiet:
            out.write("\n".join(_lines(job, finished)) + "\n")
    for notice in tally.notices:
        job.voice.notice(notice)
    for sentence in tally.sentences:
        job.voice.notice(f"passed over: {sentence}")
    if more := tally.untold:
        job.voice.notice(f"passed over: {count(more, 'more item')}")
    if finished.trouble is not None:
        from crawler.cli.output.console import tell

        tell(f"error: {finished.trouble}")
        tell("What was stored stays; the same command goes on.")


def _lines(job: "Job", finished: "Finished") -> list[str]:
    tally = finished.tally
    listed = f"{count(tally.models, 'model')} listed, {count(tally.new_files, 'new file')}"
    if tally.replaced:
        listed += f", {number(tally.replaced)} replaced"
    if tally.gone:
        listed += f", {count(tally.gone, 'model')} gone"
    lines = [f"{listed}, {count(tally.headers, 'header')} read in {duration(tally.seconds)}"]
    shown = dict(tally.outcomes)
    if tally.pending:
        shown[Outcome.PENDING] = tally.pending
    width = max((len(number(amount)) for amount in shown.values()), default=0)
    lines += [
        _outcome_line(outcome, amount, sum(shown.values()), width)
        for outcome, amount in _sorted(shown)
    ]
    lines.append(f"cost: {_cost(tally)}")
    lines.append(f"database: {redacted(job.where)}")
    if tally.headers:
        lines.append(f'try: lora-crawl query "network_dim>64"{_database_option(job.where)}')
    return lines


def _database_option(where: str) -> str:
    """What makes another command read this database; nothing where it does so by itself."""
    shown = redacted(where)
    # Without its password an address is of no use.
    return "" if where == place(None) or shown != where else f" --db {quote(shown)}"


def _sorted(outcomes: dict[Outcome, int]) -> list[tuple[Outcome, int]]:
    return sorted(outcomes.items(), key=lambda pair: (pair[0] is not Outcome.DECODED, -pair[1]))


def _outcome_line(outcome: Outcome, amount: int, total: int, width: int) -> str:
    line = f"  {outcome.value.replace('_', ' '):18} {number(amount):>{width}}  {share(amount / total):>5}"
    remedy = REMEDIES.get(outcome)
    return f"{line}  {remedy}" if remedy else line


def _cost(tally: "SyncTally") -> str:
    return ", ".join(
        (
            count(tally.counted_downloads, "counted download"),
            count(tally.list_calls, "list call"),
            f"{size(tally.bytes_read)} read",
        )
    )


def _ending(finished: "Finished") -> str:
    if finished.trouble is not None:
        return "stopped"
    if finished.interrupted:
        return "interrupted"
    return "work left" if finished.tally.pending else "done"


def report_preview(job: "Job", found: "Preview", *, complete: bool) -> None:
    """What a sync would ask and cost, on stdout."""
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
            out.write(json.dumps(data) + "\n")
            return
        listed = "the walk lists" if found.complete else "its first page lists"
        out.write(
            f"{listed} {count(found.models, 'model')} with {count(found.files, 'file')}"
            f" ({count(found.list_calls, 'list call')})\n"
            f"  {number(found.to_read)} to read, one counted download each\n"
            f"  {number(found.known)} known already\n"
            f"  {number(found.not_safetensors)} no safetensors file by name\n"
        )
        if job.rate:
            out.write(
                f"about {duration(found.to_read / job.rate)} at {job.rate:g} requests a second\n"
            )
        out.write("nothing was stored\n")
    if not found.complete:
        sandbox = job.api_url is None
        for line in beforehand(job.plan, rate=job.rate, sandbox=sandbox, complete=complete):
            job.voice.notice(line)
