"""`lora-crawl status`: the outcomes of all files, and what all runs cost."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import typer

from crawler.answers.outcomes import FLEET_REMEDIES, REMEDIES, SANDBOX_REMEDIES, outcome_lines
from crawler.answers.text import count, instant, json_text, number, size
from crawler.answers.visible import visible
from crawler.cli.options import Db, Json, Quiet, Verbose, read_connection, voice_of
from crawler.cli.output.console import answers
from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.model.site import SANDBOX_URL

if TYPE_CHECKING:
    from crawler.store.read.fleet import FleetState
    from crawler.store.read.status import Status

#: Reasons shown under an outcome.
_SHOWN_REASONS = 3

#: Characters of a reason, so that its line has at most 100.
_REASON_WIDTH = 68


def status(
    ctx: typer.Context,
    *,
    as_json: Json = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show the outcomes of all files and the cost of all runs."""
    from crawler.store.read.status import status as read_status

    with read_connection(db) as connection:
        found = read_status(connection, datetime.now(UTC))
    with answers(machine=as_json) as out:
        out.write((json_text(_data(found)) if as_json else "\n".join(_lines(found))) + "\n")
    if found.due and found.closed_until is None and not as_json:
        voice = voice_of(ctx, quiet=quiet, verbose=verbose)
        command = "sync --sandbox" if found.origin == SANDBOX_URL else "sync"
        if found.fleet is not None and found.fleet.waiting:
            command = "worker"
        voice.notice(f"{count(found.due, 'file')} to read: run lora-crawl {command}")


def _lines(found: "Status") -> Iterator[str]:
    amounts = (found.models, found.versions, found.files, found.headers)
    nouns = ("model", "version", "file", "header")
    yield f"{', '.join(map(count, amounts, nouns))} stored"
    if found.gone:
        yield f"{count(found.gone, 'file')} no longer listed by the site"
    has_queue = found.fleet is not None and found.fleet.waiting
    known = SANDBOX_REMEDIES if found.origin == SANDBOX_URL else REMEDIES
    remarks = dict(FLEET_REMEDIES if has_queue else known)
    if found.free_at is not None:
        remarks[Outcome.EARLY_ACCESS] = f"the next one ends at {instant(found.free_at)} UTC"
    outcomes = {Outcome(name): files for name, files in found.outcomes.items()}
    for outcome, line in outcome_lines(outcomes, remarks):
        yield line
        if outcome not in READ:
            yield from islice(_reasons(found, outcome), _SHOWN_REASONS)
    if found.closed_until:
        yield f"the site refused the last run: continue after {instant(found.closed_until)} UTC"
    elif found.waiting and found.go_on_at:
        yield f"{count(found.waiting, 'file')} to retry after {instant(found.go_on_at)} UTC"
    if found.fleet is not None:
        yield from _fleet(found.fleet)
    names = ("counted_downloads", "list_calls", "bytes_read")
    downloads, calls, length = (int(found.spent.get(name, 0)) for name in names)
    yield (
        f"cost of {count(found.crawls, 'run')}: {count(downloads, 'counted download')}, "
        f"{count(calls, 'list call')}, {size(length)} read"
    )
    if last := found.last_crawl:
        ending = (last.ending or "killed or still running").splitlines()[0]
        yield f"last run: {instant(last.started_at)} UTC, {visible(ending)}"
        yield from (visible(str(notice)) for notice in (last.summary or {}).get("notices", ()))


def _fleet(found: "FleetState") -> Iterator[str]:
    shared = found.shared
    parts = [f"{shared.rate:g} requests a second" if shared.rate else "no rate limit"]
    if found.waiting is not None and found.in_work is not None:
        parts.append(f"{count(found.waiting, 'batch', 'batches')} waiting, {found.in_work} in work")
    if shared.max_downloads is not None:
        left = max(shared.max_downloads - shared.downloads, 0)
        parts.append(f"{count(left, 'download')} left of the budget")
    yield f"fleet: {count(found.alive, 'worker')}, {', '.join(parts)}"
    shown = [worker for worker in found.workers if worker.is_alive(found.now)]
    for worker in shown:
        yield (
            f"  worker {worker.worker_id}: process {worker.pid} on {visible(worker.host)} since"
            f" {instant(worker.started_at)} UTC, {count(worker.files, 'file')}"
        )
    if found.alive > len(shown):
        yield f"  and {count(found.alive - len(shown), 'other worker')}"
    if found.lost:
        yield f"  killed or cut off within a day: {count(found.lost, 'worker')}"
    if shared.pause_reason is not None and shared.paused_until is not None:
        said = visible(shared.pause_reason.splitlines()[0])
        if shared.paused_until > found.now:
            yield f"  workers wait until {instant(shared.paused_until)} UTC: {said}"
        else:
            yield f"  one worker tries the site before the others: {said}"


def _reasons(found: "Status", outcome: Outcome) -> Iterator[str]:
    for (of, reason), files in found.reasons.items():
        if of == outcome:
            shown = visible(reason)
            if len(shown) > _REASON_WIDTH:
                shown = shown[: _REASON_WIDTH - 1] + "…"
            yield f"{number(files):>9}  {shown}"


def _data(found: "Status") -> dict[str, object]:
    last = found.last_crawl
    return {
        "models": found.models,
        "versions": found.versions,
        "files": found.files,
        "headers": found.headers,
        "gone": found.gone,
        "outcomes": found.outcomes,
        "reasons": [
            {"outcome": outcome, "reason": reason, "files": files}
            for (outcome, reason), files in found.reasons.items()
        ],
        "due": found.due,
        "waiting": found.waiting,
        "go_on_at": found.closed_until or found.go_on_at,
        "next_early_access_ends_at": found.free_at,
        "runs": found.crawls,
        "last_run": last
        and {name: getattr(last, name) for name in ("started_at", "finished_at", "ending")},
        "spent": found.spent,
        "fleet": found.fleet and _fleet_data(found.fleet),
    }


def _fleet_data(found: "FleetState") -> dict[str, object]:
    return asdict(found.shared) | {
        "batches_waiting": found.waiting,
        "batches_in_work": found.in_work,
        "workers_alive": found.alive,
        "workers_lost": found.lost,
        "workers": [asdict(one) | {"alive": one.is_alive(found.now)} for one in found.workers],
    }
