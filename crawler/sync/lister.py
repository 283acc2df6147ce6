"""The first stage: page after page into the database."""

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


@dataclass(frozen=True, slots=True)
class PassEnd:
    """A pass that is complete once its last step is stored.

    Attributes:
        since: When it began.
        missed: What its only pass did not meet; None when it had both.
        models: Those of them that the site does not have.
        versions: The versions that it does not have, those of `models` among them.
        asked: It was asked for every one, and not stopped before.
    """

    since: datetime
    missed: Unseen | None = None
    models: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    asked: bool = True


async def end_of_pass(state: RunState, step: Step) -> PassEnd | None:
    """The pass that ends with a step, which is not stored yet; None when it goes on.

    Raises:
        UnreachableError: There is no connection to the site.
    """
    walk = state.plan.walk
    since = _complete_since(step.cursors) if walk.is_whole else None
    if since is None:
        return None
    if walk.nsfw:
        return PassEnd(since)
    missed = await state.writer.run(
        lambda connection: find_unseen(
            connection, walk=walk.key, since=since, listed=step.models
        )
    )  # fmt: skip
    if not missed.believed:
        return PassEnd(since, missed)
    models: list[int] = []
    versions: list[int] = []
    for model_id, were_there in missed.versions.items():
        if state.list_is_closed:
            return PassEnd(since, missed, asked=False)
        try:
            model = await state.source.model(model_id)
        except UnreachableError:
            raise
        except SiteError as error:
            # An odd answer must not keep the pass from its end for ever: nothing is said of these.
            state.tally.notices.append(
                f"whether {model_id} and others are gone was not told: {error.url} {error.cause}"
            )
            break
        state.tally.list_calls += 1
        there = () if model is None else tuple(one.version_id for one in model.versions)
        versions += [version_id for version_id in were_there if version_id not in there]
        if model is None:
            models.append(model_id)
    return PassEnd(since, missed, tuple(models), tuple(versions))


def store_gone(connection: Connection, ended: PassEnd, *, site: str, now: datetime) -> Marked:
    """Mark what is gone, in the transaction that stores the pass's last step."""
    if ended.missed is None:
        return mark_unseen(connection, site=site, since=ended.since, now=now)
    if not ended.missed.believed:
        return Marked(ended.missed.models, believed=False)
    mark_gone(connection, ended.models, ended.versions, now)
    return Marked(len(ended.models), believed=True)


def _complete_since(cursors: Mapping[str, CursorState]) -> datetime | None:
    """When the pass began that has met everything; None when it has not, or nobody knows."""
    began = [one.began_at for one in cursors.values() if one.ended]
    known = [moment for moment in began if moment is not None]
    return min(known) if len(known) == len(cursors) else None


async def list_catalogue(state: RunState, begun: Mapping[str, CursorState], seen: set[int]) -> None:
    """Store page after page.

    Args:
        state: Of the run.
        begun: The cursors to begin with, by pass.
        seen: The models that this pass has met.
    """
    try:
        async with aclosing(steps(state.source, state.plan.walk, begun, seen)) as walking:
            async for step in walking:
                ended = await end_of_pass(state, step)
                if ended is not None and not ended.asked:
                    # Not stored, the last page is read again by the next run, which asks then.
                    return
                await _store(state, step, begun, ended)
                if state.list_is_closed:
                    return
    except CursorError as error:
        state.list_trouble = error
    except SiteError as error:
        state.stop_for(error)
    finally:
        state.tally.listing = False
        state.wakeup.notify()


async def _store(
    state: RunState, step: Step, begun: Mapping[str, CursorState], ended: PassEnd | None
) -> None:
    stored, gone = await state.writer.run(
        lambda connection: _write(connection, state, step, begun, ended)
    )  # fmt: skip
    tally = state.tally
    tally.add_listed(stored.new, stored.replaced)
    tally.models += step.distinct
    tally.list_calls += step.list_calls
    tally.add_troubles(step.unreadable)
    if gone is not None:
        tally.add_gone(gone.models, believed=gone.believed)
    state.wakeup.notify()


def _write(
    connection: Connection,
    state: RunState,
    step: Step,
    begun: Mapping[str, CursorState],
    ended: PassEnd | None,
) -> tuple[Stored, Marked | None]:
    plan = state.plan
    cursors = step.cursors
    if ended is not None:
        # Whoever asks again from the end of a pass has not met everything since it began.
        cursors = {name: replace(one, began_at=None) for name, one in cursors.items()}
    stored = store_page(
        connection,
        step.models,
        site=plan.site,
        origin=plan.origin or state.source.origin,
        walk=plan.walk.key,
        pass_number=max((one.pass_number for one in begun.values()), default=1),
        cursors=cursors,
        primary_only=plan.walk.primary_only,
        now=_seen_at(state.clock(), begun),
    )
    if ended is None:
        return stored, None
    return stored, store_gone(connection, ended, site=plan.site, now=state.clock())


def _seen_at(now: datetime, begun: Mapping[str, CursorState]) -> datetime:
    """Now, but never before the pass began: a clock that was set back must not hide what was seen."""
    return max([now, *(one.began_at for one in begun.values() if one.began_at is not None)])
