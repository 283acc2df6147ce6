"""What the workers of a fleet share, on PostgreSQL: the rate, the budget, pauses, and who works.

Every time is the server's, so that the clocks of the machines need not agree. The one row of `fleet` is
locked for each change, so changes come one after another.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.store.read.fleet import SERVER_TIME
from crawler.store.schema.tables import fleet, workers
from crawler.store.write.crawls import printable

#: Requests a second until somebody gives a rate.
DEFAULT_RATE = 2.0

#: How long a worker may try the site after a pause before another one may: longer than the site takes
#: for an answer, and its storage for a header.
TRY_FOR = timedelta(minutes=2)

#: The first pause after a refusal. Each further one is twice as long, LONGEST_PAUSE at most.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)

#: How far ahead a turn is granted at most. Who would wait longer asks again, so after this time a new rate
#: holds for all, also for those who waited already.
MOST_AHEAD = timedelta(seconds=5)

#: The longest time between two turns, whatever the rate.
LONGEST_STEP = timedelta(days=1)

#: One over a lower rate would be no number.
_LEAST_RATE = 1e-6

#: How long one sleeps before it asks again for a turn that another one may free, or that lies too far
#: ahead: less than MOST_AHEAD, so that no turn is missed.
LOOK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer to the question for a turn.

    Attributes:
        now: The server's time.
        granted: One request may go out when the time has passed; else ask again then.
        wait: The time.
        step: Between two turns of the fleet.
        trying: The others wait until `resume`.
    """

    now: datetime
    granted: bool
    wait: timedelta
    step: timedelta = timedelta(0)
    trying: bool = False


def server_time(connection: sa.Connection) -> datetime:
    """The time of the database server."""
    return connection.execute(sa.select(SERVER_TIME)).scalar_one()


def share(connection: sa.Connection, *, rate: float | None) -> None:
    """Make the row if there is none, and store the rate if one is given, which holds after MOST_AHEAD.

    Raises:
        UsageError: The rate is negative or not finite.
    """
    if rate is not None and not (math.isfinite(rate) and rate >= 0):
        raise UsageError(f"{rate} requests a second is not a rate; 0 means no limit")
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow to import

    row = {"fleet_id": 1, "rate": DEFAULT_RATE, "downloads": 0, "pauses": 0}
    connection.execute(postgresql.insert(fleet).values(row).on_conflict_do_nothing())
    if rate is not None:
        before = _locked(connection)
        following = before.next_request_at
        if following is not None:
            # The next turn is one step of the new rate behind the last one that was granted.
            last = min(following - _step(before.rate), before.now + MOST_AHEAD)
            following = last + _step(rate)
        _update(connection, rate=rate, next_request_at=following)


def begin_budget(connection: sa.Connection, max_downloads: int | None) -> None:
    """All workers together may cost so many more downloads; None means no limit.

    What running workers have reserved before is not among them.
    """
    most = None if max_downloads is None else _locked(connection).downloads + max_downloads
    _update(connection, max_downloads=most)


def reserve(connection: sa.Connection, wanted: int) -> int:
    """Reserve at most so many downloads of the budget; returns how many."""
    row = _locked(connection)
    if row.max_downloads is not None:
        wanted = max(min(wanted, row.max_downloads - row.downloads), 0)
    _update(connection, downloads=row.downloads + wanted)
    return wanted


def give_back(connection: sa.Connection, unused: int) -> None:
    """Give back downloads that were reserved and not used; negative for more than were reserved."""
    _update(connection, downloads=sa.func.greatest(fleet.c.downloads - unused, 0))


def take_turn(connection: sa.Connection, worker_id: int | None) -> Turn:
    """Reserve the next turn at the API, in the caller's transaction.

    None is granted that lies farther ahead than MOST_AHEAD. While the site refuses the workers there is
    none, and afterwards only one worker gets turns until `resume`, or until it has made no request for
    TRY_FOR.

    Args:
        connection: In a short transaction.
        worker_id: Who asks; None for what lists, which no pause concerns.
    """
    row = _locked(connection)
    changes: dict[str, Any] = {}
    if worker_id is not None and row.pause_reason is not None:
        if row.paused_until > row.now:
            return Turn(now=row.now, granted=False, wait=row.paused_until - row.now)
        if row.tried_by not in {None, worker_id} and row.now - row.tried_at < TRY_FOR:
            return Turn(now=row.now, granted=False, wait=LOOK_AGAIN)
        changes = {"tried_by": worker_id, "tried_at": row.now}
    begins = max(row.now, row.next_request_at or row.now, row.held_until or row.now)
    if begins - row.now > MOST_AHEAD:
        return Turn(now=row.now, granted=False, wait=max(begins - row.now - MOST_AHEAD, LOOK_AGAIN))
    step = _step(row.rate)
    _update(connection, next_request_at=begins + step, **changes)
    return Turn(now=row.now, granted=True, wait=begins - row.now, step=step, trying=bool(changes))


