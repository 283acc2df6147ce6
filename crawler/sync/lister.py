"""The first stage: page after page into the database."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from crawler.errors import CursorError, SiteError, UnreachableError
from crawler.model.catalogue import CursorState
from crawler.store.write import writes
from crawler.store.write.catalogue import Stored
from crawler.store.write.removed_models import Gone, Missed
from crawler.sync.state import RunState
from crawler.sync.walk import Step, steps


@dataclass(frozen=True, slots=True)
class LapEnd:
    """A lap that is complete once its last step is stored.

    Attributes:
        since: When it began.
        missed: What its only pass did not meet; None when it had both.
        models: Those of them that the site does not have.
        versions: The versions that it does not have, those of `models` among them.
        asked: It was asked for every one, and not stopped before.
    """

    since: datetime
    missed: Missed | None = None
    models: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    asked: bool = True


async def end_of_lap(state: RunState, step: Step) -> LapEnd | None:
    """The lap that ends with a step, which is not stored yet; None when it goes on.

    Raises:
        UnreachableError: There is no connection to the site.
    """
    walk = state.plan.walk
    since = _complete_since(step.cursors) if walk.is_whole else None
    if since is None:
        return None
    if walk.nsfw:
        return LapEnd(since)
    missed = await state.ledger.run(
        lambda connection: writes.missed(
            connection, walk=walk.key, since=since, listed=step.models
        )
    )  # fmt: skip
    if not missed.believed:
        return LapEnd(since, missed)
    models: list[int] = []
    versions: list[int] = []
    for model_id, were_there in missed.versions.items():
        if state.list_is_closed:
            return LapEnd(since, missed, asked=False)
        try:
            model = await state.source.model(model_id)
        except UnreachableError:
            raise
        except SiteError as error:
            # An odd answer must not keep the lap from its end for ever: nothing is said of these.
            state.tally.notices.append(
                f"whether {model_id} and others are gone was not told: {error.url} {error.cause}"
            )
            break
        state.tally.list_calls += 1
        there = () if model is None else tuple(one.version_id for one in model.versions)
        versions += [version_id for version_id in were_there if version_id not in there]
        if model is None:
            models.append(model_id)
    return LapEnd(since, missed, tuple(models), tuple(versions))


def store_gone(connection: writes.Connection, lap: LapEnd, *, site: str, now: datetime) -> Gone:
    """Mark what is gone, in the transaction that stores the lap's last step."""
    if lap.missed is None:
        return writes.note_gone(connection, site=site, since=lap.since, now=now)
    if not lap.missed.believed:
        return Gone(lap.missed.models, believed=False)
    writes.note_vanished(connection, lap.models, lap.versions, now)
    return Gone(len(lap.models), believed=True)


def _complete_since(cursors: Mapping[str, CursorState]) -> datetime | None:
    """When the lap began that has met everything; None when it has not, or nobody knows."""
    began = [one.began_at for one in cursors.values() if one.ended]
    known = [moment for moment in began if moment is not None]
    return min(known) if len(known) == len(cursors) else None


async def list_catalogue(state: RunState, begun: Mapping[str, CursorState], seen: set[int]) -> None:
    """Store page after page.

    Args:
        state: Of the run.
        begun: The cursors to begin with, by pass.
        seen: The models that this lap has met.
    """
    try:
        async with aclosing(steps(state.source, state.plan.walk, begun, seen)) as walking:
            async for step in walking:
                lap = await end_of_lap(state, step)
                if lap is not None and not lap.asked:
                    # Not stored, the last page is read again by the next run, which asks then.
                    return
                await _store(state, step, begun, lap)
                if state.list_is_closed:
                    return
    except CursorError as error:
        state.list_trouble = error
    except SiteError as error:
        state.stop_for(error)
    finally:
        state.tally.listing = False
        state.bell.ring()


async def _store(
    state: RunState, step: Step, begun: Mapping[str, CursorState], lap: LapEnd | None
) -> None:
    stored, gone = await state.ledger.run(
        lambda connection: _write(connection, state, step, begun, lap)
    )  # fmt: skip
    tally = state.tally
    tally.add_listed(stored.new, stored.replaced)
    tally.models += step.distinct
    tally.list_calls += step.list_calls
    tally.add_unreadable(step.unreadable)
    if gone is not None:
        tally.add_gone(gone.models, believed=gone.believed)
    state.bell.ring()


def _write(
    connection: writes.Connection,
    state: RunState,
    step: Step,
    begun: Mapping[str, CursorState],
    lap: LapEnd | None,
) -> tuple[Stored, Gone | None]:
    plan = state.plan
    cursors = step.cursors
    if lap is not None:
        # Whoever asks again from the end of a lap has not met everything since it began.
        cursors = {name: replace(one, began_at=None) for name, one in cursors.items()}
    stored = writes.store_page(
        connection,
        step.models,
        site=plan.site,
        origin=plan.origin or state.source.origin,
        walk=plan.walk.key,
        lap=max((one.lap for one in begun.values()), default=1),
        cursors=cursors,
        primary_only=plan.walk.primary_only,
        now=_seen_at(state.clock(), begun),
    )
    if lap is None:
        return stored, None
    return stored, store_gone(connection, lap, site=plan.site, now=state.clock())


def _seen_at(now: datetime, begun: Mapping[str, CursorState]) -> datetime:
    """Now, but never before the lap began: a clock that was set back must not hide what was seen."""
    return max([now, *(one.began_at for one in begun.values() if one.began_at is not None)])
