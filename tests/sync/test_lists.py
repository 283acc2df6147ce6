"""A list that stands still is stepped over, and nothing of it is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import CursorError, SiteError
from crawler.model import LORA_TYPES, Fetched, ListQuery, Model, Order, Page, Target, Version
from crawler.sources.base import PAGE_MODELS
from crawler.sync.lists import CountedSource, Stretch, follow

PAGE = 3

BASES = ("Pony", "SDXL 1.0", "Wan Video")

OLDEST = ListQuery(order=Order.OLDEST)

#: More list calls than any of these catalogues needs.
ENDLESS = 1_000


@dataclass(frozen=True)
class Listed:
    """A model where the site keeps it."""

    model_id: int
    time: int
    type: str = "LORA"
    base: str = "Pony"

    def model(self) -> Model:
        version = Version(version_id=self.model_id, name="v1", base_model=self.base, body={})
        return Model(model_id=self.model_id, name="", type=self.type, versions=(version,), body={})


@dataclass
class Shop:
    """A site with Civitai's cursors: `oldest` goes on at a time, another order at a model."""

    listed: Sequence[Listed]
    known_bases: tuple[str, ...] = BASES
    circles: bool = False
    origin: str = "http://shop.invalid"
    asked: list[tuple[ListQuery, str | None]] = field(default_factory=list)

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        self.asked.append((ask, cursor))
        assert len(self.asked) < ENDLESS
        found = [one for one in self.listed if one.type in ask.types]
        found = [one for one in found if not ask.base_models or one.base in ask.base_models]
        by_time = ask.order is Order.OLDEST
        found.sort(key=lambda one: (one.time if by_time else 0, one.model_id))
        time, first = (int(part) for part in (cursor or "0|0").split("|"))
        if by_time:
            found = [one for one in found if one.time >= time]
        elif not self.circles:
            found = [one for one in found if one.model_id >= first]
        size = min(PAGE, limit)
        left = found[size : size + 1]
        following = f"{left[0].time}|{left[0].model_id}" if left else None
        models = tuple(one.model() for one in found[:size])
        return Page(models=models, next_cursor=following)

    async def model(self, model_id: int) -> Model | None:
        raise AssertionError(model_id)

    def hurry(self) -> None:
        raise AssertionError

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        raise AssertionError(model_ids)

    async def tags(self, text: str) -> tuple[str, ...]:
        raise AssertionError(text)

    async def base_models(self) -> tuple[str, ...]:
        return self.known_bases

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        raise AssertionError((target, renew))


def followed(shop: Shop, ask: ListQuery = OLDEST, cursor: str | None = None) -> list[Stretch]:
    async def collect() -> list[Stretch]:
        return [stretch async for stretch in follow(CountedSource(shop), ask, cursor)]

    return anyio.run(collect)


def ids(stretches: list[Stretch]) -> list[int]:
    return [model.model_id for stretch in stretches for model in stretch.models]


catalogues = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(LORA_TYPES), st.sampled_from(BASES)), max_size=30
).map(lambda rows: [Listed(number, *row) for number, row in enumerate(rows, start=1)])


@given(catalogues, st.sampled_from([BASES, ()]))
def test_every_model_of_any_catalogue_is_met_and_the_list_ends(
    listed: list[Listed], known_bases: tuple[str, ...]
) -> None:
    found = followed(Shop(listed, known_bases))

    assert set(ids(found)) == {one.model_id for one in listed}
    assert found[-1].ended


@given(catalogues)
def test_a_list_cut_off_anywhere_is_gone_on_with(listed: list[Listed]) -> None:
    whole = followed(Shop(listed))

    for number, stretch in enumerate(whole[:-1], start=1):
        before = ids(whole[:number])
        after = ids(followed(Shop(listed), cursor=stretch.behind))
        assert {*before, *after} == {one.model_id for one in listed}


