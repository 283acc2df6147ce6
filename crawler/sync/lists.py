"""One list of the site, read page by page, and around the places where it stands still.

The order `oldest` sorts by the time of a model's last version, and the site's cursor holds that time
alone: where more models share one time than a page holds, the cursor behind the page leads back to it.
Such a block is met through narrower lists, which have fewer of its models: by type, then by base model.
A list that cannot be narrowed further is read whole in an order whose cursors hold the model too.
Cursors are opaque here: that a place lies behind the block is seen by asking for it.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace

from crawler.errors import CursorError
from crawler.model import ListQuery, Model, Order, Page
from crawler.sources.base import Source

#: The order in which a list is read that stands still and cannot be narrowed: the site's cursor holds
#: the model's id behind the counts, so no two places share one.
_SURE_ORDER = Order.MOST_DOWNLOADED

#: Characters of a cursor that a message quotes.
_SHOWN_CURSOR = 80


@dataclass(slots=True)
class Asking:
    """A source whose lists are asked for, and how often they were."""

    source: Source
    calls: int = 0

    async def page(self, ask: ListQuery, cursor: str | None) -> Page:
        """As `Source.page`."""
        self.calls += 1
        return await self.source.page(ask, cursor)

    async def base_models(self) -> tuple[str, ...]:
        """As `Source.base_models`."""
        self.calls += 1
        return await self.source.base_models()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A piece of a list.

    Attributes:
        models: In the order of the list, except on a detour; some may come again later.
        at: Where the list goes on as long as not all of them are stored.
        behind: Where it goes on once they are. At the end of the list: its last page.
        ended: Nothing follows.
        detour: They came through narrower lists, and `behind` has not moved yet.
        unreadable: Sentences about items that had no usable id.
    """

    models: tuple[Model, ...] = ()
    at: str | None
    behind: str | None
    ended: bool = False
    detour: bool = False
    unreadable: tuple[str, ...] = ()


async def follow(
    asking: Asking, ask: ListQuery, cursor: str | None, *, until: str | None = None
) -> AsyncGenerator[Stretch]:
    """A list from `cursor` to its end, or as far as a place that lies ahead.

    A cursor that the site does not take any more begins the list anew, once.

    Args:
        asking: The site.
        ask: The list.
        cursor: Where to begin; None at the beginning.
        until: A place of a wider list in the order `oldest`. Every model before it is met; those
            behind it need not be.

    Raises:
        CursorError: The list goes in a circle and there is no way around.
        SiteError: The site is in trouble.
    """
    goal = None if until is None else await _first_model(asking, ask, until)
    asked: set[str | None] = set()
    while True:
        begun_anew = None in asked
        asked.add(cursor)
        try:
            page = await asking.page(ask, cursor)
        except CursorError:
            # A site that changed its order refuses the cursors of before: what is known is met
            # again and stays as it is.
            if cursor is None or begun_anew:
                raise
            cursor = None
            asked.clear()
            continue
        here = Stretch(
            models=page.models, at=cursor, behind=cursor, unreadable=page.unreadable
        )  # fmt: skip
        if page.next_cursor is None:
            yield replace(here, ended=True)
            return
        if page.next_cursor not in asked:
            yield replace(here, behind=page.next_cursor)
            if goal is not None and any(one.model_id == goal for one in page.models):
                return
            cursor = page.next_cursor
            continue
        if ask.order is not Order.OLDEST:
            raise CursorError(
                asking.source.origin,
                f"the list goes in a circle at cursor {page.next_cursor[:_SHOWN_CURSOR]!r}",
                "What was listed before is stored. Try another --order.",
            )
        yield replace(here, detour=True)
        async with aclosing(_around(asking, ask, cursor, asked, until)) as detour:
            async for stretch in detour:
                yield stretch
        if stretch.ended or stretch.behind == until:
            return
        cursor = stretch.behind


async def _around(
    asking: Asking,
    ask: ListQuery,
    cursor: str | None,
    asked: Collection[str | None],
    exit_: str | None,
) -> AsyncGenerator[Stretch]:
    """Every model of a list from `cursor`, where it stands still, to a place from which it moves on.

    The first of the narrower lists that comes to such a place tells it; the others are read as far.
    The last stretch is no detour: its `behind` is that place, or the list has ended.

    Args:
        asking: The site.
        ask: The list, in the order `oldest`.
        cursor: Its place.
        asked: Every cursor of it that was asked before.
        exit_: The place to come to, when a wider list has found one.
    """
    parts = await _narrower(asking, ask)
    if not parts:
        parts = (replace(ask, order=_SURE_ORDER),)
    for part in parts:
        narrowed = part.order is ask.order
        begin, until = (cursor, exit_) if narrowed else (None, None)
        async with aclosing(follow(asking, part, begin, until=until)) as pieces:
            async for piece in pieces:
                yield replace(piece, at=cursor, behind=cursor, ended=False, detour=True)
                if exit_ is not None or not narrowed or piece.detour or piece.ended:
                    continue
                if await _moves_on(asking, ask, piece.behind, asked):
                    exit_ = piece.behind
                    break
    yield Stretch(at=cursor, behind=exit_ or cursor, ended=exit_ is None)


async def _narrower(asking: Asking, ask: ListQuery) -> tuple[ListQuery, ...]:
    """Lists that together hold what this one holds; empty when it cannot be narrowed."""
    if len(ask.types) > 1:
        return tuple(replace(ask, types=(one,)) for one in ask.types)
    names = ask.base_models or await asking.base_models()
    if len(names) > 1:
        return tuple(replace(ask, base_models=(one,)) for one in names)
    return ()


async def _first_model(asking: Asking, ask: ListQuery, cursor: str) -> int | None:
    """The id of the first model of a list at a place; None when it holds none from there on."""
    async with aclosing(follow(asking, ask, cursor)) as pieces:
        async for piece in pieces:
            if piece.models:
                return piece.models[0].model_id
    return None


async def _moves_on(
    asking: Asking, ask: ListQuery, cursor: str | None, asked: Collection[str | None]
) -> bool:
    """Whether a list goes on from a place without coming back to where it was."""
    page = await asking.page(ask, cursor)
    return page.next_cursor is None or (
        page.next_cursor != cursor and page.next_cursor not in asked
    )
