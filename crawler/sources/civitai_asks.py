"""A question to the catalogue as Civitai's list takes it."""

from collections.abc import Iterable

from crawler.model import Ask, Order

#: Models on one page, the most that the site gives.
PAGE_MODELS = 100

_SORT = {
    Order.OLDEST: "Oldest",
    Order.MOST_DOWNLOADED: "Most Downloaded",
    Order.HIGHEST_RATED: "Highest Rated",
}


def parameters(ask: Ask, cursor: str | None) -> Iterable[tuple[str, str]]:
    """Names and values of the query, in their order."""
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
