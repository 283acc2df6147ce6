"""Ask the site for the models that a general pass did not list: they may only have become mature.

They are asked for by their ids, a page at a time, and that the site has them is stored as it comes. So a
run that is stopped continues there. Only what these lists do not show is asked for one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crawler.errors import SiteError, UnreachableError
from crawler.model import Model
from crawler.sources.base import PAGE_MODELS
from crawler.store.write.removed_models import FEW_GONE, Unseen, mark_listed
from crawler.sync.state import RunState


@dataclass(slots=True)
class Asked:
    """What the site does not have any more, by its answers.

    Attributes:
        models: At most FEW_GONE.
        versions: Those of `models` included.
        stopped: The run stopped before all unseen models were asked for.
    """

    models: list[int]
    versions: list[int]
    stopped: bool = False


async def ask_for_unseen(state: RunState, unseen: Unseen, now: datetime) -> Asked:
    """Ask for all models with versions that a general pass did not list.

    Raises:
        UnreachableError: There is no connection to the site.
    """
    asked = Asked([], [])
    try:
        missing = await _ask_for_pages(state, unseen, asked, now)
        await _ask_one_by_one(state, unseen, asked, missing, now)
    except UnreachableError:
        raise
    except SiteError as error:
        # The pass must end anyway. Models that were not asked for are not marked.
        state.tally.notices.append(
            f"unknown whether some models are gone that the list lacks: {error.url} {error.cause}"
        )
    if len(asked.models) > FEW_GONE:
        state.tally.notices.append(
            f"the site answers that {len(asked.models)} known models and perhaps more do not exist."
            " That is too many to be believed without a list of all models, so none was marked as gone."
            " sync --nsfw --refresh reads that list."
        )
        asked.models.clear()
    asked.versions += [one for model_id in asked.models for one in unseen.versions[model_id]]
    return asked


async def _ask_for_pages(
    state: RunState, unseen: Unseen, asked: Asked, now: datetime
) -> Sequence[int]:
    """Ask for many models at once; returns those that the site does not list."""
    ids = sorted(unseen.versions)
    missing: list[int] = []
    for start in range(0, len(ids), PAGE_MODELS):
        if state.list_is_closed:
            asked.stopped = True
            break
        some = ids[start : start + PAGE_MODELS]
        found = await state.source.models_by_id(some)
        await _keep(state, unseen, asked, found, now)
        missing += sorted(set(some) - {model.model_id for model in found})
    return missing


async def _ask_one_by_one(
    state: RunState, unseen: Unseen, asked: Asked, missing: Sequence[int], now: datetime
) -> None:
    for model_id in missing:
        if state.list_is_closed:
            asked.stopped = True
        if asked.stopped or len(asked.models) > FEW_GONE:
            return
        model = await state.source.model(model_id)
        if model is None:
            asked.models.append(model_id)
        await _keep(state, unseen, asked, () if model is None else (model,), now)


async def _keep(
    state: RunState, unseen: Unseen, asked: Asked, found: Sequence[Model], now: datetime
) -> None:
    state.tally.list_calls += 1
    if found:
        await state.writer.run(lambda connection: mark_listed(connection, found, now))
    for model in found:
        listed = {version.version_id for version in model.versions}
        known = unseen.versions.get(model.model_id, ())
        asked.versions += [one for one in known if one not in listed]
