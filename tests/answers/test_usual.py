"""Where a number lies among those of its base model."""

import pytest

from crawler.answers.lora import Usual

TENTHS = tuple(sorted([8] * 10 + [16] * 30 + [32] * 40 + [64] * 21))


@pytest.mark.parametrize(
    ("value", "rank"), [(4, 0), (8, 5), (12, 10), (16, 25), (32, 59), (64, 90), (65, 100)]
)
def test_the_rank_counts_who_has_less_and_half_of_those_with_the_same(
    value: int, rank: int
) -> None:
    assert Usual(500, 16, 32, 32, TENTHS).rank(value) == rank


def test_without_percentiles_there_is_no_rank() -> None:
    assert Usual(500, 16, 32, 32).rank(32) is None
