"""Quartiles and bins of numbers in ascending order."""

import math
import statistics
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
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
    scale,
    spread,
)
from crawler.query.fields import Field
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.numbers import Numbers, together

#: A number without a unit, a rate, a duration and an amount of images.
NUMBER, RATE, TIME, IMAGES = (
    BY_NAME[name] for name in ("likes", "unet_lr", "training_seconds", "image_count")
)

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(FLOATS, min_size=1) | st.lists(st.integers(-(2**53), 2**53), min_size=1)


def ascending(values: Iterable[float]) -> Numbers:
    return np.sort(np.array(list(values)))


def test_equal_values_weigh_as_many_as_they_are() -> None:
    values = [1, 1, 1, 2, 5, 5, 9, 30]
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")

    assert spread(ascending(values)) == Spread(8, 1, first, median, third, 30)
    assert spread(ascending([])) is None
    assert spread(ascending([7, 7, 7])) == Spread(3, 7, 7.0, 7.0, 7.0, 7)


def test_groups_are_put_together() -> None:
    groups = {"Pony": ascending([1, 1, 3]), None: ascending([2])}

    assert together(groups).tolist() == [1, 1, 2, 3]
    assert together({}).tolist() == []


def test_few_values_have_a_bin_each() -> None:
    values = ascending([64, *[8] * 5, 16, 16])
    on = scale(values, NUMBER)

    assert on == Scale((8, 16, 64), exact=True)
    assert bins(values, on) == (Bin(8, 8, 5), Bin(16, 16, 2), Bin(64, 64, 1))
    assert bins(ascending([16] * 4), on) == (Bin(8, 8, 0), Bin(16, 16, 4), Bin(64, 64, 0))
    assert scale(ascending([]), NUMBER) == Scale((), exact=True)


def test_rates_are_put_into_bins_that_grow() -> None:
    rates = [1.1 * 10.0**-power * step for power in range(3, 7) for step in (1, 2, 3, 6)] * 10

    wider = [*rates, *[1.1e-9] * 10, *[1.1] * 10]

    assert scale(ascending(rates), RATE).starts == (
        *(1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5),
        *(1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3),
    )
    assert scale(ascending(wider), RATE).starts == (
        1e-9,
        1e-8,
        1e-7,
        1e-6,
        1e-5,
        1e-4,
        1e-3,
        1e-2,
        1e-1,
        1.0,
    )


def test_a_rate_of_nothing_lies_below_the_others() -> None:
    values = ascending([*[10.0 ** -(n / 5) for n in range(10, 30)] * 10, *[0.0] * 7])
    found = bins(values, scale(values, RATE))

    assert (found[0].low, found[0].count) == (None, 7)
    assert found[0].high == 1e-6


def test_numbers_close_to_each_other_are_put_into_equal_bins() -> None:
    values = ascending(range(8, 300))
    on = scale(values, NUMBER)

    assert on.starts == (0.0, 50.0, 100.0, 150.0, 200.0, 250.0)
    assert bins(values, on)[-1] == Bin(250.0, None, 50)
    assert bins(values, on)[0] == Bin(0.0, 50.0, 42)


def test_rates_times_and_images_get_bins_that_grow_sooner() -> None:
    values = ascending([n / 8 for n in range(8, 160)])
    steps = (1, 1.5, 2, 3, 5, 7, 10, 15)

    assert scale(values, NUMBER).starts == (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0)
    assert scale(values, IMAGES).starts == scale(values, RATE).starts == steps
    assert scale(ascending([n / 80 for n in range(8, 160)]), TIME).starts[:3] == (0.1, 0.15, 0.2)


def test_one_liar_does_not_press_the_others_together() -> None:
    values = ascending([*[n / 10 for n in range(1, 40)] * 10, 1e300])
    on = scale(values, NUMBER)

    assert max(on.starts) < 10
    assert bins(values, on)[-1].count > 1


def test_durations_get_bins_that_people_think_in() -> None:
    values = ascending([60 * 1.3**n for n in range(20)] * 10)

    assert set(scale(values, TIME).starts) <= set(CLOCK)


@given(VALUES, st.sampled_from((NUMBER, RATE, TIME)))
def test_bins_take_every_row_once(numbers: list[float], field: Field) -> None:
    values = ascending(numbers)
    on = scale(values, field)
    found = bins(values, on)

    assert sum(one.count for one in found) == len(numbers)
    assert len(on.starts) <= MAX_BINS
    assert all(low < high for low, high in pairwise(on.starts))
    assert all(map(math.isfinite, on.starts))
    for one in found:
        assert one.count == sum(
            (one.low is None or one.low <= value)
            and (one.high is None or value < one.high or one.low == one.high == value)
            for value in numbers
        )


@given(VALUES)
def test_a_spread_is_in_order(numbers: list[float]) -> None:
    found = spread(ascending(numbers))
    assert found is not None
    values = (found.minimum, found.quartile1, found.median, found.quartile3, found.maximum)

    assert found.count == len(numbers)
    for lower, upper in pairwise(values):
        assert lower <= upper or lower == pytest.approx(upper, rel=1e-12)
