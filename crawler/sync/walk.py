"""A walk: one order through the catalogue, in one or two maturity passes.

The lists of the passes are merged in the walk's order, so "the first N models" are the first N of their
union. `begin` says where a run continues, `steps` reads from there. Nothing here writes: every Step
contains models and the cursors that are true once these are stored.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from crawler.model import LORA_TYPES, ListQuery, Model, Order
from crawler.model.catalogue import CursorState
from crawler.model.int64 import MIN_INT64
from crawler.sources.base import Source
from crawler.sync.cursors import later, moved, time_of
from crawler.sync.lists import CountedSource, Stretch, follow

#: Names of the maturity passes in the database.
GENERAL, MATURE = "general", "mature"

#: How far before its last cursor a walk in the order `oldest` continues. The site shows some models up
#: to a day late, at the time of their last version.
OVERLAP = timedelta(days=2)

#: Models of a walk without a limit that are remembered. Both maturity passes list a model at about the
#: same time.
REMEMBERED_MODELS = 20_000

#: A place in an order; smaller ones come first.
Rank: TypeAlias = tuple[int, datetime]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The list of a sync: its order, filters and limit.

    Attributes:
        ask: The list query; `maturity_passes` sets its `mature`.
        nsfw: Read both maturity passes instead of only the general one.
        model_ids: Request these models one by one instead of a list.
        limit: Stop after the first N distinct models of the order; None means all.
        primary_only: Take only the primary file of each version.
    """

    ask: ListQuery
    nsfw: bool = False
    model_ids: tuple[int, ...] = ()
    limit: int | None = None
    primary_only: bool = False

    @property
    def key(self) -> str:
        """The walk's name in the database: all options except the limit."""
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
        """The list of each maturity pass, by name."""
        lists = {GENERAL: replace(self.ask, mature=False)}
        if self.nsfw:
            lists[MATURE] = replace(self.ask, mature=True)
        return lists

    @property
    def grows_at_its_end(self) -> bool:
        """Whether new and changed models come last. The order of a search is the site's choice."""
        return self.ask.order is Order.OLDEST and self.ask.search is None

    @property
    def is_whole(self) -> bool:
        """Whether a complete pass lists everything that its maturity passes show.

        Only in the order `oldest`: in the others, changing statistics move models past the cursor.
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
    """A piece of the walk, stored in one transaction.

    Attributes:
        distinct: Models that this pass lists for the first time.
        cursors: By maturity pass; true once `models` are stored.
        unreadable: Sentences about items without a usable id.
        left_out: Clauses about models that the site fails to list.
        undated: The list ends with models without a time.
        list_calls: Requests for this step.
    """

    models: tuple[Model, ...]
    distinct: int
    cursors: Mapping[str, CursorState]
    unreadable: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    undated: bool = False
    list_calls: int = 0


def is_complete(walk: Walk, stored: Mapping[str, CursorState]) -> bool:
    """Whether the last run reached the end of the walk's lists, by its stored cursors."""
    return all(name in stored and stored[name].ended for name in walk.maturity_passes)


def begin(
    walk: Walk,
    stored: Mapping[str, CursorState],
    seen: int,
    *,
    refresh: bool = False,
    now: datetime | None = None,
) -> tuple[dict[str, CursorState], bool]:
    """Where a run of this walk starts.

    An interrupted walk continues. A complete one that grows at its end continues from its last cursor,
    because new and changed models follow it. Any other complete walk starts again. A refresh starts
    again too, unless it continues an interrupted refresh. `steps` reads again what lies OVERLAP before
    the cursor.

    Args:
        walk: The walk.
        stored: Its cursors from the last run; empty before the first.
        seen: Distinct models that the current pass has listed.
        refresh: List everything again.
        now: When a new pass begins.

    Returns:
        The first cursors, and whether they begin a new pass, which has listed nothing yet.
    """
    pass_number = max((state.pass_number for state in stored.values()), default=0)
    ended = is_complete(walk, stored)
    reached = walk.limit is not None and seen >= walk.limit
    refreshing = any(state.refreshing for state in stored.values())
    anew = (ended or not refreshing) if refresh else ended and not walk.grows_at_its_end
    if not stored or reached or anew:
        fresh = CursorState(
            cursor=None,
            pass_number=pass_number + 1,
            ended=False,
            began_at=now,
            refreshing=refresh,
        )
        return dict.fromkeys(walk.maturity_passes, fresh), True
    if ended:
        return {name: replace(state, ended=False) for name, state in stored.items()}, False
    return dict(stored), False


