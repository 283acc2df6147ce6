"""One order through the catalogue: which pages to ask for, and where the next run goes on.

A walk has one or two maturity passes. Their lists are merged in the walk's order, so that "the first
N models" means the first N of the union. Nothing here writes: every Step says what to store and, in
the same breath, the cursors that are true once it is stored.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

from crawler.errors import CursorError, SiteError
from crawler.model import Ask, Model, Order
from crawler.model.walk import CursorState
from crawler.sources.base import Source

#: Names of the passes in the database.
GENERAL, MATURE = "general", "mature"

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

#: A place in an order: the smaller one comes first.
_Rank: TypeAlias = tuple[int, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a sync asks the catalogue for.

    Attributes:
        ask: The question; its `mature` is set per pass.
        nsfw: Both passes instead of the general one.
        model_ids: Ask for these models one by one instead of listing.
        limit: The walk ends after so many distinct models of the order; None means all.
        primary_only: Only each version's primary file is taken.
    """

    ask: Ask
    nsfw: bool = False
    model_ids: tuple[int, ...] = ()
    limit: int | None = None
    primary_only: bool = False

    @property
    def key(self) -> str:
        """What the database knows this walk by: everything that was asked, but not how far to go."""
        asked = {
            "order": self.ask.order.value,
            "types": sorted(self.ask.types),
            "base_models": sorted(self.ask.base_models),
            "creator": self.ask.creator,
            "tag": self.ask.tag,
            "search": self.ask.search,
            "models": sorted(self.model_ids),
            "nsfw": self.nsfw,
            "primary_only": self.primary_only,
        }
        return json.dumps({name: value for name, value in asked.items() if value}, sort_keys=True)

    @property
    def passes(self) -> dict[str, Ask]:
        """The maturity passes by name."""
        asks = {GENERAL: replace(self.ask, mature=False)}
        if self.nsfw:
            asks[MATURE] = replace(self.ask, mature=True)
        return asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A piece of the walk, to be stored in one transaction.

    Attributes:
        distinct: How many of them this lap had not met before.
        cursors: By pass; true once `models` are stored.
        unreadable: Sentences about items that had no usable id.
        list_calls: Requests that this step took.
    """

    models: tuple[Model, ...]
    distinct: int
    cursors: Mapping[str, CursorState]
    unreadable: tuple[str, ...] = ()
    list_calls: int = 0


def begin(
    walk: Walk, stored: Mapping[str, CursorState], seen: int
) -> tuple[dict[str, CursorState], bool]:
    """Where a run of this walk begins.

    A walk that was interrupted goes on. A finished one by `oldest` asks again from its last cursor:
    whatever is new or changed stands behind it. Any other finished one begins a new lap.

    Args:
        walk: The walk.
        stored: Its cursors as the last run left them, empty before the first.
        seen: How many distinct models the current lap has met.

    Returns:
        The cursors to begin with, and whether that is a new lap (nothing of it seen yet).
    """
    lap = max((state.lap for state in stored.values()), default=0)
    ended = bool(stored) and all(name in stored and stored[name].ended for name in walk.passes)
    reached = walk.limit is not None and seen >= walk.limit
    if not stored or reached or (ended and walk.ask.order is not Order.OLDEST):
        fresh = CursorState(cursor=None, lap=lap + 1, ended=False)
        return dict.fromkeys(walk.passes, fresh), True
    begun = {
        name: stored.get(name, CursorState(cursor=None, lap=lap, ended=False))
        for name in walk.passes
    }
    if ended:
        begun = {name: replace(state, ended=False) for name, state in begun.items()}
    return begun, False


@dataclass(slots=True)
class _Pass:
    """One maturity pass while it is being read.

    Attributes:
        state: True of the models that were handed out: the page in `queue` is not used up yet.
        queue: What is left of the page, each model with its place in the walk's order.
        upcoming: The cursor behind that page.
        asked: Every cursor of this run, to notice a circle.
    """

    ask: Ask
    state: CursorState
    queue: deque[tuple[_Rank, Model]] = field(default_factory=deque)
    upcoming: str | None = None
    asked: set[str | None] = field(default_factory=set)
    last_rank: _Rank = (-(2**63), _LONG_AGO)

    async def read_page(self, source: Source) -> tuple[str, ...]:
        """Fill the queue with the next page; returns its sentences about unreadable items."""
        cursor = self.state.cursor
        begun_anew = None in self.asked
        self.asked.add(cursor)
        try:
            page = await source.page(self.ask, cursor)
        except CursorError:
            # A site that changed its order refuses the cursors of before: what is known is met
            # again and stays as it is.
            if cursor is None or begun_anew:
                raise
            self.state = replace(self.state, cursor=None)
            self.asked.clear()
            return await self.read_page(source)
        if page.next_cursor in self.asked and page.next_cursor is not None:
            raise SiteError(
                source.origin,
                f"the list goes in a circle at cursor {page.next_cursor[:80]!r}",
                "What was listed before is stored. Try another --order.",
            )
        self.upcoming = page.next_cursor
        for model in page.models:
            # The site's sort value is not in the reply and statistics can be hidden: a model never
            # ranks before the one that was listed in front of it.
            self.last_rank = max(self.last_rank, _rank(self.ask.order, model) or self.last_rank)
            self.queue.append((self.last_rank, model))
        return page.unreadable

    def close_page(self) -> None:
        """The page is used up: stand at the next one, or stay at the last."""
        if self.upcoming is None:
            self.state = replace(self.state, ended=True)
        else:
            self.state = replace(self.state, cursor=self.upcoming)


async def steps(
    source: Source, walk: Walk, begun: Mapping[str, CursorState], seen: set[int]
) -> AsyncGenerator[Step]:
    """Read the catalogue from `begun` on, a page at a time.

    Args:
        source: The site.
        walk: What to ask for.
        begun: The cursors to begin with, by pass.
        seen: The models that this lap has met; grows as the walk goes on.

    Raises:
        SiteError: The site is in trouble, or its cursor goes in a circle.
    """
    if walk.model_ids:
        async for step in _models_by_id(source, walk):
            yield step
        return
    passes = {name: _Pass(ask, begun[name]) for name, ask in walk.passes.items()}
    models: list[Model] = []
    unreadable: list[str] = []
    distinct = calls = 0
    reached = False
    while not reached:
        served = next((p for p in passes.values() if not p.queue and not p.state.ended), None)
        if served is not None:
            unreadable += await served.read_page(source)
            calls += 1
        else:
            filled = [p for p in passes.values() if p.queue]
            if not filled:
                return
            served = min(filled, key=lambda p: p.queue[0][0])
            _, model = served.queue.popleft()
            models.append(model)
            distinct += model.model_id not in seen
            seen.add(model.model_id)
            reached = walk.limit is not None and len(seen) >= walk.limit
        if not served.queue:
            served.close_page()
        if not served.queue or reached:
            yield Step(
                models=tuple(models),
                distinct=distinct,
                cursors={name: one.state for name, one in passes.items()},
                unreadable=tuple(unreadable),
                list_calls=calls,
            )
            models, unreadable, distinct, calls = [], [], 0, 0


async def _models_by_id(source: Source, walk: Walk) -> AsyncGenerator[Step]:
    for model_id in walk.model_ids:
        model = await source.model(model_id)
        yield Step(
            models=() if model is None else (model,),
            distinct=int(model is not None),
            cursors={},
            unreadable=(f"the site has no model {model_id}",) if model is None else (),
            list_calls=1,
        )


def _rank(order: Order, model: Model) -> _Rank | None:
    """A model's place in the order, None when its statistics or dates are hidden."""
    match order:
        case Order.MOST_DOWNLOADED:
            return None if model.downloads is None else (-model.downloads, _LONG_AGO)
        case Order.HIGHEST_RATED:
            return None if model.likes is None else (-model.likes, _LONG_AGO)
        case Order.OLDEST:
            times = [one.published_at for one in model.versions if one.published_at is not None]
            return (0, max(times)) if times else None
