"""The first stage: page after page into the database."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from crawler.errors import CursorError, SiteError
from crawler.model.walk import CursorState
from crawler.store.write import writes
from crawler.store.write.files import Stored
from crawler.store.write.removed_models import Gone
from crawler.sync.removed_models import LapEnd, end_of_lap, store_gone
from crawler.sync.state import RunState
from crawler.sync.walk import Step, steps


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
