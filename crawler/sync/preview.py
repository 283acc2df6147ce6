"""Find out what a sync would request and cost, without storing anything."""

from dataclasses import dataclass

from crawler.model import Model, Outcome
from crawler.safetensors.sniff import why_not_safetensors
from crawler.sources.base import Source
from crawler.store.read.status import outcomes_of
from crawler.sync.run import start_of, utc_now
from crawler.sync.state import Plan, WriterThread
from crawler.sync.walk import begin, steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The listed models, and how many of their files a sync would read.

    Attributes:
        complete: Everything that the sync would list was listed, not only its first page.
        list_calls: Requests for this; a sync makes them again.
        files: Of the listed models.
        not_safetensors: Of these, not safetensors by their name, so never requested.
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
    """
    walk = plan.walk
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
    outcomes: dict[int, Outcome] = {}
    if writer is not None:
        outcomes = await writer.run(lambda connection: outcomes_of(connection, list(files)))
    usable = [
        file_id
        for file_id, file in files.items()
        if why_not_safetensors(file.name, file.format) is None
    ]
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
