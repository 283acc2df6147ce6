"""Unknown filters are refused before anything is listed."""

from typing import Any

import anyio
import pytest

from crawler.errors import UsageError
from crawler.model import ListQuery, Model, Order, Page
from crawler.sources.base import PAGE_MODELS
from crawler.sync.filters import checked
from tests.factories import make_model
from tests.sync.dated import Dated, every_minute


class Shop(Dated):
    """Models of one base model; `hidden` is a tag that its models do not show, others filter nothing."""

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        del cursor, limit
        if ask.base_models not in ((), ("Secret Base",)):
            return Page(models=(), next_cursor=None)
        numbers = [5] if ask.tag == "hidden" else [1, 2, 5]
        return Page(models=tuple(map(self.model_at, numbers)), next_cursor=None)

    def model_at(self, number: int) -> Model:
        return make_model(number, tags=("Style", "stone"))


def check(base_names: Any = ("Pony", "SDXL 1.0"), **changes: Any) -> ListQuery:
    site = Shop(every_minute(5), base_names=base_names, tag_names=("stylish", "woods"))
    return anyio.run(checked, site, ListQuery(order=Order.OLDEST, **changes))


def test_known_filters_pass_and_base_models_get_the_spelling_of_the_site() -> None:
    assert check(base_models=("pony", "PONY")).base_models == ("Pony",)
    assert check(base_models=("Secret Base",)).base_models == ("Secret Base",)
    for tag in ("style", "hidden", "Woods"):
        assert check(tag=tag).tag == tag


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_models": ("Pony", "Poni")}, "no base model 'Poni'; did you mean Pony?"),
        ({"base_models": ("SDXL",)}, "no base model 'SDXL'; did you mean SDXL 1.0?"),
        ({"base_models": ("Pony V9",), "base_names": ()}, "no base model 'Pony V9'$"),
        (
            {"base_models": ("Pony,SDXL 1.0",)},
            "no base model 'Pony,SDXL 1.0'; did you mean Pony or SDXL 1.0",
        ),
        ({"tag": "styl"}, "no tag 'styl'; did you mean Style or stylish"),
        ({"tag": "1234567890"}, "no tag '1234567890'$"),
    ],
)
def test_unknown_filters_are_refused_with_the_nearest_names(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check(**changes)
