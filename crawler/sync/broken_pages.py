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
    """Whether the site gives other parts of the list, in another order or at its end."""
    oldest = replace(query, order=Order.OLDEST)
    other = replace(query, order=Order.MOST_DOWNLOADED) if query == oldest else oldest
    end = moved(BEGINNING, timedelta(milliseconds=_SITES_AGE))
    return await _continues(source, other, None) or await _continues(source, oldest, end)


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
    next_model = None if place is None else following(place)
    if next_model is not None and await _continues(source, query, next_model):
        return next_model
    if query.order is not Order.OLDEST or moved(place or BEGINNING, timedelta()) is None:
        return None

    def after(milliseconds: int) -> str | None:
        return moved(place or BEGINNING, timedelta(milliseconds=milliseconds))

    refused, found = 0, _SITES_AGE if place is None else 1
    while not await _continues(source, query, after(found)):
        refused, found = found, found * _STRIDE
        if refused > _LONGEST_GAP:
            return None
    while found - refused > 1:
        middle = (refused + found) // 2
        if await _continues(source, query, after(middle)):
            found = middle
        else:
            refused = middle
    # If nothing is known but that the list has an end, all of it may be broken.
    if place is None and not await _continues(source, query, after(found), in_list=True):
        return None
    return after(found)


async def _continues(
    source: Pages, query: ListQuery, cursor: str | None, *, in_list: bool = False
) -> bool:
    """Whether the site gives the list from a place on; with `in_list`, also not only its end."""
    try:
        page = await _gives(source, query, cursor)
    except CursorError:
        return False
    return page is not None and (not in_list or bool(page.models or page.next_cursor))
