"""What the site shows late: a walk goes back before its last cursor, and finds models without a time."""

from collections.abc import Mapping
from datetime import timedelta

import anyio
import pytest

from crawler.errors import CursorError
from crawler.model import ListQuery, Order, Page
from crawler.model.catalogue import CursorState
from crawler.sources.base import PAGE_MODELS
from crawler.sync.lists import MOST_BARREN_PAGES, CountedSource, Stretch, follow
from crawler.sync.walk import Step, Walk, begin, steps
from tests.sync.dated import START, Dated, at, every_minute

WALK = Walk(ask=ListQuery(order=Order.OLDEST))

HOURS = 60


def walked(
    site: Dated, stored: Mapping[str, CursorState] | None = None, *, most: int | None = None
) -> list[Step]:
    async def collect() -> list[Step]:
        begun, _ = begin(WALK, stored or {}, 0, now=START)
        found: list[Step] = []
        async for step in steps(site, WALK, begun, set()):
            found.append(step)
            if len(found) == most:
                break
        return found

    return anyio.run(collect)


def ids(found: list[Step]) -> set[int]:
    return {model.model_id for step in found for model in step.models}


def hourly(count: int) -> Dated:
    return Dated({number: at(number * HOURS) for number in range(1, count + 1)})


@pytest.mark.parametrize("opaque", [False, True])
def test_what_appears_up_to_two_days_late_is_met_by_the_next_run(*, opaque: bool) -> None:
    site = hourly(500)
    site.opaque = opaque
    first = walked(site)
    site.times |= {900: at(453.5 * HOURS), 901: at(501 * HOURS)}
    site.asked.clear()

    second = walked(site, first[-1].cursors)

    assert {900, 901} <= ids(second)
    assert len(ids(second)) < 250
    assert len(site.asked) <= 3


def test_a_run_that_is_stopped_in_the_overlap_does_not_fall_back() -> None:
    site = Dated({number: at(number * 10) for number in range(1, 801)})
    held = walked(site)[-1].cursors["general"].cursor
    state: Mapping[str, CursorState] = {
        "general": CursorState(cursor=held, pass_number=1, ended=True)
    }
    for _ in range(3):
        state = walked(site, state, most=1)[-1].cursors
        assert state["general"].cursor == held


def test_an_interrupted_walk_goes_back_too() -> None:
    site = hourly(500)
    stopped = walked(site, most=3)[-1].cursors
    site.times[900] = at(260.5 * HOURS)

    assert 900 in ids(walked(site, stopped))


def test_models_without_a_time_are_found_in_another_order_once_a_pass() -> None:
    undated = dict.fromkeys(range(301, 500))
    site = Dated({**every_minute(250), **undated})

    first = walked(site)
    site.asked.clear()
    resumed = {"general": CursorState(cursor="2026-01-01 02:00:00|1", pass_number=1, ended=True)}
    second = walked(site, resumed)

    assert ids(first) == set(site.times)
    assert [step.undated for step in (first[-1], second[-1])] == [True, True]
    assert first[-1].cursors["general"].ended
    assert {order for order, _, _ in site.asked} == {Order.OLDEST}


class Endless(Dated):
    """Gives pages without models for ever."""

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        self.asked.append((ask.order, cursor, limit))
        return Page(models=(), next_cursor=f"word{len(self.asked)}")


class Again(Dated):
    """Gives three pages again and again, each time with another cursor."""

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        self.asked.append((ask.order, cursor, limit))
        number = len(self.asked)
        return Page(models=(self.model_at(number % 3 + 1),), next_cursor=f"word{number}")


class Ring(Dated):
    """Three pages, the last of which leads to the first."""

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        self.asked.append((ask.order, cursor, limit))
        number = int(cursor or 1)
        return Page(models=(self.model_at(number),), next_cursor=str(number % 3 + 1))


@pytest.mark.parametrize(
    ("site", "order", "words", "met", "most"),
    [
        (Endless({}), Order.OLDEST, "without a new model", set[int](), MOST_BARREN_PAGES),
        (Again(every_minute(3)), Order.HIGHEST_RATED, "new", {1, 2, 3}, MOST_BARREN_PAGES + 3),
        (Ring(every_minute(3)), Order.MOST_DOWNLOADED, "goes in a circle", {1, 2, 3}, 4),
        (Ring(every_minute(3)), Order.OLDEST, "goes in a circle", {1, 2, 3}, 20),
    ],
)
def test_a_list_without_an_end_stops_after_what_it_listed_and_names_other_orders(
    site: Dated, order: Order, words: str, met: set[int], most: int
) -> None:
    found: list[Stretch] = []

    async def collect() -> None:
        async for stretch in follow(CountedSource(site), ListQuery(order=order), None):
            found.append(stretch)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(CursorError, match=words) as caught:
        anyio.run(collect)

    assert {model.model_id for stretch in found for model in stretch.models} == met
    assert "--order " in caught.value.advice
    assert len(site.asked) <= most


def test_the_overlap_is_two_days() -> None:
    site = hourly(500)
    cursor = "2026-01-21 00:00:00|480"

    walked(site, {"general": CursorState(cursor=cursor, pass_number=1, ended=True)})

    back = START + timedelta(days=18)
    assert site.asked[0][1] == f"{back:%Y-%m-%d %H:%M:%S}.000|480"
