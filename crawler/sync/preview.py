"""What a sync would ask and cost, found out without storing anything."""

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.model import File, Model, Outcome
from crawler.safetensors.sniff import why_not_safetensors
from crawler.sources.base import Source
from crawler.store.read.status import outcomes_of
from crawler.sync.plan import Plan
from crawler.sync.run import utc_now, where_it_stands
from crawler.sync.state import WriterThread
from crawler.sync.walk import begin, steps


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


async def look_ahead(source: Source, writer: WriterThread | None, plan: Plan) -> Preview:
    """List what a sync would list, if that has an end in sight, else the first page.

    Args:
        source: An open source.
        writer: The database as it is; None when there is none yet.
        plan: What the sync would do.

    Raises:
        SiteError: The site is in trouble or refuses us.
    """
    walk = plan.walk
    ends = walk.limit is not None or bool(walk.model_ids)
    if writer is None:
        (begun, _), seen = begin(walk, {}, 0), set[int]()
    else:
        begun, seen = await writer.run(
            lambda connection: where_it_stands(
                connection, walk, refresh=plan.refresh, now=utc_now()
            )
        )
    models: dict[int, Model] = {}
    calls = 0
    async for step in steps(source, walk, begun, seen):
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
    if writer is not None:
        outcomes = await writer.run(lambda connection: outcomes_of(connection, list(files)))
    return _counted(files, outcomes, complete=ends, list_calls=calls, models=len(models))


def _counted(
    files: Mapping[int, File],
    outcomes: Mapping[int, Outcome],
    *,
    complete: bool,
    list_calls: int,
    models: int,
) -> Preview:
    other = {
        file_id
        for file_id, file in files.items()
        if why_not_safetensors(file.name, file.format) is not None
    }
    to_read = sum(
        file_id not in other and outcomes.get(file_id, Outcome.PENDING) is Outcome.PENDING
        for file_id in files
    )
    return Preview(
        complete=complete,
        list_calls=list_calls,
        models=models,
        files=len(files),
        not_safetensors=len(other),
        known=len(files) - len(other) - to_read,
        to_read=to_read,
    )
