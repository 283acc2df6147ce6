"""The order of a walk, its limit, and where it goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio
import pytest

from crawler.errors import SiteError
from crawler.model import Fetched, ListQuery, Model, Order, Page, Target
from crawler.model.catalogue import CursorState
from crawler.sources.base import PAGE_MODELS
from crawler.sync.walk import Step, Walk, begin, steps

BY_DOWNLOADS = ListQuery(order=Order.MOST_DOWNLOADED)
OLDEST = ListQuery(order=Order.OLDEST)


def model(model_id: int, downloads: int | None = 0) -> Model:
    return Model(model_id=model_id, name=f"model {model_id}", downloads=downloads, body={})


@dataclass
class Shelf:
    """A source whose two passes are plain lists of pages."""

    general: Sequence[Sequence[Model]]
    mature: Sequence[Sequence[Model]] = ()
    circle: bool = False
    asked: list[tuple[bool, str | None]] = field(default_factory=list)
    origin: str = "http://shelf.invalid"

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        assert limit == PAGE_MODELS
        self.asked.append((ask.mature, cursor))
        pages = self.mature if ask.mature else self.general
        number = int(cursor or 0)
        last = number + 1 >= len(pages)
        following = "0" if last and self.circle else None if last else str(number + 1)
        return Page(models=tuple(pages[number]) if pages else (), next_cursor=following)

    async def model(self, model_id: int) -> Model | None:
        return next((m for page in self.general for m in page if m.model_id == model_id), None)

    def hurry(self) -> None:
        raise AssertionError

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        raise AssertionError(model_ids)

    async def tags(self, text: str) -> tuple[str, ...]:
        raise AssertionError(text)

    async def base_models(self) -> tuple[str, ...]:
        return ()

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        raise AssertionError(f"a walk reads no file: {target}, {renew}")


def walked(
    shelf: Shelf,
    walk: Walk,
    stored: Mapping[str, CursorState] | None = None,
    seen: set[int] | None = None,
) -> list[Step]:
    async def collect() -> list[Step]:
        begun, anew = begin(walk, stored or {}, len(seen or ()))
        met = set() if anew else set(seen or ())
        return [step async for step in steps(shelf, walk, begun, met)]

    return anyio.run(collect)


def ids(found: list[Step]) -> list[int]:
    return [one.model_id for step in found for one in step.models]


def test_a_page_is_one_step_with_the_cursor_behind_it() -> None:
    found = walked(Shelf([[model(1), model(2)], [model(3)]]), Walk(ask=OLDEST))

    assert [[one.model_id for one in step.models] for step in found] == [[1, 2], [3]]
    assert found[0].cursors == {"general": CursorState(cursor="1", pass_number=1, ended=False)}
    assert found[0].list_calls == 1


def test_the_end_is_a_missing_cursor_and_the_last_page_is_kept() -> None:
    found = walked(Shelf([[model(1)], [model(2)]]), Walk(ask=OLDEST))

    assert found[-1].cursors == {"general": CursorState(cursor="1", pass_number=1, ended=True)}


def test_empty_pages_are_passed_and_their_cursors_stored() -> None:
    found = walked(Shelf([[], [], [model(7)]]), Walk(ask=OLDEST))

    assert ids(found) == [7]
    assert [step.cursors["general"].cursor for step in found] == ["1", "2", "2"]


def test_an_empty_catalogue_ends_at_once() -> None:
    found = walked(Shelf([[]]), Walk(ask=OLDEST))

    assert ids(found) == []
    assert found[-1].cursors["general"].ended


def test_a_limit_ends_inside_a_page_and_keeps_that_page() -> None:
    shelf = Shelf([[model(1), model(2)], [model(3), model(4)]])

    found = walked(shelf, Walk(ask=OLDEST, limit=3))

    assert ids(found) == [1, 2, 3]
    assert found[-1].cursors["general"] == CursorState(cursor="1", pass_number=1, ended=False)


def test_a_limit_counts_distinct_models() -> None:
    shelf = Shelf([[model(1), model(2)], [model(2), model(3)]])

    assert ids(walked(shelf, Walk(ask=OLDEST, limit=3))) == [1, 2, 2, 3]


def test_both_passes_are_merged_in_the_order_of_the_walk() -> None:
    shelf = Shelf(
        general=[[model(1, 90), model(2, 50)], [model(3, 10)]],
        mature=[[model(4, 70), model(1, 60)], [model(5, 20)]],
    )

    found = walked(shelf, Walk(ask=BY_DOWNLOADS, nsfw=True))

    assert ids(found) == [1, 4, 1, 2, 5, 3]


def test_a_limit_over_both_passes_takes_the_first_of_the_union() -> None:
    shelf = Shelf(
        general=[[model(1, 90), model(2, 50), model(3, 10)]],
        mature=[[model(4, 70), model(5, 60), model(6, 5)]],
    )

    found = walked(shelf, Walk(ask=BY_DOWNLOADS, nsfw=True, limit=3))

    assert ids(found) == [1, 4, 5]
    assert {name: state.cursor for name, state in found[-1].cursors.items()} == {
        "general": None,
        "mature": None,
    }


def test_hidden_statistics_do_not_move_a_model_forward() -> None:
    shelf = Shelf(general=[[model(1, 90), model(2, None), model(3, 40)]], mature=[[model(4, 80)]])

    found = walked(shelf, Walk(ask=BY_DOWNLOADS, nsfw=True))

    assert ids(found) == [1, 2, 4, 3]


def test_an_interrupted_walk_goes_on_at_its_cursor() -> None:
    shelf = Shelf([[model(1)], [model(2)], [model(3)]])
    walk = Walk(ask=OLDEST)
    first = walked(shelf, walk)[0]

    found = walked(shelf, walk, stored=first.cursors, seen={1})

    assert ids(found) == [2, 3]


def test_a_finished_oldest_walk_asks_again_from_its_last_page() -> None:
    walk = Walk(ask=OLDEST)
    before = walked(Shelf([[model(1)], [model(2)]]), walk)[-1].cursors
    grown = Shelf([[model(1)], [model(2), model(3)], [model(4)]])

    found = walked(grown, walk, stored=before, seen={1, 2})

    assert ids(found) == [2, 3, 4]
    assert grown.asked == [(False, "1"), (False, "2")]
    assert found[-1].cursors["general"].pass_number == 1


@pytest.mark.parametrize("ask", [BY_DOWNLOADS, replace(OLDEST, search="marble")])
def test_a_finished_walk_that_does_not_grow_at_its_end_begins_a_new_lap(ask: ListQuery) -> None:
    shelf = Shelf([[model(1)], [model(2)]])
    walk = Walk(ask=ask)
    before = walked(shelf, walk)[-1].cursors

    found = walked(shelf, walk, stored=before, seen={1, 2})

    assert ids(found) == [1, 2]
    assert found[-1].cursors["general"].pass_number == 2


def test_a_limit_that_was_reached_is_walked_anew_and_a_higher_one_goes_on() -> None:
    shelf = Shelf([[model(1), model(2)], [model(3), model(4)]])
    walk = Walk(ask=BY_DOWNLOADS, limit=2)
    before = walked(shelf, walk)[-1].cursors

    again = walked(shelf, walk, stored=before, seen={1, 2})
    further = walked(shelf, replace(walk, limit=3), stored=before, seen={1, 2})

    assert ids(again) == [1, 2]
    assert ids(further) == [3]


def test_a_cursor_that_comes_back_is_an_error_and_no_endless_loop() -> None:
    shelf = Shelf([[model(1)], [model(2)]], circle=True)

    with pytest.raises(SiteError, match="goes in a circle"):
        walked(
            shelf,
            Walk(ask=OLDEST),
            stored={"general": CursorState(cursor="0", pass_number=1, ended=False)},
        )


def test_models_by_id_are_asked_one_by_one_and_missing_ones_said() -> None:
    found = walked(Shelf([[model(5)]]), Walk(ask=OLDEST, model_ids=(5, 6)))

    assert ids(found) == [5]
    assert found[1].unreadable == ("the site has no model 6",)


def test_the_key_of_a_walk_is_what_it_asks_for_not_how_far() -> None:
    walk = Walk(ask=OLDEST, limit=5)

    assert walk.key == replace(walk, limit=9).key
    assert walk.key != replace(walk, nsfw=True).key
    assert walk.key != replace(walk, ask=replace(OLDEST, base_models=("Pony",))).key
    assert (
        replace(walk, ask=replace(OLDEST, base_models=("A", "B"))).key
        == replace(walk, ask=replace(OLDEST, base_models=("B", "A"))).key
    )
