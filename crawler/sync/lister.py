"""The lister: store page after page, and mark what the site no longer lists.

Each page is stored with its cursor in one transaction. The transaction of a complete pass's last page
also marks the models, versions and files that are gone. After a pass without `--nsfw` the site is first
asked for the missing models: they may only have moved to the other maturity pass.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from crawler.errors import CursorError, SiteError
from crawler.model.catalogue import CursorState
from crawler.store.connect.database import Connection
from crawler.store.write.catalogue import Stored, store_page
from crawler.store.write.removed_models import Marked, Unseen, find_unseen, mark_gone, mark_unseen
from crawler.sync.state import RunState
from crawler.sync.unseen import Asked, ask_for_unseen
from crawler.sync.walk import Step, steps

#: Said when the order `oldest` does not list everything.
UNDATED = (
    "the list ends with models without a date, which the order oldest does not show; the first sync and"
    " --refresh find them in the order most-downloaded, as --order most-downloaded does"
)

#: Places of a list left out that a message names.
MOST_NAMED = 5

#: The site's name in the database.
_SITE = "civitai"


@dataclass(frozen=True, slots=True)
class PassEnd:
    """A complete pass; it ends when its last step is stored.

    Attributes:
        since: When it began.
        unseen: What the general pass did not list; None if both maturity passes were read.
        asked: What the site does not have of it; None if that was not asked.
    """

    since: datetime
    unseen: Unseen | None = None
    asked: Asked | None = None


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
                if ended is not None and ended.asked is not None and ended.asked.stopped:
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
        if state.left_out:
            state.list_trouble = _left_out(state)
        state.tally.listing = False
        state.wakeup.notify()


def _left_out(state: RunState) -> SiteError:
    clauses = state.left_out[:MOST_NAMED]
    if more := len(state.left_out) - len(clauses):
        clauses.append(f"and so on, {more} more times")
    before = "" if state.list_trouble is None else f"{state.list_trouble}\n"
    advice = "It was left out, and the list was read on. Nothing is marked as gone for that."
    return SiteError(state.source.origin, "; ".join(clauses), before + advice)


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
    return PassEnd(since, unseen, await ask_for_unseen(state, unseen, _now(state, since)))


def _now(state: RunState, since: datetime) -> datetime:
    """The time, but not before a pass began: a clock set back must not make models look unseen."""
    return max(state.clock(), since)


async def _store(
    state: RunState, step: Step, begun: Mapping[str, CursorState], ended: PassEnd | None
) -> None:
    plan = state.plan
    cursors = step.cursors
    if ended is not None:
        # A run that continues from the end of a pass does not list everything since its start.
        cursors = {name: replace(one, began_at=None) for name, one in cursors.items()}
    starts = [one.began_at for one in begun.values() if one.began_at is not None]
    now = _now(state, max(starts, default=state.clock()))

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
    tally.add_listed(stored)
    tally.models += step.distinct
    tally.list_calls += step.list_calls
    tally.add_troubles(step.unreadable)
    state.left_out += step.left_out
    if step.undated:
        tally.notices.append(UNDATED)
    if marked is not None:
        tally.add_gone(marked)
    if state.listed is not None:
        await state.listed([model.model_id for model in step.models])
    state.wakeup.notify()


def _mark(connection: Connection, ended: PassEnd, *, now: datetime) -> Marked:
    if ended.unseen is None:
        return mark_unseen(connection, site=_SITE, since=ended.since, now=now)
    if ended.asked is None:
        return Marked(ended.unseen.missing, believed=False)
    asked = ended.asked
    return Marked(mark_gone(connection, asked.models, asked.versions, now), believed=True)
