"""What a sync prints: the time and cost that it expects, a preview, and the closing summary."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.answers.outcomes import FLEET_REMEDIES, REMEDIES, SANDBOX_REMEDIES, outcome_lines
from crawler.answers.text import count, duration, number, size
from crawler.answers.visible import visible
from crawler.cli.options import hinted
from crawler.model import Outcome
from crawler.model.site import is_site_host
from crawler.store.connect.url import redacted

if TYPE_CHECKING:
    from crawler.sync.progress import SyncTally
    from crawler.sync.run import Preview
    from crawler.sync.state import Plan

#: LoRA files on Civitai, for the estimate of a sync without --limit. The API gives no totals; the
#: ids of 2026 suggest 0.5 to 0.9 million versions.
ASSUMED_FILES = 900_000

#: Models on a page of the list.
_PAGE_MODELS = 100


def forecast(plan: "Plan", *, api_url: str, rate: float | None, complete: bool) -> Iterator[str]:
    """The expected time and cost of a sync without --limit.

    Args:
        plan: What is to be done.
        api_url: The API.
        rate: Requests a second; 0 or None = no limit.
        complete: An earlier sync has read the whole list.
    """
    walk = plan.walk
    if walk.limit is not None or walk.model_ids:
        return
    if complete and walk.grows_at_its_end and not plan.refresh:
        yield "full list already read; checking for changes"
        return
    cost = "each file costs one counted download and one request"
    speed = f"at {rate:g} requests a second" if rate else "without a rate limit"
    ask = walk.ask
    if ask.base_models or ask.creator or ask.tag or ask.search:
        yield f"no --limit: the number of matching files is not known yet; {cost}, {speed}"
    elif not is_site_host(urlsplit(api_url).hostname or ""):
        yield f"no --limit: how many files there are is not known yet; {cost}, {speed}"
    else:
        requests = ASSUMED_FILES + ASSUMED_FILES // _PAGE_MODELS
        takes = f"about {duration(requests / rate)} " if rate else ""
        files = f"Civitai has about {number(ASSUMED_FILES)} LoRA files"
        yield f"no --limit: {files}; {cost}, {takes}{speed}"
    yield "press Ctrl-C to stop at any time; the same command continues"


def preview_lines(found: "Preview", *, rate: float | None) -> Iterator[str]:
    """What a sync would do and cost."""
    listed = "the walk lists" if found.complete else "its first page lists"
    models, files = count(found.models, "model"), count(found.files, "file")
    yield f"{listed} {models} with {files} ({count(found.list_calls, 'list call')})"
    yield f"  {number(found.to_read)} to read, with one counted download each"
    yield f"  {number(found.known)} already known"
    yield f"  {number(found.not_safetensors)} no safetensors or no LoRA by name or type"
    if rate:
        yield f"about {duration(found.to_read / rate)} at {rate:g} requests a second"
    yield "nothing was stored"


def summary_lines(
    tally: "SyncTally", *, where: str, is_whole: bool, api_url: str | None
) -> Iterator[str]:
    """What a sync or a worker did, and a command to try.

    Args:
        tally: At the end of the run.
        where: The database.
        is_whole: It ended by itself.
        api_url: The API; None for `sync --sandbox`.
    """
    done = [f"{count(tally.models, 'model')} listed", count(tally.new_files, "new file")]
    if tally.replaced:
        done.append(f"{number(tally.replaced)} replaced")
    if tally.is_worker:
        done.clear()
    if tally.enqueued is None:
        done.append(f"{count(tally.headers, 'header')} read")
    else:
        done.append(f"{count(tally.enqueued, 'file')} put on the queue")
    yield f"{', '.join(done)} in {duration(tally.seconds)}"
    gone = (tally.gone_models, tally.gone_versions, tally.gone_files)
    if any(gone):
        yield f"gone: {', '.join(map(count, gone, ('model', 'version', 'file')))}"
    pending = {Outcome.PENDING: tally.pending} if tally.pending else {}
    has_fleet = tally.is_worker or tally.enqueued is not None
    site = SANDBOX_REMEDIES if api_url is None else REMEDIES
    remedies = FLEET_REMEDIES if has_fleet else site
    for _, line in outcome_lines({**tally.outcomes, **pending}, remedies):
        yield line
    if tally.is_worker and is_whole and not (tally.outcomes or pending):
        yield hinted(
            "nothing was on the queue; to fill it: lora-crawl sync --enqueue",
            where,
            api_url=api_url,
        )
    downloads = count(tally.counted_downloads, "counted download")
    calls = count(tally.list_calls, "list call")
    yield f"cost: {downloads}, {calls}, {size(tally.bytes_read)} read"
    yield f"database: {visible(redacted(where))}"
    if tally.enqueued is not None:
        yield hinted("fetch them: lora-crawl worker", where, api_url=api_url)
    if tally.headers:
        yield hinted('try: lora-crawl query "network_dim>64"', where)
