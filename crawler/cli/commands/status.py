"""`lora-crawl status`: where the crawl stands."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.cells import count, instant, number, second, share, size
from crawler.cli.output.console import answers
from crawler.cli.output.rows import JsonOption
from crawler.cli.output.safe import visible

if TYPE_CHECKING:
    from crawler.store.read.status import Status

#: Reasons shown under an outcome.
_SHOWN_REASONS = 3

#: Characters of a reason: with what stands before it, a line of 100.
_REASON_WIDTH = 68


def status(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """What is done, pending and refused, what the crawl cost, and when to go on."""
    from crawler.cli.output.cells import json_text
    from crawler.store.connect.database import open_for_reading
    from crawler.store.read.status import status as read_status

    engine = open_for_reading(place(db))
    try:
        with engine.connect() as connection:
            found = read_status(connection, datetime.now(UTC))
    finally:
        engine.dispose()
    with answers(machine=as_json) as out:
        if as_json:
            out.write(json_text(_data(found)) + "\n")
            return
        out.write("\n".join(_lines(found)) + "\n")
    if found.due and found.closed_until is None:
        voice = voice_of(ctx, quiet=quiet, verbose=verbose)
        voice.notice(f"{count(found.due, 'file')} to read: lora-crawl sync goes on")


def _lines(found: "Status") -> list[str]:
    amounts = (
        count(found.models, "model"),
        count(found.versions, "version"),
        count(found.files, "file"),
        count(found.headers, "header"),
    )
    lines = [f"{', '.join(amounts)} stored"]
    if found.gone:
        lines.append(f"{count(found.gone, 'file')} no longer listed by the site")
    width = max((len(number(files)) for files in found.outcomes.values()), default=0)
    for outcome, files in sorted(found.outcomes.items(), key=lambda pair: -pair[1]):
        name = outcome.replace("_", " ")
        part = share(files / found.files)
        line = f"  {name:18} {number(files):>{width}}  {part:>5}  {_remedy(found, outcome)}"
        lines.append(line.rstrip())
        lines += [
            f"  {'':18} {'':{width}}  {number(amount):>5}  {_cut(reason)}"
            for reason, amount in _reasons(found, outcome)
        ]
    if found.closed_until:
        lines.append(
            f"the site turned the last run away: go on from {second(found.closed_until)} UTC"
        )
    elif found.waiting and found.go_on_at:
        lines.append(
            f"{count(found.waiting, 'file')} to be tried again from {second(found.go_on_at)} UTC"
        )
    spent = found.spent
    lines.append(
        f"cost of {count(found.crawls, 'run')}: "
        f"{number(int(spent.get('counted_downloads', 0)))} counted downloads, "
        f"{number(int(spent.get('list_calls', 0)))} list calls, "
        f"{size(int(spent.get('bytes_read', 0)))} read"
    )
    if found.last_crawl is not None:
        last = found.last_crawl
        ending = (last.ending or "killed, or still running").splitlines()[0]
        lines.append(f"last run: {second(last.started_at)} UTC, {ending}")
        lines += [visible(str(notice)) for notice in (last.summary or {}).get("notices", ())]
    return lines


def _remedy(found: "Status", outcome: str) -> str:
    if outcome == "early_access" and found.free_at is not None:
        return f"the next is free from {second(found.free_at)} UTC"
    from crawler.cli.output.cells import REMEDIES

    return REMEDIES.get(outcome, "")


def _reasons(found: "Status", outcome: str) -> list[tuple[str, int]]:
    from crawler.model.outcome import READ

    reasons = [
        (reason, amount)
        for (of, reason), amount in found.reasons.items()
        if of == outcome and outcome not in READ
    ]
    return reasons[:_SHOWN_REASONS]


def _cut(reason: str) -> str:
    shown = visible(reason)
    return shown if len(shown) <= _REASON_WIDTH else shown[: _REASON_WIDTH - 1] + "…"


def _told(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)


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
        "go_on_at": _told(found.closed_until or found.go_on_at),
        "next_early_access_ends_at": _told(found.free_at),
        "runs": found.crawls,
        "last_run": None
        if last is None
        else {
            "started_at": instant(last.started_at),
            "finished_at": None if last.finished_at is None else instant(last.finished_at),
            "ending": last.ending,
        },
        "spent": found.spent,
    }
