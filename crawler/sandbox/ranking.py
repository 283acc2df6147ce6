"""The orders of a catalogue and the cursors into them."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from heapq import merge
from typing import overload

from crawler.sandbox.dates import milliseconds, postgres
from crawler.sandbox.entries import SETTLED, Sort, Stock
from crawler.sandbox.questions import RefusedError

# A row of an order is one number of 64 bits: two counts, or a time, above the model's position
_POSITION_BITS = 24
_COUNT_BITS = 20
_MOST = (1 << _COUNT_BITS) - 1
_POSITIONS = (1 << _POSITION_BITS) - 1
_FIRST_TIME = 1_420_070_400_000  # milliseconds of Unix time, 2015: older than every LoRA
_LAST_TIME = (1 << 40) - 1  # milliseconds behind it, in the year 2049
_REMEMBERED_TICKS = 4  # pages asked for at the same time rarely lie further apart
_BY_TIME = (Sort.NEWEST, Sort.OLDEST)
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class Ranking:
    """The orders of one catalogue, each made when it is first asked for.

    A cursor is the sort tuple of the first row that the page before left over. Models that rest
    have their place once and for all; the restless few are sorted for each tick, and merged in.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._resting = lru_cache(len(Sort))(self._make_resting)
        self._moved = lru_cache(_REMEMBERED_TICKS)(self._make_moved)

    def rows(
        self,
        sort: Sort,
        floor: int,
        only: Collection[int] | None = None,
        tick: int = SETTLED,
    ) -> Iterator[int]:
        """The positions of models in this order.

        Args:
            sort: The order.
            floor: What `floor` says of a cursor.
            only: The positions that matter, None for all.
            tick: When.
        """
        if only is not None:
            rows = iter(sorted(self._row(sort, position, tick) for position in only))
            found = (row for row in rows if row >= floor)
        else:
            moved = self._moved(sort, min(tick, self._stock.settled_after))
            found = merge(self._rested(sort, floor), moved[bisect_left(moved, floor) :])
        for row in found:
            yield _position(sort, row)

    def _rested(self, sort: Sort, floor: int) -> Iterator[int]:
        rows, restless = self._resting(sort), self._stock.restless
        for place in range(bisect_left(rows, floor), len(rows)):
            row = rows[place]
            if _position(sort, row) not in restless:
                yield row

    def cursor(self, sort: Sort, position: int, tick: int = SETTLED) -> str:
        """The cursor that leads to the model at `position` (with Newest: right behind it)."""
        model_id = self._stock.traits(position).model_id
        if sort in _BY_TIME:
            return f"{postgres(self._stock.last_version_at(position, tick))}|{model_id}"
        first, second = self._stock.counts(position, sort, tick)
        return f"{first}|{second}|{model_id}"

    def floor(self, sort: Sort, cursor: str | None) -> int:
        """The lowest row that a cursor lets through, 0 without one.

        Raises:
            RefusedError: The cursor belongs to another sort, or to none.
        """
        if cursor is None:
            return 0
        parts = cursor.split("|")
        wanted = 2 if sort in _BY_TIME else 3
        if len(parts) != wanted:
            message = f"Invalid cursor: expected {wanted} value(s) for this sort"
            raise RefusedError(400, {"message": f"{message}, received {len(parts)}"})
        if sort in _BY_TIME:
            time, position = _time(parts[0]), self._position_from(_number(parts[1]))
            if sort is Sort.OLDEST:  # everything of this time comes again, whatever its id
                return _forwards(time, 0)
            return _backwards(time, position) + 1  # the row of the cursor itself never comes
        first, second, model_id = map(_number, parts)
        return _downwards(first, second, self._position_from(model_id))

    def _position_from(self, model_id: int) -> int:
        """The position of the first model with this id or a higher one."""
        positions = range(len(self._stock))
        return bisect_left(positions, model_id, key=lambda at: self._stock.traits(at).model_id)

    def _row(self, sort: Sort, position: int, tick: int) -> int:
        if sort in _BY_TIME:
            return _at_time(sort, self._stock.last_version_at(position, tick), position)
        return _downwards(*self._stock.counts(position, sort, tick), position)

    def _make_moved(self, sort: Sort, tick: int) -> Sequence[int]:
        return sorted(self._row(sort, position, tick) for position in self._stock.restless)

    def _make_resting(self, sort: Sort) -> Sequence[int]:
        """The rows of every model as if all were resting."""
        stock, size = self._stock, len(self._stock)
        if sort not in _BY_TIME:
            return array("Q", sorted(self._row(sort, place, SETTLED) for place in range(size)))
        if not stock.in_time_order:
            rows = (_at_time(sort, stock.resting_at(place), place) for place in range(size))
            return array("Q", sorted(rows))
        last = size - 1

        def at(place: int) -> int:
            position = place if sort is Sort.OLDEST else last - place
            return _at_time(sort, stock.resting_at(position), position)

        return _Computed(size, at)


class _Computed(Sequence[int]):
    """Numbers in ascending order that are made when they are looked at."""

    def __init__(self, size: int, at: Callable[[int], int]) -> None:
        self._size = size
        self._at = at

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: int | slice) -> int | list[int]:
        if isinstance(place, slice):
            return [self._at(at) for at in range(self._size)[place]]
        return self._at(range(self._size)[place])


def _position(sort: Sort, row: int) -> int:
    position = row & _POSITIONS
    return _POSITIONS - position if sort is Sort.NEWEST else position


def _at_time(sort: Sort, time: int, position: int) -> int:
    return _forwards(time, position) if sort is Sort.OLDEST else _backwards(time, position)


def _forwards(time: int, position: int) -> int:
    return _since(time) << _POSITION_BITS | position


def _backwards(time: int, position: int) -> int:
    return (_LAST_TIME - _since(time)) << _POSITION_BITS | (_POSITIONS - position)


def _since(time: int) -> int:
    return min(max(time - _FIRST_TIME, 0), _LAST_TIME)


def _downwards(first: int, second: int, position: int) -> int:
    """Higher counts make a lower number; positions ascend."""
    high, low = _MOST - min(max(first, 0), _MOST), _MOST - min(max(second, 0), _MOST)
    return (high << _COUNT_BITS | low) << _POSITION_BITS | position


def _number(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        message = f'Invalid cursor: unparseable numeric value "{text}"'
        raise RefusedError(400, {"message": message})
    return int(text)


def _time(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError:
        message = f'Invalid cursor: unparseable date value "{text}"'
        raise RefusedError(400, {"message": message}) from None
