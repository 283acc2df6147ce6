"""The lister: store page after page, and mark what the site no longer lists.

Each page is stored with its cursor in one transaction. The transaction of a complete pass's last page
also marks the models, versions and files that are gone. After a pass without `--nsfw` the missing
models are requested one by one first: they may only have moved to the other maturity pass.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from crawler.errors import CursorError, SiteError, UnreachableError
from crawler.model.catalogue import CursorState
from crawler.store.connect.database import Connection
from crawler.store.write.catalogue import Stored, store_page
from crawler.store.write.removed_models import Marked, Unseen, find_unseen, mark_gone, mark_unseen
from crawler.sync.state import RunState
from crawler.sync.walk import Step, steps

#: The site's name in the database.
_SITE = "civitai"


@dataclass(frozen=True, slots=True)
class PassEnd:
    """A complete pass; it ends when its last step is stored.

    Attributes:
        since: When it began.
        unseen: Models that the general pass did not list; None if both maturity passes were read.
        models: Those of them that the site does not have.
        versions: The versions that it does not have, those of `models` included.
        asked: False when the run stopped before all of them were requested.
    """

    since: datetime
    unseen: Unseen | None = None
    models: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    asked: bool = True


async def list_catalogue(state: RunState, begun: Mapping[str, CursorState], seen: set[int]) -> None:
    """Store page after page until the walk is complete or the run stops.

    Args:
        state: The run.
        begun: The starting cursors, by maturity pass.
        seen: The models that this pass has listed.
    """
    try:
        async with aclosing(steps(state.source, state.plan.walk, begun, seen)) as walking:
            async for step in walking:
                ended = await _pass_end(state, step)
                if ended is not None and not ended.asked:
                    # The next run reads the last page again, because it is not stored, and asks then.
                    return
                await _store(state, step, begun, ended)
                if state.list_is_closed:
                    return
    except CursorError as error:
        state.list_trouble = error
    except SiteError as error:
        # An interrupted request says nothing of the site.
        if not state.stop.is_set():
            state.stop_for(error)
    finally:
        state.tally.listing = False
        state.wakeup.notify()


async def _pass_end(state: RunState, step: Step) -> PassEnd | None:
    """The whole pass that ends with this step; None when it continues.

    Raises:
        UnreachableError: There is no connection to the site.
    """
    walk = state.plan.walk
    ended = [one.began_at for one in step.cursors.values() if one.ended]
    began = [moment for moment in ended if moment is not None]
    if not walk.is_whole or len(began) < len(step.cursors):
        return None
    since = min(began)
    if walk.nsfw:
        return PassEnd(since)
    unseen = await state.writer.run(
        lambda connection: find_unseen(
            connection, walk=walk.key, since=since, listed=step.models
        )
    )  # fmt: skip
    if not unseen.believed:
        return PassEnd(since, unseen)
    models: list[int] = []
    versions: list[int] = []
    for model_id, known in unseen.versions.items():
        if state.list_is_closed:
            return PassEnd(since, unseen, asked=False)
        try:
            model = await state.source.model(model_id)
        except UnreachableError:
            raise
        except SiteError as error:
            # The pass must end anyway. Models that were not requested are not marked.
            state.tally.notices.append(
                f"unknown whether model {model_id} and others are gone: {error.url} {error.cause}"
            )
            break
        state.tally.list_calls += 1
        listed = () if model is None else tuple(one.version_id for one in model.versions)
        versions += [version_id for version_id in known if version_id not in listed]
        if model is None:
            models.append(model_id)
    return PassEnd(since, unseen, tuple(models), tuple(versions))


async def _store(
    state: RunState, step: Step, begun: Mapping[str, CursorState], ended: PassEnd | None
) -> None:
    plan = state.plan
    cursors = step.cursors
    if ended is not None:
        # A run that continues from the end of a pass does not list everything since its start.
        cursors = {name: replace(one, began_at=None) for name, one in cursors.items()}
    starts = [one.began_at for one in begun.values() if one.began_at is not None]
    # Never before the pass began: a clock that was set back must not make models look unseen.
    now = max([state.clock(), *starts])

    def write(connection: Connection) -> tuple[Stored, Marked | None]:
        stored = store_page(
            connection,
            step.models,
            site=_SITE,
            origin=plan.origin or state.source.origin,
            walk=plan.walk.key,
            pass_number=max((one.pass_number for one in begun.values()), default=1),
            cursors=cursors,
            primary_only=plan.walk.primary_only,
            now=now,
        )
        return stored, None if ended is None else _mark(connection, ended, now=now)

    stored, marked = await state.writer.run(write)
    tally = state.tally
    tally.add_listed(stored.new, stored.replaced)
    tally.models += step.distinct
    tally.list_calls += step.list_calls
    tally.add_troubles(step.unreadable)
    if marked is not None:
        tally.add_gone(marked.models, believed=marked.believed)
    state.wakeup.notify()


def _mark(connection: Connection, ended: PassEnd, *, now: datetime) -> Marked:
    if ended.unseen is None:
        return mark_unseen(connection, site=_SITE, since=ended.since, now=now)
    if not ended.unseen.believed:
        return Marked(ended.unseen.models, believed=False)
    mark_gone(connection, ended.models, ended.versions, now)
    return Marked(len(ended.models), believed=True)
