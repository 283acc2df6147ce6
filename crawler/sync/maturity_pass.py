"""One maturity pass of a walk while it is being read."""

from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

from crawler.model import Model, Order
from crawler.model.walk import CursorState
from crawler.sync.lists import Stretch

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

#: A place in an order: the smaller one comes first.
Rank: TypeAlias = tuple[int, datetime]


@dataclass(slots=True)
class Pass:
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
    last_rank: Rank = (-(2**63), _LONG_AGO)

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