def test_a_block_is_stepped_over_by_type_and_the_list_goes_on_behind_it() -> None:
    block = [Listed(number, 5, LORA_TYPES[number % 3]) for number in range(10, 19)]
    behind = [Listed(number, number) for number in range(30, 60)]
    shop = Shop([Listed(1, 1), *block, *behind])

    found = followed(shop)

    assert set(ids(found)) == {one.model_id for one in shop.listed}
    # The list of all types is what reads on behind the block: the others end soon after it.
    far = [ask for ask, cursor in shop.asked if int((cursor or "0|0").partition("|")[0]) > 40]
    assert {ask.types for ask in far} == {LORA_TYPES}


def test_while_a_block_is_read_the_list_stays_in_front_of_it() -> None:
    block = [Listed(number, 5, LORA_TYPES[number % 2]) for number in range(10, 16)]
    shop = Shop([Listed(1, 1), *block, Listed(90, 9)])

    found = followed(shop)

    before = [stretch for stretch in found if stretch.detour]
    assert before
    assert {(stretch.at, stretch.behind, stretch.ended) for stretch in before} == {
        (before[0].at, before[0].at, False)
    }
    behind = found[found.index(before[-1]) + 1]
    assert behind.behind == "9|90"


def test_a_block_of_one_type_is_read_by_base_model() -> None:
    block = [Listed(number, 5, base=BASES[number % 3]) for number in range(10, 18)]
    shop = Shop([*block, Listed(90, 9)])

    assert set(ids(followed(shop, replace(OLDEST, types=("LORA",))))) == {*range(10, 18), 90}
    assert {ask.base_models for ask, _ in shop.asked} >= {(base,) for base in BASES}


def test_a_block_in_a_narrower_list_does_not_end_the_way_around_too_early() -> None:
    # LoCon stands still too, and the model that tells "far enough" is met on the way around that.
    block = [Listed(number, 1) for number in (1, 2, 3)]
    narrower = [Listed(4, 1, "LoCon"), *(Listed(n, 1, "LoCon", "SDXL 1.0") for n in (5, 6, 7))]
    behind = [Listed(8, 2, "LoCon", "SDXL 1.0"), Listed(9, 3), Listed(10, 3, "LoCon")]

    found = followed(Shop([*block, *narrower, *behind]))

    assert set(ids(found)) == set(range(1, 11))


def test_a_block_that_nothing_narrows_is_read_in_another_order() -> None:
    shop = Shop([*(Listed(number, 5) for number in range(10, 30)), Listed(90, 9)])
    narrow = ListQuery(order=Order.OLDEST, types=("LORA",), base_models=("Pony",))

    found = followed(shop, narrow)

    assert set(ids(found)) == {*range(10, 30), 90}
    assert found[-1].ended


def test_where_no_order_gets_past_a_block_it_is_said_and_the_models_met_are_kept() -> None:
    shop = Shop([Listed(number, 5) for number in range(10, 30)], known_bases=(), circles=True)
    met: list[int] = []

    async def collect() -> None:
        async for stretch in follow(CountedSource(shop), OLDEST, None):
            met.extend(model.model_id for model in stretch.models)

    with pytest.raises(SiteError, match="goes in a circle") as caught:
        anyio.run(collect)

    assert {10, 11, 12} <= set(met)
    assert caught.value.exit_code == 4


@dataclass
class Changing(Shop):
    """A site that changes the form of its cursors while a list is read, `changes` times."""

    changes: int = 1

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        if self.changes and cursor and cursor >= "5":
            self.changes -= 1
            raise CursorError(self.origin, "Invalid cursor: expected 3 value(s), received 2")
        return await super().page(ask, cursor, limit=limit)


@pytest.mark.parametrize("cursor", [None, "4|4"])
def test_a_list_starts_again_once_when_its_cursors_are_refused(cursor: str | None) -> None:
    shop = Changing([Listed(number, number) for number in range(1, 9)])
    found = followed(shop, cursor=cursor)
    assert set(ids(found)) == set(range(1, 9))
    assert found[-1].ended

    for_good = Changing(shop.listed, changes=ENDLESS)
    with pytest.raises(CursorError, match="expected 3"):
        followed(for_good, cursor=cursor)
    assert len(for_good.asked) < 2 * len(shop.listed)
