"""What the site does not have any more, known at the end of a lap through all that it lists.

Two maturity passes show everything, so what they did not meet is gone. What a single pass did not meet
again may have become mature and be in the other one: the site is asked for each such model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crawler.errors import SiteError, UnreachableError
from crawler.model.walk import CursorState
from crawler.store.write import writes
from crawler.store.write.removed_models import Gone, Missed
from crawler.sync.state import RunState
from crawler.sync.walk import Step


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
