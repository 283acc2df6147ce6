"""The catalogue as a client finds it at one moment, and how the moments follow each other."""

from dataclasses import dataclass

from crawler.sandbox.entries import SETTLED, Stock
from crawler.sandbox.ranking import Ranking

_MOST_CACHED = 4096  # addresses in the edge's memory; far more than one window sees


@dataclass(frozen=True, slots=True)
class View:
    """One moment.

    Attributes:
        tick: List calls that this catalogue answered before; SETTLED when nothing moves any more.
        age: List calls since the edge kept this view; 0 when it is fresh.
    """

    stock: Stock
    ranking: Ranking
    tick: int = SETTLED
    age: int = 0


class World:
    """What a running sandbox serves: a catalogue, a clock that list calls drive, a cache in front.

    The cache keeps moments and no bodies: a moment makes the same body again.

    Args:
        stock: The catalogue.
        cached: For how many list calls the cache answers an address as it did before.
    """

    def __init__(self, stock: Stock, cached: int) -> None:
        self._cached = cached
        self._calls = 0
        self._kept: dict[str, tuple[int, View]] = {}
        self._begin(stock)

    def show(self, stock: Stock) -> None:
        """From now on another catalogue is served; what the cache keeps it keeps."""
        self._begin(stock)

    def _begin(self, stock: Stock) -> None:
        # one assignment, for another thread reads it
        self._begun = (stock, Ranking(stock), self._calls)

    @property
    def stock(self) -> Stock:
        """The catalogue of the moment."""
        return self._begun[0]

    @property
    def tick(self) -> int:
        """List calls that this catalogue has answered."""
        return self._calls - self._begun[2]

    def list_call(self, address: str | None) -> View:
        """The moment that a list call sees; the clock goes on.

        Args:
            address: By which the cache knows the answer; None goes past the cache.
        """
        stock, ranking, begun = self._begun
        call = self._calls
        self._calls += 1
        if address is None or not self._cached:
            return View(stock, ranking, call - begun)
        kept_at, kept = self._kept.get(address, (call, None))
        if kept is not None and call - kept_at < self._cached:
            return View(kept.stock, kept.ranking, kept.tick, call - kept_at)
        view = View(stock, ranking, call - begun)
        self._kept.pop(address, None)
        self._kept[address] = (call, view)
        if len(self._kept) > _MOST_CACHED:
            del self._kept[next(iter(self._kept))]
        return view
