"""Quartiles and bins of counted values."""

import math
import statistics
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.insight.distribution import (
    CLOCK,
    MAX_BINS,
    Bin,
    Scale,
    Spread,
    bins,
    pooled,
    scale,
    spread,
)

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTED = st.dictionaries(FLOATS | st.integers(-(2**63), 2**63 - 1), st.integers(1, 9), min_size=1)


def test_equal_values_weigh_as_many_as_they_are() -> None:
    values = [1, 1, 1, 2, 5, 5, 9, 30]
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")

    assert spread(Counter(values)) == Spread(8, 1, first, median, third, 30)
    assert spread({}) is None
    assert spread({7: 3}) == Spread(3, 7, 7.0, 7.0, 7.0, 7)


def test_groups_are_pooled() -> None:
    assert pooled([{1: 2, 3: 1}, {}, {1: 1}]) == {1: 3, 3: 1}


def test_few_values_have_a_bin_each() -> None:
    counted: dict[float, int] = {64: 1, 8: 5, 16: 2}
    on = scale(counted)

    assert on == Scale((8, 16, 64), exact=True)
    assert bins(counted, on) == (Bin(8, 8, 5), Bin(16, 16, 2), Bin(64, 64, 1))
    assert bins({16: 4}, on) == (Bin(8, 8, 0), Bin(16, 16, 4), Bin(64, 64, 0))
    assert scale({}) == Scale((), exact=True)


def test_rates_are_put_into_bins_that_grow() -> None:
    rates = {1.1 * 10.0**-power * step: 10 for power in range(3, 7) for step in (1, 2, 3, 6)}

    wider = rates | {1.1e-9: 10, 1.1: 10}

    assert scale(rates).starts == (
        *(1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5),
        *(1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3),
    )
    assert scale(wider).starts == (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def test_a_rate_of_nothing_lies_below_the_others() -> None:
    counted = {10.0 ** -(n / 5): 10 for n in range(10, 30)} | {0.0: 7}
    found = bins(counted, scale(counted))

    assert (found[0].low, found[0].count) == (None, 7)
    assert found[0].high == 1e-6


def test_numbers_close_to_each_other_are_put_into_equal_bins() -> None:
    counted: dict[float, int] = dict.fromkeys(range(8, 300), 1)
    on = scale(counted)

    assert on.starts == (0.0, 50.0, 100.0, 150.0, 200.0, 250.0)
    assert bins(counted, on)[-1] == Bin(250.0, None, 50)
    assert bins(counted, on)[0] == Bin(0.0, 50.0, 42)


def test_one_liar_does_not_press_the_others_together() -> None:
    counted = {n / 10: 10 for n in range(1, 40)}
    on = scale(counted | {1e300: 1})

    assert max(on.starts) < 10
    assert bins(counted | {1e300: 1}, on)[-1].count > 1


def test_durations_get_bins_that_people_think_in() -> None:
    counted = {60 * 1.3**n: 10 for n in range(20)}

    assert set(scale(counted, clock=True).starts) <= set(CLOCK)


@given(COUNTED, st.booleans())
def test_bins_take_every_row_once(counted: dict[float, int], clock: bool) -> None:  # noqa: FBT001
    on = scale(counted, clock=clock)
    found = bins(counted, on)

    assert sum(one.count for one in found) == sum(counted.values())
    assert len(on.starts) <= MAX_BINS
    assert all(low < high for low, high in pairwise(on.starts))
    assert all(map(math.isfinite, on.starts))
    for value, number in counted.items():
        homes = [
            one
            for one in found
            if (one.low is None or one.low <= value)
            and (one.high is None or value < one.high or one.low == one.high == value)
        ]
        assert len(homes) == 1
        assert homes[0].count >= number


@given(COUNTED)
def test_a_spread_is_in_order(counted: dict[float, int]) -> None:
    found = spread(counted)
    assert found is not None
    values = (found.minimum, found.quartile1, found.median, found.quartile3, found.maximum)

    assert found.count == sum(counted.values())
    for lower, upper in pairwise(values):
        assert lower <= upper or lower == pytest.approx(upper, rel=1e-12)
