"""Read a page that the site fails to give, without the model that breaks it.

The page is read in parts, each half as long as the one before, until the model is known: it is the one
after the largest part that the site gives. The cursor of that part names it, and the list goes on at a
place after it, which exists only for cursors of a known form.
"""

from dataclasses import replace
from datetime import timedelta

from crawler.errors import CursorError, ReplyError
from crawler.model import ListQuery, Order, Page
from crawler.sources.base import PAGE_MODELS, Pages
from crawler.sync.cursors import BEGINNING, following, model_of, moved, time_of

#: Times after a broken model that are tried when more of them follow, in milliseconds, each this many
#: times as far as the one before.
_STRIDE = 4

#: Broken models further apart than this are a fault of the list, in milliseconds: one day.
_LONGEST_GAP = 24 * 60 * 60 * 1000

#: How far the first model of the list may be from BEGINNING, in milliseconds: ten years.
_SITES_AGE = 3650 * _LONGEST_GAP


async def page_or_parts(source: Pages, query: ListQuery, cursor: str | None) -> Page:
    """A page, or if the site fails to give it, the part of it before the model that breaks it.

    Raises:
        ReplyError: The site fails to give anything, or there is no way around the model.
    """
    try:
        return await source.page(query, cursor)
    except ReplyError as error:
        if not await _answers(source, query):
            raise
        return await _part(source, query, cursor, error)


async def _answers(source: Pages, query: ListQuery) -> bool:
    """Whether the site gives other lists than this one."""
    oldest = query.order is Order.OLDEST
    other = replace(query, order=Order.MOST_DOWNLOADED if oldest else Order.OLDEST)
    return await _gives(source, other, None) is not None


async def _gives(source: Pages, query: ListQuery, cursor: str | None) -> Page | None:
    """The model at a place, as a page; None if the site fails to give it."""
    try:
        return await source.page(query, cursor, limit=1)
    except ReplyError:
        return None


async def _part(source: Pages, query: ListQuery, cursor: str | None, error: ReplyError) -> Page:
    given, refused = Page(models=(), next_cursor=cursor), PAGE_MODELS
    good = 0
    while refused - good > 1:
        middle = (good + refused) // 2
        try:
            given, good = await source.page(query, cursor, limit=middle), middle
        except ReplyError:
            refused = middle
    place = given.next_cursor
    if good and (place is None or await _gives(source, query, place) is not None):
        return given  # what failed before has passed
    after = await _place_after(source, query, place)
    if after is None:
        raise error
    named = model_of(place)
    first = "the first model of the list" if named is None else f"model {named}"
    cause = f"the site fails to list {first} ({error.cause})"
    start, end = time_of(place), time_of(after)
    if start is not None and end is not None and end - start > timedelta(milliseconds=1):
        cause += f" and any others changed between {start:%Y-%m-%d %H:%M:%S} and {end:%H:%M:%S} UTC"
    return replace(given, next_cursor=after, left_out=(cause,))


async def _place_after(source: Pages, query: ListQuery, place: str | None) -> str | None:
    """The first place after a broken model that the site gives; None if none is known or near."""
    if place is not None and await _continues(source, query, following(place)):
        return following(place)
    if query.order is not Order.OLDEST:
        return None

    async def given(milliseconds: int) -> bool:
        at = moved(place or BEGINNING, timedelta(milliseconds=milliseconds))
        return await _continues(source, query, at, is_near=place is not None)

    refused, found = 0, 1
    longest = _SITES_AGE if place is None else _LONGEST_GAP
    while not await given(found):
        refused, found = found, found * _STRIDE
        if refused > longest:
            return None
    while found - refused > 1:
        middle = (refused + found) // 2
        if await given(middle):
            found = middle
        else:
            refused = middle
    return moved(place or BEGINNING, timedelta(milliseconds=found))


async def _continues(
    source: Pages, query: ListQuery, cursor: str | None, *, is_near: bool = True
) -> bool:
    """Whether the site gives the list from a place on. The end of the list counts only if it is near."""
    try:
        page = None if cursor is None else await _gives(source, query, cursor)
    except CursorError:
        return False
    return page is not None and bool(is_near or page.models or page.next_cursor)
