"""One order through the catalogue: which pages to ask for, and where the next run goes on.

A walk has one or two maturity passes. Their lists are merged in the walk's order, so that "the first
N models" means the first N of the union. Nothing here writes: every Step says what to store and, in
the same breath, the cursors that are true once it is stored.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

from crawler.model import LORA_TYPES, ListQuery, Model, Order
from crawler.model.catalogue import CursorState
from crawler.model.int64 import MIN_INT64
from crawler.sources.base import Source
from crawler.sync.lists import Asking, Stretch, follow

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

#: A place in an order: the smaller one comes first.
Rank: TypeAlias = tuple[int, datetime]


@dataclass(slots=True)
class MaturityPass:
    """One maturity pass while it is being read.

    Attributes:
        stretches: What is still to come of its list.
        state: True of the models that were handed out, as long as `queue` is not used up.
        queue: What is left of the stretch, each model with its place in the walk's order.
        stretch: The one that is being used up.
    """

    order: Order
    stretches: AsyncGenerator[Stretch]
    state: CursorState
    queue: deque[tuple[Rank, Model]] = field(default_factory=deque)
    stretch: Stretch | None = None
    last_rank: Rank = (MIN_INT64, _LONG_AGO)

    @property
    def next_rank(self) -> Rank:
        """The place of the first model in the queue, which holds one."""
        return self.queue[0][0]

    async def read_on(self) -> tuple[str, ...]:
        """Fill the queue with the next stretch; returns its sentences about unreadable items."""
        self.stretch = await anext(self.stretches)
        self.state = replace(self.state, cursor=self.stretch.at)
        for model in self.stretch.models:
            # The site's sort value is not in the reply and statistics can be hidden: a model never
            # ranks before the one that was listed in front of it.
            self.last_rank = max(self.last_rank, _rank(self.order, model) or self.last_rank)
            self.queue.append((self.last_rank, model))
        return self.stretch.unreadable

    def move_on(self) -> None:
        """The stretch is used up: stand behind it."""
        if self.stretch is not None:
            behind, ended = self.stretch.behind, self.stretch.ended
            self.state = replace(self.state, cursor=behind, ended=ended)


def _rank(order: Order, model: Model) -> Rank | None:
    """A model's place in the order, None when its statistics or dates are hidden."""
    match order:
        case Order.MOST_DOWNLOADED:
            return None if model.downloads is None else (-model.downloads, _LONG_AGO)
        case Order.HIGHEST_RATED:
            return None if model.likes is None else (-model.likes, _LONG_AGO)
        case Order.OLDEST:
            times = [one.published_at for one in model.versions if one.published_at is not None]
            return (0, max(times)) if times else None


#: Names of the passes in the database.
GENERAL, MATURE = "general", "mature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a sync asks the catalogue for.

    Attributes:
        ask: The question; its `mature` is set per pass.
        nsfw: Both passes instead of the general one.
        model_ids: ListQuery for these models one by one instead of listing.
        limit: The walk ends after so many distinct models of the order; None means all.
        primary_only: Only each version's primary file is taken.
    """

    ask: ListQuery
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
    def maturity_passes(self) -> dict[str, ListQuery]:
        """The maturity passes by name."""
        asks = {GENERAL: replace(self.ask, mature=False)}
        if self.nsfw:
            asks[MATURE] = replace(self.ask, mature=True)
        return asks

    @property
    def grows_at_its_end(self) -> bool:
        """Whether what is new or changed comes last; what a search finds is ranked as it likes."""
        return self.ask.order is Order.OLDEST and self.ask.search is None

    @property
    def is_whole(self) -> bool:
        """Whether a pass of this walk meets everything that its maturity passes show.

        Only in the order `oldest`, for statistics move models past a cursor while others are read.
        """
        asked = self.ask
        narrowed = asked.base_models or asked.creator or asked.tag or asked.search
        return (
            asked.order is Order.OLDEST
            and set(asked.types) >= set(LORA_TYPES)
            and not (narrowed or self.model_ids or self.limit is not None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A piece of the walk, to be stored in one transaction.

    Attributes:
        distinct: How many of them this pass had not met before.
        cursors: By pass; true once `models` are stored.
        unreadable: Sentences about items that had no usable id.
        list_calls: Requests that this step took.
    """

    models: tuple[Model, ...]
    distinct: int
    cursors: Mapping[str, CursorState]
    unreadable: tuple[str, ...] = ()
    list_calls: int = 0


