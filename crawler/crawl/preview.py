"""What a sync would ask and cost, found out without storing anything."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crawler.crawl.ledger import Ledger
from crawler.crawl.plan import Plan
from crawler.crawl.walk import begin, steps
from crawler.model import File, Model, Outcome
from crawler.model.walk import CursorState
from crawler.sources.base import Source
from crawler.store import reads, writes
from crawler.store.file_names import is_safetensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What was listed to find it out, and what of it would be read.

    Attributes:
        complete: Everything that the walk would list was listed; otherwise only its first page.
        list_calls: Requests that this took; a sync takes them again.
        files: Of the listed models, by name or not.
        not_safetensors: Of these, recorded by their name and never requested.
        known: Of these, read before or refused for good.
        to_read: Of these, one counted download each.
    """

    complete: bool
    list_calls: int
    models: int
    files: int
    not_safetensors: int
    known: int
    to_read: int


async def look_ahead(source: Source, ledger: Ledger | None, plan: Plan) -> Preview:
    """List what a sync would list, if that has an end in sight, else the first page.

    Args:
        source: An open source.
        ledger: The database as it is; None when there is none yet.
        plan: What the sync would do.

    Raises:
        SiteError: The site is in trouble or refuses us.
    """
    walk = plan.walk
    ends = walk.limit is not None or bool(walk.model_ids)
    stored: Mapping[str, CursorState] = {}
    seen: set[int] = set()
    if ledger is not None:
        stored, seen = await ledger.run(lambda connection: writes.read_walk(connection, walk.key))
    begun, anew = begin(walk, stored, len(seen))
    models: dict[int, Model] = {}
    calls = 0
    async for step in steps(source, walk, begun, set() if anew else seen):
        models |= {model.model_id: model for model in step.models}
        calls += step.list_calls
        if not ends:
            break
    files = {
        file.file_id: file
        for model in models.values()
        for version in model.versions
        for file in version.files
        if file.is_primary or not walk.primary_only
    }
    outcomes: Mapping[int, Outcome] = {}
    if ledger is not None:
        outcomes = await ledger.run(lambda connection: reads.outcomes_of(connection, list(files)))
    return _counted(files, outcomes, complete=ends, list_calls=calls, models=len(models))


def _counted(
    files: Mapping[int, File],
    outcomes: Mapping[int, Outcome],
    *,
    complete: bool,
    list_calls: int,
    models: int,
) -> Preview:
    other = sum(not is_safetensors(file) for file in files.values())
    to_read = sum(
        is_safetensors(file) and outcomes.get(file_id, Outcome.PENDING) is Outcome.PENDING
        for file_id, file in files.items()
    )
    return Preview(
        complete=complete,
        list_calls=list_calls,
        models=models,
        files=len(files),
        not_safetensors=other,
        known=len(files) - other - to_read,
        to_read=to_read,
    )
