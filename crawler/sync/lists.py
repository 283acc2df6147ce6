"""Read one list of the site page by page, also past cursors that lead back to themselves.

The order `oldest` sorts by the time of a model's last version, and its cursor may be that time alone.
Where more models share a time than fit on a page, the next cursor is the same again: the list is stuck.
The models of that time are then read through narrower lists, which contain fewer of them: by type, then
by base model. A list that cannot be narrowed is read in an order whose cursors also contain the model's
id. Cursors are opaque: a request shows whether one continues after the stuck place.

Models without a time come last in that order, and the site refuses the cursor that leads to them. They
are found in the other order too.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from crawler.errors import CursorError
from crawler.model import ListQuery, Model, Order, Page
from crawler.sources.base import PAGE_MODELS, Source
from crawler.sync.broken_pages import page_or_parts
from crawler.sync.cursors import is_undated

#: The order for what `oldest` cannot list: its cursors are a count and a model's id, so no two places
#: share one, and every model has one.
_SURE_ORDER = Order.MOST_DOWNLOADED

#: Pages in a row without a new model after which a list has no end. The site filters pages after it has
#: cut them, so some are empty.
MOST_BARREN_PAGES = 200

#: Models of a list that are remembered, to know which are new: those of as many full pages.
REMEMBERED_MODELS = MOST_BARREN_PAGES * PAGE_MODELS

#: Characters of a cursor that a message quotes.
_QUOTED_CURSOR = 80


@dataclass(slots=True)
class CountedSource:
    """A source, and the number of list requests made to it."""

    source: Source
    calls: int = 0

    async def page(self, query: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        """As `Source.page`."""
        self.calls += 1
        return await self.source.page(query, cursor, limit=limit)

    async def base_models(self) -> tuple[str, ...]:
        """As `Source.base_models`."""
        self.calls += 1
        return await self.source.base_models()


@dataclass(slots=True)
class _Seen:
    """The latest models of a list, and the number of pages in a row without a new one."""

    models: set[int] = field(default_factory=set)
    barren: int = 0

    def note(self, page: Page) -> None:
        new = {one.model_id for one in page.models} - self.models
        self.barren = 0 if new else self.barren + 1
        if len(self.models) > REMEMBERED_MODELS:
            self.models.clear()
        self.models |= new


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
        left_out: Clauses about models that the site fails to list.
        undated: The list ends with models without a time.
    """

    models: tuple[Model, ...] = ()
    at: str | None
    behind: str | None
    ended: bool = False
    detour: bool = False
    unreadable: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    undated: bool = False


async def follow(
    source: CountedSource,
    query: ListQuery,
    cursor: str | None,
    *,
    until: str | None = None,
    otherwise: Sequence[str | None] = (None,),
    undated: bool = True,
) -> AsyncGenerator[Stretch]:
    """A list from `cursor` to its end, or up to a given place.

    Args:
        source: The site.
        query: The list.
        cursor: Where to start; None for the beginning.
        until: A place of a wider list in the order `oldest`. All models before it are listed; those
            behind it may be.
        otherwise: Where to start again, each once, if the site no longer accepts a cursor.
        undated: Also list the models without a time, in another order.

    Raises:
        CursorError: The list goes in a circle or has no end, and no narrower list or other order gets
            past that place.
        SiteError: The site cannot be reached or refuses us.
    """
    goal = None if until is None else await _first_model(source, query, until)
    asked: set[str | None] = set()
    retreats = list(otherwise)
    last: str | None = None
    seen = _Seen()
    while True:
        asked.add(cursor)
        try:
            page = await page_or_parts(source, query, cursor)
        except CursorError as error:
            if len(asked) == 1 or not is_undated(query, cursor):
                cursor = _start_again(retreats, asked, cursor, error)
                seen = _Seen()
                continue
            async with aclosing(_undated(source, query, last, wanted=undated)) as end:
                async for stretch in end:
                    yield stretch
            return
        last = cursor
        here = Stretch(
            models=page.models,
            at=cursor,
            behind=cursor,
            unreadable=page.unreadable,
            left_out=page.left_out,
        )
        if page.next_cursor is None:
            yield replace(here, ended=True)
            return
        seen.note(page)
        if page.next_cursor not in asked and seen.barren < MOST_BARREN_PAGES:
            yield replace(here, behind=page.next_cursor)
            if goal in {one.model_id for one in page.models}:
                return
            cursor = page.next_cursor
            continue
        yield replace(here, detour=True)
        _check_stuck(source, query, page.next_cursor, seen.barren)
        async with aclosing(_around(source, query, cursor, asked, until)) as detour:
            async for stretch in detour:
                yield stretch
        if stretch.ended or stretch.behind == until:
            return
        cursor = stretch.behind


def _start_again(
    retreats: list[str | None], asked: set[str | None], refused: str | None, error: CursorError
) -> str | None:
    """The next place to start at, after the site refused a cursor; raises the error if there is none.

    After a change of its order the site refuses earlier cursors. Models that are listed twice stay as
    they are.
    """
    while retreats:
        place = retreats.pop(0)
        if place != refused:
            asked.clear()
            return place
    raise error


def _check_stuck(source: CountedSource, query: ListQuery, cursor: str, barren: int) -> None:
    """Raise CursorError if there is no way around the place where a list is stuck."""
    if barren >= MOST_BARREN_PAGES:
        what = f"has {barren} pages in a row without a new model"
    elif query.order is not Order.OLDEST:
        what = "goes in a circle"
    else:
        return
    others = " or ".join(f"--order {one}" for one in Order if one is not query.order)
    raise CursorError(
        source.source.origin,
        f"the list {what} at cursor {cursor[:_QUOTED_CURSOR]!r}",
        f"The models listed before are stored. Try another order: {others}.",
    )


async def _undated(
    source: CountedSource, query: ListQuery, last: str | None, *, wanted: bool
) -> AsyncGenerator[Stretch]:
    """The end of a list in the order `oldest` whose last models have no time."""
    if wanted:
        async with aclosing(follow(source, replace(query, order=_SURE_ORDER), None)) as pieces:
            async for piece in pieces:
                yield replace(piece, at=last, behind=last, ended=False, detour=True)
    yield Stretch(at=last, behind=last, ended=True, undated=True)


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
        async with aclosing(follow(source, part, start, until=until, undated=False)) as pieces:
            async for piece in pieces:
                yield replace(piece, at=cursor, behind=cursor, ended=False, detour=True)
                if exit_ is not None or not narrowed or piece.detour or piece.ended:
                    continue
                following = (await page_or_parts(source, query, piece.behind)).next_cursor
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
    async with aclosing(follow(source, query, cursor, undated=False)) as pieces:
        async for piece in pieces:
            if piece.models:
                return piece.models[0].model_id
    return None
