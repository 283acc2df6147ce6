import asyncio
import re
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from crawler.errors import UsageError
from crawler.http import RequestError, Waits
from crawler.http.retry import even_turns, pause, retry_after, with_retries


class FastSelector(selectors.DefaultSelector):
    """Takes a wait for done, and remembers how long it would have been; looking costs 1 µs."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passed += (timeout or 0.0) + 1e-6
        return super().select(0)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves as if nothing took any time but waiting."""

    def __init__(self) -> None:
        self.clock = FastSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return 1000.0 + self.clock.passed


def run(scenario: Coroutine[object, object, list[float]]) -> list[float]:
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(scenario)


async def times_of(rate: float, count: int, tasks: int) -> list[float]:
    turn = even_turns(rate)
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def take() -> None:
        while len(times) < count:
            await turn()
            times.append(loop.time())

    await asyncio.gather(*(take() for _ in range(tasks)))
    return times[:count]


@pytest.mark.parametrize("rate", [0.5, 1, 2, 7, 25, 300])
def test_turns_are_evenly_spaced_however_many_ask(rate: float) -> None:
    times = run(times_of(rate, 100, 16))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 0.999 / rate
    assert max(gaps) <= 1.05 / rate
    busiest = max(sum(start <= at < start + 1 for at in times) for start in times)
    assert busiest <= rate + 1


def test_a_turn_that_is_taken_late_does_not_delay_the_others() -> None:
    async def scenario() -> list[float]:
        turn = even_turns(50)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        times = []

        async def take() -> None:
            await turn()
            times.append(loop.time())
            loop.clock.passed += 0.015  # the loop is busy with other work

        await asyncio.gather(*(take() for _ in range(101)))
        return times

    times = run(scenario())
    assert times[-1] - times[0] == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("rate", [0.5, 2, 7, 50])
def test_turns_that_a_busy_loop_makes_late_do_not_come_at_once(rate: float) -> None:
    async def scenario() -> list[float]:
        turn = even_turns(rate)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        times = []

        async def take() -> None:
            await turn()
            times.append(loop.time())
            if len(times) % 40 == 0:
                loop.clock.passed += 1.7

        await asyncio.gather(*(take() for _ in range(200)))
        return times

    times = run(scenario())
    busiest = max(sum(start <= at < start + 1 for at in times) for start in times)
    assert busiest <= rate + 1


def test_a_pause_saves_up_no_turns() -> None:
    async def scenario() -> list[float]:
        turn = even_turns(10)
        await turn()
        await asyncio.sleep(60)
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(12):
            await turn()
            times.append(loop.time())
        return times

    times = run(scenario())
    assert times[-1] - times[0] >= 1.09


def test_a_rate_of_zero_never_waits() -> None:
    times = run(times_of(0, 50, 1))
    assert times[-1] - times[0] < 0.001


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
def test_a_senseless_rate_is_a_usage_error(rate: float) -> None:
    with pytest.raises(UsageError):
        even_turns(rate)


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("2", 2),
        (" 120 ", 120),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 5000, 999_999_999),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds


def test_pauses_grow_from_one_to_thirty_seconds() -> None:
    waits = Waits()
    for failures, least, most in [(1, 1, 2), (2, 2, 4), (4, 8, 16), (5, 15, 30), (99, 15, 30)]:
        drawn = {pause(waits, failures, None) for _ in range(50)}
        assert least <= min(drawn) <= max(drawn) <= most
        assert len(drawn) > 1


def test_what_the_server_asks_for_is_waited_up_to_a_cap() -> None:
    assert 2 <= pause(Waits(), 1, 2.0) <= 3
    assert 300 <= pause(Waits(), 1, 86_400.0) <= 301


def test_tries_end_with_the_last_error_or_at_once_when_they_are_of_no_use() -> None:
    async def scenario(*, again: bool) -> list[float]:
        loop = asyncio.get_running_loop()
        times = []

        async def once() -> None:
            times.append(loop.time())
            raise RequestError("no", again=again)

        with pytest.raises(RequestError):
            await with_retries(once, tries=4, waits=Waits())
        return times

    times = run(scenario(again=True))
    assert len(times) == 4
    assert 7 <= times[-1] - times[0] <= 14
    assert len(run(scenario(again=False))) == 1


def test_answers_that_take_too_long_are_told_and_tried_for_two_minutes_in_all() -> None:
    told: list[str] = []

    async def scenario() -> list[float]:
        async def once() -> None:
            await asyncio.sleep(35)
            raise RequestError("too slow", after=50)

        begin = asyncio.get_running_loop().time()
        with pytest.raises(RequestError):
            await with_retries(once, tries=9, waits=Waits(), patience=100, tell=told.append)
        return [asyncio.get_running_loop().time() - begin]

    # Waits that the server asks for do not count.
    assert run(scenario()) == [pytest.approx(3 * 35 + 2 * 50.5, abs=1.1)]
    assert [re.sub("5[01] s", "50 s", line) for line in told] == [
        "too slow; trying again in 50 s (2 of 9)",
        "too slow; trying again in 50 s (3 of 9)",
    ]


def tried(*troubles: Exception, waits: Waits) -> tuple[object, list[float]]:
    """The result of four tries that meet these errors before a success, and the pauses between them."""
    left = list(troubles)
    got: list[object] = []

    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        times: list[float] = []

        async def once() -> str:
            times.append(loop.time())
            if left:
                raise left.pop(0)
            return "done"

        try:
            got.append(await with_retries(once, tries=4, waits=waits))
        except (RequestError, ValueError) as error:
            got.append(error)
        return [later - earlier for earlier, later in pairwise(times)]

    slept = run(scenario())
    return got[0], slept


def test_between_tries_goes_the_pause_that_the_last_answer_asks_for() -> None:
    waits = Waits(shortest=0, longest=0, longest_asked=60)
    passing = [RequestError("busy", after=after) for after in (7.0, None, 3600.0)]
    got, slept = tried(*passing, waits=waits)
    assert got == "done"
    assert slept == pytest.approx([7, 0, 60], abs=0.001)


BUSY = RequestError("busy")
REFUSED = RequestError("no", again=False)
LAST = RequestError("still busy")
OTHER = ValueError("of our own making")


@pytest.mark.parametrize(
    "troubles", [(OTHER,), (BUSY, OTHER), (BUSY, REFUSED), (BUSY, BUSY, BUSY, LAST, OTHER)]
)
def test_the_error_that_ends_the_tries_is_raised_itself(troubles: tuple[Exception, ...]) -> None:
    got, slept = tried(*troubles, waits=Waits(shortest=0, longest=0))
    assert got is troubles[min(len(troubles), 4) - 1]
    assert len(slept) == min(len(troubles), 4) - 1
