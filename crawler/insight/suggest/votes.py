"""Weighted votes of many LoRAs on the values of settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.insight.suggest.settings import MAX_VALUES, Weighted
from crawler.store.stats.examples import Column

#: Places in the list of LoRAs.
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Votes:
    """What each LoRA has, and how much it counts.

    Attributes:
        weights: Positive whole numbers, so that sums are exact and do not depend on an order. Four
            times their sum is below 2**63.
        columns: By name, all as long as `weights`.
    """

    weights: npt.NDArray[np.int64]
    columns: Mapping[str, Column]

    def having(self, name: str, among: Places) -> Places:
        """Those among these LoRAs that have a value."""
        return np.compress(self.columns[name].codes[among] >= 0, among)

    def agreeing(self, name: str, value: Any, among: Places) -> Places:
        """Those among these LoRAs that have this value."""
        column = self.columns[name]
        return np.compress(column.codes[among] == column.values.index(value), among)

    def weight(self, places: Places) -> int:
        """The sum of the weights of these LoRAs."""
        return int(self.weights[places].sum())

    def values(self, name: str, having: Places) -> list[Weighted]:
        """The values with the largest weight, at most MAX_VALUES; ties go to more LoRAs, then to less."""
        column = self.columns[name]
        return self._heaviest(column.values, column.codes[having], having)

    def combinations(self, names: Sequence[str], required: Sequence[str]) -> list[Weighted]:
        """Combinations of values that LoRAs share; if there are none, those of single LoRAs.

        Only LoRAs that have the required columns count.
        """
        places = np.arange(len(self.weights))
        for name in required:
            places = self.having(name, places)
        codes = np.zeros(len(places), np.int64)
        for name in names:
            column = self.columns[name]
            codes = codes * (len(column.values) + 1) + column.codes[places] + 1
            codes = np.unique(codes, return_inverse=True)[1]
        _, firsts, counts = np.unique(codes, return_index=True, return_counts=True)
        combined = [
            tuple(self._value(name, places[first]) for name in names) for first in firsts.tolist()
        ]
        shared = counts[codes] > 1
        if shared.any():
            whole = self.weight(places)
            return self._heaviest(combined, codes[shared], places[shared], whole)
        return self._heaviest(combined, codes, places)

    def quartiles(self, name: str, having: Places) -> tuple[Any, Any, Any]:
        """The smallest values at which the cumulative weight reaches 25%, 50% and 75%."""
        column = self.columns[name]
        weights = self._weight_of_codes(column.codes[having], having, len(column.values))
        order = sorted(np.flatnonzero(weights).tolist(), key=column.values.__getitem__)
        reached = np.cumsum(weights[order])
        first, median, third = (
            column.values[order[int(np.searchsorted(reached * 4, reached[-1] * quarter))]]
            for quarter in (1, 2, 3)
        )
        return first, median, third

    def _value(self, name: str, place: int) -> Any:
        column = self.columns[name]
        code = column.codes[place]
        return None if code < 0 else column.values[code]

    def _weight_of_codes(
        self, codes: npt.NDArray[Any], places: Places, size: int
    ) -> npt.NDArray[np.int64]:
        # `bincount` would add floats.
        sums = np.zeros(size, np.int64)
        np.add.at(sums, codes, self.weights[places])
        return sums

    def _heaviest(
        self,
        values: Sequence[Any],
        codes: npt.NDArray[Any],
        places: Places,
        whole: int | None = None,
    ) -> list[Weighted]:
        counts = np.bincount(codes, minlength=len(values)).tolist()
        weights = self._weight_of_codes(codes, places, len(values)).tolist()
        total = whole or sum(weights)
        order = nsmallest(
            MAX_VALUES,
            (code for code, count in enumerate(counts) if count),
            key=lambda code: (-weights[code], -counts[code], *_place(values[code])),
        )
        return [Weighted(values[code], counts[code], weights[code] / total) for code in order]


def _place(value: Any) -> tuple[float, str]:
    """A sort key: numbers by size, everything else by its text."""
    if isinstance(value, int | float):
        return value, ""
    return 0, json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