def is_complete(walk: Walk, stored: Mapping[str, CursorState]) -> bool:
    """Whether its cursors, as the last run left them, say that a walk came to the end of its list."""
    return all(name in stored and stored[name].ended for name in walk.maturity_passes)


def begin(
    walk: Walk,
    stored: Mapping[str, CursorState],
    seen: int,
    *,
    refresh: bool = False,
    now: datetime | None = None,
) -> tuple[dict[str, CursorState], bool]:
    """Where a run of this walk begins.

    A walk that was interrupted goes on. A finished one that grows at its end asks again from its last
    cursor: whatever is new or changed stands behind it. Any other finished one begins a new pass, and so does
    every one that is to be refreshed, unless the pass that was interrupted was begun for that.

    Args:
        walk: The walk.
        stored: Its cursors as the last run left them, empty before the first.
        seen: How many distinct models the current pass has met.
        refresh: Everything is to be met again, from the beginning.
        now: When a new pass begins.

    Returns:
        The cursors to begin with, and whether that is a new pass (nothing of it seen yet).
    """
    pass_number = max((state.pass_number for state in stored.values()), default=0)
    ended = is_complete(walk, stored)
    reached = walk.limit is not None and seen >= walk.limit
    refreshing = any(state.refreshing for state in stored.values())
    anew = (ended or not refreshing) if refresh else ended and not walk.grows_at_its_end
    if not stored or reached or anew:
        fresh = CursorState(
            cursor=None, pass_number=pass_number + 1, ended=False, began_at=now, refreshing=refresh
        )
        return dict.fromkeys(walk.maturity_passes, fresh), True
    begun = {
        name: stored.get(name, CursorState(cursor=None, pass_number=pass_number, ended=False))
        for name in walk.maturity_passes
    }
    if ended:
        begun = {name: replace(state, ended=False) for name, state in begun.items()}
    return begun, False


async def steps(
    source: Source, walk: Walk, begun: Mapping[str, CursorState], seen: set[int]
) -> AsyncGenerator[Step]:
    """Read the catalogue from `begun` on, a page at a time.

    Args:
        source: The site.
        walk: What to ask for.
        begun: The cursors to begin with, by pass.
        seen: The models that this pass has met; grows as the walk goes on.

    Raises:
        SiteError: The site is in trouble, or its cursor goes in a circle.
    """
    if walk.model_ids:
        async for step in _models_by_id(source, walk):
            yield step
        return
    asking = Asking(source)
    models: list[Model] = []
    unreadable: list[str] = []
    distinct = calls = 0
    reached = False
    async with AsyncExitStack() as stack:
        passes: dict[str, MaturityPass] = {}
        for name, ask in walk.maturity_passes.items():
            stretches = follow(asking, ask, begun[name].cursor)
            await stack.enter_async_context(aclosing(stretches))
            passes[name] = MaturityPass(ask.order, stretches, begun[name])
        while not reached:
            served = next((p for p in passes.values() if not p.queue and not p.state.ended), None)
            if served is not None:
                unreadable += await served.read_on()
            else:
                filled = [p for p in passes.values() if p.queue]
                if not filled:
                    return
                served = min(filled, key=lambda p: p.next_rank)
                _, model = served.queue.popleft()
                models.append(model)
                distinct += model.model_id not in seen
                seen.add(model.model_id)
                reached = walk.limit is not None and len(seen) >= walk.limit
            if not served.queue:
                served.move_on()
            if not served.queue or reached:
                yield Step(
                    models=tuple(models),
                    distinct=distinct,
                    cursors={name: one.state for name, one in passes.items()},
                    unreadable=tuple(unreadable),
                    list_calls=asking.calls - calls,
                )
                models, unreadable, distinct, calls = [], [], 0, asking.calls


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