def hold_requests(connection: sa.Connection, seconds: float) -> None:
    """Give nobody a turn for so many seconds."""
    row = _locked(connection)
    until = row.now + timedelta(seconds=seconds)
    _update(connection, held_until=max(row.held_until or until, until))


def pause(connection: sa.Connection, reason: str, *, least: timedelta = timedelta(0)) -> datetime:
    """Let all workers wait, since the site refused one; returns until when.

    A refusal while they wait already, of a request that was on its way, changes nothing unless it
    makes them wait longer.

    Args:
        connection: In a short transaction.
        reason: The refusal in words.
        least: The least time to wait.
    """
    row = _locked(connection)
    waits = row.pause_reason is not None and row.paused_until > row.now
    until: datetime = row.paused_until
    if waits and until - row.now >= least:
        return until
    until = row.now + max(least, min(FIRST_PAUSE * 2 ** min(row.pauses, 10), LONGEST_PAUSE))
    _update(
        connection,
        paused_until=until,
        pause_reason=printable(reason),
        pauses=row.pauses + 1,
        tried_by=None,
    )
    return until


def resume(connection: sa.Connection) -> None:
    """Let all workers go on, since one of them has read a file."""
    _update(connection, pause_reason=None, paused_until=None, pauses=0, tried_by=None)


def begin_worker(connection: sa.Connection, *, host: str, pid: int) -> int:
    """Store that a worker begins; returns its number."""
    row = {"host": host, "pid": pid, "started_at": SERVER_TIME, "last_seen_at": SERVER_TIME}
    row |= {"files": 0, "downloads": 0, "standing": 0}
    statement = sa.insert(workers).values(row).returning(workers.c.worker_id)
    return int(connection.execute(statement).scalar_one())


def see_worker(connection: sa.Connection, worker_id: int, *, files: int, downloads: int) -> None:
    """Store that a worker is alive, and what it has done."""
    seen = sa.update(workers).where(workers.c.worker_id == worker_id)
    connection.execute(seen.values(last_seen_at=SERVER_TIME, files=files, downloads=downloads))


def tell_standing(connection: sa.Connection, worker_id: int, standing: int) -> None:
    """Store how many failures of a worker stand, which may be the site's."""
    told = sa.update(workers).where(workers.c.worker_id == worker_id)
    connection.execute(told.values(standing=standing))


def end_worker(connection: sa.Connection, worker_id: int, ending: str) -> None:
    """Store that a worker ended, and why. If it was the one that tries the site, another one may."""
    ended = sa.update(workers).where(workers.c.worker_id == worker_id)
    connection.execute(ended.values(ended_at=SERVER_TIME, ending=printable(ending), standing=0))
    free = sa.update(fleet).where(fleet.c.tried_by == worker_id)
    connection.execute(free.values(tried_by=None))


def others(connection: sa.Connection, worker_id: int, lost_after: timedelta) -> tuple[int, int]:
    """How many other workers are alive, and their files whose failure may be the site's."""
    alive = sa.and_(
        workers.c.worker_id != worker_id,
        workers.c.ended_at.is_(None),
        workers.c.last_seen_at > server_time(connection) - lost_after,
    )
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(workers.c.standing), 0))
    number, standing = connection.execute(counted.where(alive)).one()
    return number, int(standing)


def _step(rate: float) -> timedelta:
    """The time between two turns, rounded up, so that no second has more turns than the rate."""
    if not rate:
        return timedelta()
    return min(timedelta(microseconds=math.ceil(1e6 / max(rate, _LEAST_RATE))), LONGEST_STEP)


def _locked(connection: sa.Connection) -> sa.Row[Any]:
    """The row, which nobody else changes before the end of the transaction, and the time as `now`."""
    row = connection.execute(sa.select(fleet, SERVER_TIME.label("now")).with_for_update())
    return row.one()


def _update(connection: sa.Connection, **values: Any) -> None:
    connection.execute(sa.update(fleet).values(values))
