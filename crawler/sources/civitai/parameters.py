"""A question to the catalogue as Civitai's list takes it."""

from collections.abc import Iterable

from crawler.decode import clean
from crawler.errors import UsageError
from crawler.model import Ask, Order

#: Models on one page, the most that the site gives.
PAGE_MODELS = 100

_SORT = {
    Order.OLDEST: "Oldest",
    Order.MOST_DOWNLOADED: "Most Downloaded",
    Order.HIGHEST_RATED: "Highest Rated",
}


def parameters(ask: Ask, cursor: str | None) -> Iterable[tuple[str, str]]:
    """Names and values of the query, in their order.

    Raises:
        UsageError: A filter holds bytes that are no UTF-8, which no address can.
    """
    for text in (*ask.base_models, ask.creator, ask.tag, ask.search):
        if text is not None and clean.text(text) != text:
            raise UsageError(f"{clean.quote(text)} is no text in UTF-8, so it cannot be asked for")
    yield "limit", str(PAGE_MODELS)
    for model_type in ask.types:
        yield "types", model_type
    yield "sort", _SORT[ask.order]
    yield "period", "AllTime"
    yield "nsfw", "true" if ask.mature else "false"
    for base_model in ask.base_models:
        yield "baseModels", base_model
    named = (
        ("username", ask.creator),
        ("tag", ask.tag),
        ("query", ask.search),
        ("cursor", cursor),
    )
    for name, value in named:
        if value is not None:
            yield name, value