@dataclass(slots=True)
class _MaturityPass:
    """A maturity pass while it is read.

    Attributes:
        stretches: The rest of its list.
        state: Its cursor, true once the models taken from `queue` are stored.
        queue: The rest of the current stretch, each model with its place in the walk's order.
        behind: Its cursor once all models of the stretch are stored.
        recent: The latest pages, those of the last OVERLAP: the cursor of each, and the place before it.
    """

    order: Order
    stretches: AsyncGenerator[Stretch]
    state: CursorState
    queue: deque[tuple[Rank, Model]] = field(default_factory=deque)
    behind: CursorState = field(init=False)
    last_rank: Rank = (MIN_INT64, _LONG_AGO)
    recent: deque[tuple[str | None, Rank]] = field(default_factory=deque)

    async def read_on(self) -> Stretch:
        """Fill the queue with the next stretch, which is returned."""
        stretch = await anext(self.stretches)
        if stretch.left_out:
            # This pass does not list everything, so nothing is gone because it is not listed.
            self.state = replace(self.state, began_at=None)
        self.state = replace(self.state, cursor=self._reached(stretch.at))
        if self.order is Order.OLDEST and not stretch.detour:
            self.recent.append((stretch.at, self.last_rank))
        for model in stretch.models:
            # The reply lacks the site's sort value, and statistics can be hidden. So no model ranks
            # before the one listed in front of it.
            self.last_rank = max(self.last_rank, _rank(self.order, model) or self.last_rank)
            self.queue.append((self.last_rank, model))
        _, newest = self.last_rank
        while len(self.recent) > 1 and newest - self.recent[1][1][1] > OVERLAP:
            self.recent.popleft()
        behind = self._overlapping(stretch.behind) if stretch.ended else stretch.behind
        behind = self._reached(behind)
        self.behind = replace(self.state, cursor=behind, ended=stretch.ended)
        return stretch

    def _reached(self, cursor: str | None) -> str | None:
        """The later one of a cursor and the stored one: the overlap is read from before the latter."""
        return later(self.state.cursor, cursor) if self.order is Order.OLDEST else cursor

    def _overlapping(self, last: str | None) -> str | None:
        """The cursor to store at the end of the list, so that the next run can start OVERLAP before it."""
        dated = self.order is Order.OLDEST and self.last_rank[1] != _LONG_AGO
        if not dated or time_of(last) is not None:
            return last
        # A cursor of an unknown form cannot be moved, so that of an earlier page is stored.
        return self.recent[0][0] if self.recent else last


def _rank(order: Order, model: Model) -> Rank | None:
    """A model's place in the order; None when its statistics or dates are hidden."""
    match order:
        case Order.MOST_DOWNLOADED:
            return None if model.downloads is None else (-model.downloads, _LONG_AGO)
        case Order.HIGHEST_RATED:
            return None if model.likes is None else (-model.likes, _LONG_AGO)
        case Order.OLDEST:
            times = [one.published_at for one in model.versions if one.published_at is not None]
            return (0, max(times)) if times else None


async def steps(
    source: Source, walk: Walk, begun: Mapping[str, CursorState], seen: set[int]
) -> AsyncGenerator[Step]:
    """Read the catalogue from the cursors `begun`, a page at a time.

    Args:
        source: The site.
        walk: What to list.
        begun: The first cursors, by maturity pass.
        seen: The models that this pass has listed; grows during the walk. Without a limit, only the
            latest are kept: they only tell a model that both maturity passes list.

    Raises:
        SiteError: The site cannot be reached or refuses us, or its list goes in a circle.
    """
    if walk.model_ids:
        async for step in _models_by_id(source, walk):
            yield step
        return
    counted = CountedSource(source)
    models: list[Model] = []
    unreadable: list[str] = []
    left_out: list[str] = []
    distinct = calls = 0
    reached = undated = False
    async with AsyncExitStack() as stack:
        passes: dict[str, _MaturityPass] = {}
        for name, query in walk.maturity_passes.items():
            stretches = _from(counted, walk, query, begun[name])
            await stack.enter_async_context(aclosing(stretches))
            passes[name] = _MaturityPass(query.order, stretches, begun[name])
        while not reached:
            # A merge needs the next model of every pass, so empty queues are filled first.
            served = next((p for p in passes.values() if not p.queue and not p.state.ended), None)
            if served is not None:
                stretch = await served.read_on()
                unreadable += stretch.unreadable
                left_out += stretch.left_out
                undated = undated or stretch.undated
            elif not (filled := [p for p in passes.values() if p.queue]):
                return
            else:
                served = min(filled, key=lambda p: p.queue[0][0])
                _, model = served.queue.popleft()
                models.append(model)
                distinct += model.model_id not in seen
                seen.add(model.model_id)
                reached = walk.limit is not None and len(seen) >= walk.limit
                if walk.limit is None and len(seen) > REMEMBERED_MODELS:
                    seen.clear()
            if not served.queue:
                served.state = served.behind
            if not served.queue or reached:
                yield Step(
                    models=tuple(models),
                    distinct=distinct,
                    cursors={name: one.state for name, one in passes.items()},
                    unreadable=tuple(unreadable),
                    left_out=tuple(left_out),
                    undated=undated,
                    list_calls=counted.calls - calls,
                )
                models, unreadable, left_out = [], [], []
                distinct, calls, undated = 0, counted.calls, False


def _from(
    source: CountedSource, walk: Walk, query: ListQuery, begun: CursorState
) -> AsyncGenerator[Stretch]:
    """The list of a maturity pass, from OVERLAP before its cursor."""
    cursor = begun.cursor
    earlier = None if cursor is None or not walk.grows_at_its_end else moved(cursor, -OVERLAP)
    # A run that continues from the end of a pass does not list it anew to find models without a time.
    undated = begun.began_at is not None
    if earlier is None:
        return follow(source, query, cursor, undated=undated)
    return follow(source, query, earlier, otherwise=(cursor, None), undated=undated)


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
