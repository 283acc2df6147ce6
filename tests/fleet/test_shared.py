"""What the workers share: turns, pauses, the budget."""

import math
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import anyio
import pytest
import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.fleet import turns
from crawler.fleet.turns import SharedTurns
from crawler.store.read.fleet import LOST_AFTER, MAX_WORKERS, RECENT, fleet_state, read_shared
from crawler.store.schema.tables import fleet, workers
from crawler.store.write.fleet import (
    FIRST_PAUSE,
    MOST_AHEAD,
    Turn,
    begin_budget,
    begin_worker,
    end_worker,
    give_back,
    hold_requests,
    others,
    pause,
    reserve,
    resume,
    see_worker,
    server_time,
    share,
    take_turn,
    tell_standing,
)
from crawler.sync.state import WriterThread
from tests.conftest import ON_POSTGRESQL
from tests.factories import NOW
from tests.fleet.conftest import DEADLINE

pytestmark = ON_POSTGRESQL

#: A second holds no whole number of steps of it.
RATE = 30.0
STEP = timedelta(microseconds=33_334)


@pytest.fixture
def shared(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as connection:
        share(connection, rate=RATE)
    return engine


def test_turns_of_several_processes_are_evenly_spaced(shared: sa.Engine) -> None:
    begins: list[datetime] = []

    def take() -> None:
        for _ in range(8):
            with shared.begin() as connection:
                turn = take_turn(connection, 1)
                following = connection.execute(sa.select(fleet.c.next_request_at)).scalar_one()
                begins.append(following - turn.step)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(begins) == 40
    gaps = [later - earlier for earlier, later in pairwise(sorted(begins))]
    assert min(gaps) >= STEP
    assert RATE * min(gaps) >= timedelta(seconds=1)


def test_a_rate_that_was_much_too_low_is_forgotten_but_not_what_the_site_asked(
    shared: sa.Engine,
) -> None:
    with shared.begin() as connection:
        for low in (1e-9, 5e-324):
            first = take_turn(connection, 1)
            share(connection, rate=low)
            turn = take_turn(connection, 2)
            assert (turn.granted, turn.wait > timedelta(hours=23)) == (False, True)
            share(connection, rate=RATE)
            turn = take_turn(connection, 2)
            assert turn.granted
            assert turn.wait <= first.wait + STEP
        wrong = server_time(connection) + timedelta(
            days=1_000
        )  # as a wrong clock of the server makes it
        connection.execute(sa.update(fleet).values(next_request_at=wrong))
        share(connection, rate=RATE)
        assert take_turn(connection, 1).wait <= MOST_AHEAD
        hold_requests(connection, 1_000)
        share(connection, rate=2 * RATE)
        assert take_turn(connection, 1).wait > timedelta(seconds=990)


def test_who_waits_at_a_low_rate_goes_on_when_it_is_raised(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        share(connection, rate=1e-6)

    async def go() -> None:
        waiting = SharedTurns(WriterThread(shared), 1)
        await waiting.take()
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(waiting.take)
                await anyio.sleep(0.1)  # it waits by now
                await waiting.shared_writer.run(lambda connection: share(connection, rate=RATE))

    anyio.run(go)


def test_a_turn_is_not_used_too_early_and_left_unused_when_it_is_late(
    shared: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the API would see the late request and the next one at the same time."""
    second, blink = timedelta(seconds=1), timedelta(milliseconds=1)
    turn = partial(Turn, now=NOW, granted=True, wait=timedelta(seconds=0.4), step=second)
    given = [  # with the seconds that the sleep is late, and the answer
        (turn(), 0.6, 0.0),  # unused
        (turn(granted=False, wait=second), 0.0, 0.0),
        (turn(), -0.001, 0.0),  # waited for once more
        (turn(), 0.4, 0.0),
        (turn(), 0.0, 0.3),
        (turn(), 0.0, 1.0),  # unused: the answer came after the next turn
        (turn(wait=timedelta(seconds=0.6)), 0.0, 0.0),  # unused: the look for a pause took long
        (turn(step=blink), 0.003, 0.0),  # unused
        (turn(step=blink), 0.001, 0.0),
        (turn(step=timedelta(0)), 9.0, 0.0),  # there is no rate
    ]
    now, late, used = 0.0, 0.0, list[float]()

    def give(_connection: sa.Connection, _worker_id: int | None) -> Turn:
        nonlocal now, late
        turn, late, answer = given.pop(0)
        asked = now
        now += answer
        return replace(turn, now=NOW + timedelta(seconds=asked))

    def look_slowly(_connection: sa.Connection) -> bool:
        nonlocal now
        now += 0.7
        return False

    async def sleep(seconds: float) -> None:
        nonlocal now, late
        now, late = now + seconds + late, 0.0

    async def go() -> None:
        shared_turns = SharedTurns(WriterThread(shared), 1)
        while given:
            await shared_turns.take()
            used.append(now)

    monkeypatch.setattr(turns, "LOOK_AGAIN", 5.0)
    monkeypatch.setattr(turns, "take_turn", give)
    monkeypatch.setattr(turns, "_has_begun_a_pause", look_slowly)
    monkeypatch.setattr(turns, "monotonic", lambda: now)
    monkeypatch.setattr(anyio, "sleep", sleep)
    anyio.run(go)

    assert used == pytest.approx([2.4, 3.2, 3.6, 6.704, 16.104])


def test_a_turn_waits_for_those_before_it_and_for_what_the_site_asked(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        first, second = take_turn(connection, 1), take_turn(connection, 2)
        assert (first.granted, first.trying, first.step) == (True, False, STEP)
        assert first.wait <= timedelta(0) < second.wait <= first.step
        hold_requests(connection, 100)
        hold_requests(connection, 1)
        for who in (1, None):
            turn = take_turn(connection, who)
            assert not turn.granted
            assert timedelta(seconds=99) < turn.wait + MOST_AHEAD <= timedelta(seconds=101)


def test_without_a_limit_nobody_waits(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        share(connection, rate=0)
        assert take_turn(connection, 1).wait <= timedelta(0)
        assert take_turn(connection, 1).wait <= timedelta(0)


def test_a_rate_stays_until_another_is_given(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for given, stored in ((None, 2.0), (5.0, 5.0), (None, 5.0), (0.0, 0.0)):
            share(connection, rate=given)
            found = read_shared(connection)
            assert found is not None
            assert found.rate == stored
        for wrong in (-1.0, math.inf, math.nan):
            with pytest.raises(UsageError):
                share(connection, rate=wrong)


def test_after_a_pause_one_tries_first_and_the_others_when_it_has_read_a_file(
    shared: sa.Engine,
) -> None:
    with shared.begin() as connection:
        until = pause(connection, "refused")
        assert until == pause(connection, "refused too")
        waits = [take_turn(connection, worker) for worker in (1, 2)]
        assert [turn.granted for turn in waits] == [False, False]
        assert min(turn.wait for turn in waits) > FIRST_PAUSE / 2
        assert take_turn(connection, None).granted  # the list is no file
        past = server_time(connection) - timedelta(seconds=1)
        connection.execute(sa.update(fleet).values(paused_until=past))

        tries = take_turn(connection, 2)
        assert (tries.granted, tries.trying) == (True, True)
        assert not take_turn(connection, 1).granted
        assert take_turn(connection, 2).granted

        long_ago = past - timedelta(hours=1)
        connection.execute(sa.update(fleet).values(tried_at=long_ago))
        assert take_turn(connection, 1).trying  # the other one is stuck
        resume(connection)
        turn = take_turn(connection, 2)
        assert (turn.granted, turn.trying) == (True, False)


def test_pauses_in_a_row_grow_and_a_quota_lasts_a_day(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        lengths = []
        for _ in range(9):
            length = pause(connection, "no") - server_time(connection)
            lengths.append(round(length / timedelta(minutes=1)))
            past = server_time(connection) - timedelta(seconds=1)
            connection.execute(sa.update(fleet).values(paused_until=past))
        assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        resume(connection)
        short = pause(connection, "no")
        day = pause(connection, "quota", least=timedelta(days=1))
        assert day - short > timedelta(hours=23)
        assert pause(connection, "no") == day


def test_no_more_downloads_are_reserved_than_there_are(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        assert reserve(connection, 32) == 32
        begin_budget(connection, 40)
        assert [reserve(connection, 32) for _ in range(3)] == [32, 8, 0]
        give_back(connection, 5)
        assert reserve(connection, 32) == 5
        begin_budget(connection, None)
        assert reserve(connection, 32) == 32


def test_workers_are_alive_while_they_are_heard_of(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        first, second, third = (begin_worker(connection, host="h", pid=n) for n in range(3))
        see_worker(connection, second, files=5, downloads=4)
        tell_standing(connection, second, 3)
        assert others(connection, first, LOST_AFTER) == (2, 3)
        assert others(connection, second, LOST_AFTER) == (2, 0)
        end_worker(connection, third, "done\x1b[31m")
        assert others(connection, first, timedelta(0)) == (0, 0)
        # Whatever the clock of the machine that looks.
        found = fleet_state(connection, datetime(2040, 1, 1, tzinfo=UTC))
        assert found is not None
        assert [(one.worker_id, one.files) for one in found.workers] == [(second, 5), (first, 0)]
        assert all(one.is_alive(found.now) for one in found.workers)
        assert not any(one.is_alive(found.now + LOST_AFTER) for one in found.workers)
        assert (found.alive, found.lost) == (2, 0)
        assert found.waiting is None  # there is no queue yet


def test_more_workers_are_counted_than_shown(shared: sa.Engine) -> None:
    with shared.begin() as connection:
        ids = [begin_worker(connection, host="h", pid=n) for n in range(MAX_WORKERS + 6)]
        for worker_id, ago in zip(ids, (LOST_AFTER, LOST_AFTER, RECENT), strict=False):
            lost = workers.update().where(workers.c.worker_id == worker_id)
            connection.execute(lost.values(last_seen_at=server_time(connection) - ago))
        found = fleet_state(connection, datetime(2000, 1, 1, tzinfo=UTC))
    assert found is not None
    assert (found.alive, found.lost, len(found.workers)) == (MAX_WORKERS + 3, 2, MAX_WORKERS)
