"""Choose the settings of a starting recipe from well-liked LoRAs of one kind. Pure.

The weight of a LoRA is its likes per month, so that its age does not matter. A setting gets the value
with the largest weight, or the weighted median. Dependent settings are chosen together: learning rates
come from LoRAs with the chosen optimizer.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from crawler.insight.distribution import Bin, bins, scale
from crawler.insight.suggest.settings import (
    CHARTED,
    COMBINED,
    MAX_VALUES,
    REQUIRED,
    SETTINGS,
    Advice,
    Finding,
    Setting,
    Weighted,
)
from crawler.store.stats.examples import Example

#: The mean length of a month.
MONTH = timedelta(days=365.25 / 12)

#: An optional setting is suggested if LoRAs with this share of the weight set it.
_MOST = 0.5

#: The columns whose values an example must have, in this order.
COLUMNS = tuple(setting.name for setting in SETTINGS)


@dataclass(frozen=True, slots=True)
class _Votes:
    """The examples that count, the largest weight first, with their weights and values by column."""

    examples: Sequence[Example]
    weights: Sequence[float]
    columns: Mapping[str, Sequence[Any]]

    def weight(self, numbers: Iterable[int]) -> float:
        """The sum of the weights of these examples."""
        return sum(self.weights[number] for number in numbers)


def advise(examples: Sequence[Example], now: datetime) -> Advice:
    """The starting recipe.

    Args:
        examples: One for each LoRA, with the values of COLUMNS.
        now: Aware; likes are counted up to this time.
    """
    weights = [_monthly(example, now) for example in examples]
    is_weighted = any(weights)
    kept = [
        (weight or 1.0, example)
        for weight, example in zip(weights, examples, strict=True)
        if weight or not is_weighted
    ]
    kept.sort(key=lambda pair: (-pair[0], pair[1].file_id))
    votes = _Votes(
        examples=[example for _, example in kept],
        weights=[weight for weight, _ in kept],
        columns={name: [one.values[at] for _, one in kept] for at, name in enumerate(COLUMNS)},
    )
    findings: dict[str, Finding] = {}
    for setting in SETTINGS:
        finding = _find(setting, votes, findings)
        if finding is not None:
            findings[setting.name] = finding
    return Advice(
        loras=len(kept),
        creators=len({example.creator for example in votes.examples}),
        weightless=len(weights) - len(kept),
        is_weighted=is_weighted,
        half=_half(votes.weights),
        top_creator=_top_creator(votes),
        findings=findings,
        combinations=_combinations(votes),
        examples=_examples(votes),
    )


def _monthly(example: Example, now: datetime) -> float:
    """Likes per month; 0 where they are unknown."""
    if not example.likes or example.likes < 0 or example.published_at is None:
        return 0.0
    # The likes of a first week say nothing about a month.
    return example.likes / max((now - example.published_at) / MONTH, 1.0)


def _find(setting: Setting, votes: _Votes, findings: Mapping[str, Finding]) -> Finding | None:
    """The values of a setting; None if no LoRA has it, or if the recipe turns it off."""
    among: Sequence[int] = range(len(votes.weights))
    given = []
    for name in setting.given:
        above, column = findings.get(name), votes.columns[name]
        if above is None and all(value is None for value in column):
            continue  # no LoRA has it, so it cannot decide
        if above is None or above.chosen is None or above.chosen is False:
            return None
        given.append((name, above.chosen))
        among = [at for at in among if column[at] == above.chosen]
    column = votes.columns[setting.name]
    having = [at for at in among if column[at] is not None]
    if not having:
        return None
    values = _values(column, votes, having)
    share = votes.weight(having) / votes.weight(among)
    quartiles = _quartiles(column, votes, having) if setting.is_measure else None
    chosen = values[0].value if quartiles is None else quartiles[1]
    return Finding(
        setting=setting,
        given=tuple(given),
        among=len(among),
        count=len(having),
        share=share,
        chosen=None if setting.is_optional and share < _MOST else chosen,
        values=tuple(values[:MAX_VALUES]),
        quartiles=quartiles,
        histogram=_histogram(column, having) if setting.name in CHARTED else (),
    )


def _values(column: Sequence[Any], votes: _Votes, numbers: Sequence[int]) -> list[Weighted]:
    """Every value, the largest weight first; ties go to more LoRAs, then to the smaller value."""
    whole = votes.weight(numbers)
    counts: dict[Hashable, int] = defaultdict(int)
    weights: dict[Hashable, float] = defaultdict(float)
    originals: dict[Hashable, Any] = {}
    for at in numbers:
        value = column[at]
        # Objects cannot be keys; their text can.
        key = json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
        counts[key] += 1
        weights[key] += votes.weights[at]
        originals.setdefault(key, value)
    order = sorted(counts, key=lambda key: (-weights[key], -counts[key], *_place(key)))
    return [Weighted(originals[key], counts[key], weights[key] / whole) for key in order]


def _place(key: Hashable) -> tuple[float, str]:
    """A sort key: numbers by size, everything else by its text."""
    return (key, "") if isinstance(key, int | float) else (0, str(key))


def _quartiles(
    column: Sequence[Any], votes: _Votes, numbers: Sequence[int]
) -> tuple[Any, Any, Any]:
    """The weighted quartiles: the smallest values at which the cumulative weight reaches 25%, 50% and 75%."""
    ordered = sorted((column[at], votes.weights[at]) for at in numbers)
    reached = list(accumulate(weight for _, weight in ordered))
    first, median, third = (
        ordered[bisect_left(reached, reached[-1] * quarter / 4)][0] for quarter in (1, 2, 3)
    )
    return first, median, third


def _histogram(column: Sequence[Any], numbers: Iterable[int]) -> tuple[Bin, ...]:
    counted = Counter(column[at] for at in numbers)
    return bins(counted, scale(counted))


def _half(weights: Sequence[float]) -> int:
    """How many weights, counted from the first, add up to half of the sum."""
    reached = list(accumulate(weights))
    return bisect_left(reached, reached[-1] / 2) + 1 if reached else 0


def _top_creator(votes: _Votes) -> tuple[str | None, float] | None:
    weights: dict[str | None, float] = defaultdict(float)
    for example, weight in zip(votes.examples, votes.weights, strict=True):
        weights[example.creator] += weight
    if not weights:
        return None
    name = min(weights, key=lambda name: (-weights[name], name or ""))
    return name, weights[name] / sum(votes.weights)


def _combinations(votes: _Votes) -> tuple[Weighted, ...]:
    """Combinations of values that LoRAs share; if there are none, those of single LoRAs."""
    combined = list(zip(*(votes.columns[name] for name in COMBINED), strict=True))
    required = [COMBINED.index(name) for name in REQUIRED]
    having = [
        at for at, one in enumerate(combined) if all(one[place] is not None for place in required)
    ]
    found = _values(combined, votes, having)
    shared = [one for one in found if one.count > 1]
    return tuple((shared or found)[:MAX_VALUES])


def _examples(votes: _Votes) -> tuple[tuple[Example, float], ...]:
    """The LoRAs with the largest weight, one for each creator."""
    firsts: dict[str | None, tuple[Example, float]] = {}
    for example, weight in zip(votes.examples, votes.weights, strict=True):
        firsts.setdefault(example.creator, (example, weight))
    return tuple(firsts.values())[:MAX_VALUES]
