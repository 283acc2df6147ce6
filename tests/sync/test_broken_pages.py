"""A page that the site fails to give is read without the model that breaks it."""

from collections.abc import Collection

import anyio
import pytest

from crawler.errors import ReplyError
from crawler.model import ListQuery, Order
from crawler.sync.lists import CountedSource, Stretch, follow
from tests.sync.dated import Dated, every_minute

COUNT = 330


def followed(site: Dated, order: Order = Order.OLDEST) -> list[Stretch]:
    async def collect() -> list[Stretch]:
        return [one async for one in follow(CountedSource(site), ListQuery(order=order), None)]

    return anyio.run(collect)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({150}, ["model 150"]),
        ({120, 180}, ["model 120", "model 180"]),  # two on one page
        ({101}, ["model 101"]),  # the first one of a page
        ({200}, ["model 200"]),  # the last one of a page
        ({1}, ["the first model of the list"]),
        ({330}, ["model 330"]),  # the last one of the list
        ({140, 141, 142}, ["model 140"]),  # in a row, of which only the first is known by name
    ],
)
def test_the_models_that_break_a_page_are_named_and_all_others_listed(
    broken: Collection[int],
    named: list[str],
    exact: bool,  # noqa: FBT001 - a table of cases
) -> None:
    site = Dated(every_minute(COUNT), broken, exact=exact)

    found = followed(site)

    listed = {model.model_id for stretch in found for model in stretch.models}
    assert listed == set(range(1, COUNT + 1)) - set(broken)
    said = [clause for stretch in found for clause in stretch.left_out]
    assert [name for name, clause in zip(named, said, strict=True) if name not in clause] == []
    assert all("answers 500: no file" in clause for clause in said)
    assert found[-1].ended
    assert len(site.asked) < 120


def test_the_way_around_a_model_holds_in_other_orders_too() -> None:
    found = followed(Dated(every_minute(250), {120}), Order.MOST_DOWNLOADED)

    listed = {model.model_id for stretch in found for model in stretch.models}
    assert listed == set(range(1, 251)) - {120}


@pytest.mark.parametrize(
    "site",
    [
        Dated(every_minute(COUNT), range(1, COUNT + 1)),  # nothing is given
        Dated(every_minute(COUNT), {150}, opaque=True),  # no place after the model is known
        # A week of models is a fault of the list, not of these models.
        Dated(
            {n: when for n, when in every_minute(20_000).items() if n % 60 == 0},
            range(6_000, 16_000),
        ),
    ],
)
def test_a_list_that_cannot_be_given_stays_an_error(site: Dated) -> None:
    with pytest.raises(ReplyError, match="answers 500"):
        followed(site)
