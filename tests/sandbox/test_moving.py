"""A catalogue that changes while it is read, and a cache in front of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

import httpx
import pytest

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sandbox.entries import Sort, Stock
from crawler.sandbox.listing import answer
from crawler.sandbox.questions import read_question
from crawler.sandbox.ranking import Ranking
from crawler.sandbox.world import World
from tests.sandbox.asking import ORIGIN, ids, pages

# pages in place of weights: thousands of them are listed in no time
QUICK = Faults(html_body=1.0)
MOVING = replace(QUICK, moves=0.1)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, headers={"User-Agent": "test/1"}) as client:
        yield client


def walk(world: World, query: str) -> Iterator[dict[str, object]]:
    """Every model of a walk during which the clock goes on."""
    cursor = ""
    while True:
        view = world.list_call(None)
        pairs = [*parse_qsl(query), *([("cursor", cursor)] if cursor else [])]
        body = answer(view, read_question(pairs, logged_in=False), pairs, ORIGIN).body
        yield from body["items"]
        if "nextCursor" not in body["metadata"]:
            return
        cursor = body["metadata"]["nextCursor"]


def files(items: Iterator[dict[str, object]]) -> set[int]:
    return {
        file["id"]
        for item in items
        for version in item["modelVersions"]  # type: ignore[attr-defined]
        for file in version["files"]
    }


def order(stock: Stock, sort: Sort, tick: int) -> list[int]:
    return list(Ranking(stock).rows(sort, 0, tick=tick))


def test_a_walk_by_oldest_meets_what_moves_and_ends_with_the_truth() -> None:
    catalogue = Catalogue(2_000, faults=MOVING)
    world = World(catalogue, 0)
    items = list(walk(world, "sort=Oldest"))
    seen = Counter(item["id"] for item in items)
    assert len(seen) == 2_000
    moved = {catalogue.traits(index).model_id for index in catalogue.restless}
    assert len(moved) == 200
    twice = {model_id for model_id, times in seen.items() if times == 2}
    assert twice
    assert twice <= moved, "only what moved comes again"
    assert files(iter(items)) == catalogue.truth().keys()
    assert world.tick > catalogue.settled_after


def test_a_model_moves_once_and_stays_at_the_end() -> None:
    catalogue = Catalogue(1_000, faults=MOVING)
    before, after = order(catalogue, Sort.OLDEST, -1), order(catalogue, Sort.OLDEST, 5)
    assert before == list(range(1_000))
    assert sorted(after) == before
    assert set(after[900:]) == catalogue.restless
    assert order(catalogue, Sort.NEWEST, 5) == after[::-1]
    assert order(catalogue, Sort.OLDEST, 10**9) == after
    for index in catalogue.restless:
        one, more = catalogue.item(index, "", -1), catalogue.item(index, "", 5)
        assert more["modelVersions"][1:] == [
            {**version, "index": number}
            for number, version in enumerate(one["modelVersions"], start=1)
        ]
        assert catalogue.last_version_at(index, -1) < catalogue.last_version_at(index)


def test_orders_by_statistics_repeat_and_miss_while_they_drift() -> None:
    catalogue = Catalogue(4_000, faults=replace(QUICK, drift=0.5))
    seen = Counter(item["id"] for item in walk(World(catalogue, 0), "sort=Most Downloaded"))
    assert max(seen.values()) > 1
    assert len(seen) < 4_000
    settled = ids(*pages(catalogue, "sort=Most+Downloaded"))
    assert sorted(settled) == [catalogue.traits(index).model_id for index in range(4_000)]
    for sort in Sort:
        assert sorted(order(catalogue, sort, 7)) == list(range(4_000))


def test_a_ranking_with_restless_models_is_sorted_from_every_floor() -> None:
    catalogue = Catalogue(300, faults=Faults(moves=0.2, drift=0.2, ties=0.2))
    ranking = Ranking(catalogue)
    for sort in Sort:
        rows = list(ranking.rows(sort, 0, tick=1))
        for place in (1, 100, 299):
            floor = ranking.floor(sort, ranking.cursor(sort, rows[place], 1))
            following = list(ranking.rows(sort, floor, tick=1))
            if sort is Sort.NEWEST:  # which loses the row that its cursor names
                assert following == rows[place + 1 :]
            else:
                assert following[-len(rows[place:]) :] == rows[place:]
                assert len(following) <= len(rows[place:]) + 2, "at most a tie comes again"


def test_the_same_requests_meet_the_same_moves() -> None:
    walks = [
        [item["id"] for item in walk(World(Catalogue(800, seed, MOVING), 0), "sort=Oldest")]
        for seed in (1, 1, 2)
    ]
    assert walks[0] == walks[1] != walks[2]


def test_nothing_moves_in_a_small_catalogue_or_behind_the_first_ticks() -> None:
    small = Catalogue(150, faults=MOVING)
    assert small.settled_after == 0
    assert order(small, Sort.OLDEST, 0) == order(small, Sort.OLDEST, 9)


def test_the_edge_answers_the_earlier_page_unless_a_key_is_sent(client: httpx.Client) -> None:
    catalogue = Catalogue(1_000, faults=replace(QUICK, moves=1.0, edge_cache=20))
    with Sandbox(catalogue) as sandbox:
        url = f"{sandbox.url}/api/v1/models?sort=Oldest&limit=100"
        key = {"Authorization": f"Bearer {sandbox.key}"}
        first = client.get(url)
        for _call in range(8):
            client.get(url, headers=key)
        again, fresh = client.get(url), client.get(url, headers=key)
        assert again.json() == first.json() != fresh.json()
        assert "age" not in first.headers
        assert again.headers["age"] == "9"
        assert "age" not in fresh.headers
        assert client.get(f"{url}&page=1").json()["items"] == fresh.json()["items"]
        for _call in range(10):
            client.get(url, headers=key)
        assert client.get(url).json() == fresh.json(), "the page became too old"
        assert sandbox.counters.injected == {"edge_cache": 1}


def test_a_deploy_makes_one_cursor_worthless(client: httpx.Client) -> None:
    with Sandbox(Catalogue(50, faults=Faults(deploy_at=3))) as sandbox:
        url = f"{sandbox.url}/api/v1/models?sort=Oldest&limit=10"
        after = f"{url}&cursor=" + client.get(url).json()["metadata"]["nextCursor"]
        assert client.get(after).status_code == 200
        assert client.get(url).status_code == 200
        refused = client.get(after)
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("Invalid cursor: expected")
        assert client.get(after).status_code == 200
        assert sandbox.counters.injected == {"deploy_at": 1}
