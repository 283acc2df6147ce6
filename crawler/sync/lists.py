"""Read one list of the site page by page, also past cursors that lead back to themselves.

The order `oldest` sorts by the time of a model's last version, and its cursor is that time alone. Where
more models share a time than fit on a page, the next cursor is the same again: the list is stuck. The
models of that time are then read through narrower lists, which contain fewer of them: by type, then by
base model. A list that cannot be narrowed is read in an order whose cursors also contain the model's
id. Cursors are opaque: a request shows whether one continues after the stuck place.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace

from crawler.errors import CursorError
from crawler.model import ListQuery, Model, Order, Page
from crawler.sources.base import Source

#: The order for a stuck list that cannot be narrowed: its cursors are a count and a model's id, so no
#: two places share one.
_SURE_ORDER = Order.MOST_DOWNLOADED

#: Characters of a cursor that a message quotes.
_QUOTED_CURSOR = 80


@dataclass(slots=True)
class CountedSource:
    """A source, and the number of list requests made to it."""

    source: Source
    calls: int = 0

    async def page(self, query: ListQuery, cursor: str | None) -> Page:
        """As `Source.page`."""
        self.calls += 1
        return await self.source.page(query, cursor)

    async def base_models(self) -> tuple[str, ...]:
        """As `Source.base_models`."""
        self.calls += 1
        return await self.source.base_models()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A piece of a list.

    Attributes:
        models: In the order of the list, except on a detour; some may come again later.
        at: Where to continue while not all of them are stored.
        behind: Where to continue once all are stored. At the end of the list: its last page.
        ended: The list has ended.
        detour: The models come from narrower lists, and `behind` has not moved yet.
        unreadable: Sentences about items without a usable id.
    """

    models: tuple[Model, ...] = ()
    at: str | None
    behind: str | None
    ended: bool = False
    detour: bool = False
    unreadable: tuple[str, ...] = ()


async def follow(
    source: CountedSource, query: ListQuery, cursor: str | None, *, until: str | None = None
) -> AsyncGenerator[Stretch]:
    """A list from `cursor` to its end, or up to a given place.

    If the site no longer accepts a cursor, the list starts again from the beginning, once.

    Args:
        source: The site.
        query: The list.
        cursor: Where to start; None for the beginning.
        until: A place of a wider list in the order `oldest`. All models before it are listed; those
            behind it may be.

    Raises:
        CursorError: The list goes in a circle, and no narrower list or other order gets past it.
        SiteError: The site cannot be reached or refuses us.
    """
    goal = None if until is None else await _first_model(source, query, until)
    asked: set[str | None] = set()
    while True:
        started_again = None in asked
        asked.add(cursor)
        try:
            page = await source.page(query, cursor)
        except CursorError:
            # After a change of its order the site refuses earlier cursors. Models that are listed
            # twice stay as they are.
            if cursor is None or started_again:
                raise
            cursor = None
            asked.clear()
            continue
        here = Stretch(models=page.models, at=cursor, behind=cursor, unreadable=page.unreadable)
        if page.next_cursor is None:
            yield replace(here, ended=True)
            return
        if page.next_cursor not in asked:
            yield replace(here, behind=page.next_cursor)
            if goal is not None and any(one.model_id == goal for one in page.models):
                return
            cursor = page.next_cursor
            continue
        if query.order is not Order.OLDEST:
            raise CursorError(
                source.source.origin,
                f"the list goes in a circle at cursor {page.next_cursor[:_QUOTED_CURSOR]!r}",
                "The models listed before are stored. Try another --order.",
            )
        yield replace(here, detour=True)
        async with aclosing(_around(source, query, cursor, asked, until)) as detour:
            async for stretch in detour:
                yield stretch
        if stretch.ended or stretch.behind == until:
            return
        cursor = stretch.behind


async def _around(
    source: CountedSource,
    query: ListQuery,
    cursor: str | None,
    asked: Collection[str | None],
    exit_: str | None,
) -> AsyncGenerator[Stretch]:
    """All models of a list from `cursor`, where it is stuck, to a place from which it continues.

    The first narrower list that reaches such a place determines it; the others are read up to it. The
    last stretch is not a detour: its `behind` is that place, or the list has ended.

    Args:
        source: The site.
        query: The list, in the order `oldest`.
        cursor: The place where it is stuck.
        asked: All its cursors that were requested before.
        exit_: The place to reach, if a wider list has determined it.
    """
    parts = await _narrower(source, query) or (replace(query, order=_SURE_ORDER),)
    for part in parts:
        narrowed = part.order is query.order
        start, until = (cursor, exit_) if narrowed else (None, None)
        async with aclosing(follow(source, part, start, until=until)) as pieces:
            async for piece in pieces:
                yield replace(piece, at=cursor, behind=cursor, ended=False, detour=True)
                if exit_ is not None or not narrowed or piece.detour or piece.ended:
                    continue
                following = (await source.page(query, piece.behind)).next_cursor
                if following is None or (following != piece.behind and following not in asked):
                    exit_ = piece.behind
                    break
    yield Stretch(at=cursor, behind=exit_ or cursor, ended=exit_ is None)


async def _narrower(source: CountedSource, query: ListQuery) -> tuple[ListQuery, ...]:
    """Lists whose union is this list; empty when it cannot be narrowed."""
    if len(query.types) > 1:
        return tuple(replace(query, types=(one,)) for one in query.types)
    names = query.base_models or await source.base_models()
    if len(names) > 1:
        return tuple(replace(query, base_models=(one,)) for one in names)
    return ()


async def _first_model(source: CountedSource, query: ListQuery, cursor: str) -> int | None:
    """The id of the first model of a list from a cursor on; None when there is none."""
    async with aclosing(follow(source, query, cursor)) as pieces:
        async for piece in pieces:
            if piece.models:
                return piece.models[0].model_id
    return None
