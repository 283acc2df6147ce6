"""The answer of the list: which models, which of their versions, and how to go on."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from crawler.sandbox.dates import DAY
from crawler.sandbox.entries import Stock, Traits
from crawler.sandbox.questions import Question, RefusedError
from crawler.sandbox.world import View

# Real replies name whatever host was asked inside; nothing ever answers at this one
_NEXT_PAGE_HOST = "https://sandbox.invalid"
_MOST_OFFSET_DIGITS = 9  # of a cursor that counts; more is no cursor


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list.

    Attributes:
        dropped: How many models were left out of it because none of their versions is to be shown.
    """

    body: dict[str, Any]
    dropped: int


def answer(view: View, question: Question, pairs: Sequence[tuple[str, str]], origin: str) -> Page:
    """What the list answers.

    Args:
        view: The catalogue at this moment.
        question: What is asked.
        pairs: The same as it came, to be echoed.
        origin: What links to files begin with.

    Raises:
        RefusedError: The user is unknown, or the cursor means nothing.
    """
    stock, ranking, tick = view.stock, view.ranking, view.tick
    if question.username is not None and question.username not in stock.creators:
        raise RefusedError(404, {"message": "User not found"})
    keep = _filter(stock, question, tick)
    if question.search is None:
        floor = ranking.floor(question.sort, question.cursor)
        rows = ranking.rows(question.sort, floor, _named(stock, question), tick)
        # one row more than the page holds: the cursor comes from it
        chosen = list(islice(filter(keep, rows), question.limit + 1))
        more = len(chosen) > question.limit > 0
        cursor = ranking.cursor(question.sort, chosen[-1], tick) if more else None
    else:
        offset = _offset(question.cursor)
        found = filter(keep, range(len(stock)))
        chosen = list(islice(found, offset, offset + question.limit + 1))
        more = len(chosen) > question.limit > 0
        cursor = str(offset + question.limit) if more else None
    shown = [
        _shown(stock.item(position, origin, tick), question)
        for position in chosen[: question.limit]
    ]
    # a model without a version to show is dropped only now, so pages run short
    items = [item for item in shown if item is not None]
    metadata: dict[str, Any] = {}
    if cursor is not None:
        echoed = [(name, value) for name, value in pairs if name != "cursor"]
        query = urlencode([*echoed, ("cursor", cursor)])
        metadata = {
            "nextCursor": cursor,
            "nextPage": f"{_NEXT_PAGE_HOST}/api/v1/models?{query}",
        }
    if question.page is not None and question.cursor is None:
        metadata |= {"currentPage": question.page, "pageSize": question.limit}
    return Page({"items": items, "metadata": metadata}, len(shown) - len(items))


def _named(stock: Stock, question: Question) -> Collection[int] | None:
    """The positions of what is asked for by id, None when nothing is."""
    if question.ids:
        found: Iterable[int | None] = map(stock.find_model, question.ids)
    elif question.version_ids:
        found = map(stock.find_version, question.version_ids)
    else:
        return None
    return {position for position in found if position is not None}


def _filter(stock: Stock, question: Question, tick: int) -> Callable[[int], bool]:
    # a tag that does not exist is dropped, and with it the filter
    tag = question.tag if question.tag in stock.tags else None
    since = None if question.days is None else stock.now - question.days * DAY
    search = None if question.search is None else question.search.lower()

    def keep(position: int) -> bool:
        if since is not None and stock.last_version_at(position, tick) < since:
            return False
        traits = stock.traits(position)
        return (
            (traits.in_mature_pass if question.mature else traits.in_ordinary_pass)
            and (traits.mode != "Archived" or question.archived)
            and (not question.types or traits.type in question.types)
            and _has_base(traits, question)
            and (tag is None or tag in map(str.lower, traits.tags))
            and (question.username is None or (traits.creator or "").lower() == question.username)
            and (search is None or search in traits.name.lower())
        )

    return keep


def _has_base(traits: Traits, question: Question) -> bool:
    wanted = question.base_models
    return not wanted or not set(wanted).isdisjoint(traits.base_models)


def _shown(item: Mapping[str, Any], question: Question) -> dict[str, Any] | None:
    """A model with the versions that this question shows; None when it shows none."""
    everything = bool(question.ids or question.version_ids or question.username)
    versions = [
        version
        for version in item["modelVersions"]
        if (everything or version.get("availability", "Public") == "Public")
        and (not question.base_models or version["baseModel"] in question.base_models)
    ]
    if not versions:
        return None
    if question.primary_only:
        versions = [
            {**version, "files": [file for file in version["files"] if file.get("primary")]}
            for version in versions
        ]
    return {**item, "modelVersions": versions}


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MOST_OFFSET_DIGITS):
        raise RefusedError(400, {"error": "Invalid cursor: expected an offset"})
    return int(cursor)
