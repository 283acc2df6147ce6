"""Numbers, times and sizes as people say them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from crawler.answers import text
from crawler.store.schema.fields import BY_NAME


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (1010, "1,010"),
        (-5, "-5"),
        (16.0, "16"),
        (0.0005, "5e-4"),
        (0.001, "0.001"),
        (1e-05, "1e-5"),
        (0.00015, "1.5e-4"),
        (0.00010000000000000002, "1e-4"),
        (9.999999747378752e-05, "1e-4"),
        (0.30000000000000004, "0.3"),
        (0.0357, "0.0357"),
        (-2.5e-4, "-2.5e-4"),
        (1234567.25, "1,234,567"),
        (Decimal("32.0"), "32"),
        (1234.5, "1,234.5"),
        (1e300, "1e300"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_short_and_have_no_dust(value: float, told: str) -> None:
    assert text.number(value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.32488, "0.325"),
        (1234.567, "1,235"),
        (0.0, "0"),
        (7, "7"),
        (2.5e-06, "2.5e-6"),
        (-0.00012345, "-1.23e-4"),
    ],
)
def test_measured_numbers_are_cut(value: float, told: str) -> None:
    assert text.rounded(value) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 seconds"),
        (0.2, "less than a second"),
        (1, "1 second"),
        (90, "90 seconds"),
        (656.277, "11 minutes"),
        (5_999, "100 minutes"),
        (6_000, "1 hour 40 minutes"),
        (7_200, "2 hours"),
        (100_000, "27 hours 47 minutes"),
        (200_000, "2 days 8 hours"),
        (172_800, "2 days"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert text.duration(seconds) == told


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (37_861_176, "37.9 MB"),
        (10**16, "10.0 PB"),
    ],
)
def test_sizes(length: int, told: str) -> None:
    assert text.size(length) == told


@pytest.mark.parametrize(
    ("part", "told"),
    [(0.0, "0%"), (0.001, "<1%"), (0.124, "12%"), (0.999, ">99%"), (1.0, "100%")],
)
def test_shares_never_say_all_or_none_when_it_is_not(part: float, told: str) -> None:
    assert text.share(part) == told


def test_instants_are_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert text.instant(datetime(2024, 5, 1, 1, 0, tzinfo=east)) == "2024-04-30 23:00"
    assert text.instant(datetime(2024, 5, 1, microsecond=5, tzinfo=UTC)) == "2024-05-01 00:00"
    assert text.cell(datetime(2024, 5, 1, 1, 0, tzinfo=east)) == "2024-04-30T23:00:00Z"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("file_id", 1234567, "1234567"),
        ("seed", 1234567, "1234567"),
        ("resolution", 1024.0, "1024"),
        ("resolution", 886.8104, "886.8"),
        ("min_bucket_reso", 1024, "1024"),
        ("network_alpha", 32.0, "32"),
        ("steps", 12000, "12,000"),
        ("seconds_per_image", 0.5661, "0.57"),
        ("megapixels_seen", 770.70336, "770.7"),
        ("learning_rate", 0.00010000000000000002, "1e-4"),
    ],
)
def test_a_number_is_written_as_its_field_is_measured(name: str, value: float, told: str) -> None:
    assert text.figure(value, BY_NAME[name]) == told


def test_a_statistic_is_rounded() -> None:
    assert text.figure(1520.5123, BY_NAME["steps"], is_statistic=True) == "1,521"
    assert text.figure(2 / 3) == "0.666667"
    assert text.figure(2 / 3, is_statistic=True) == "0.6667"


def test_lists_and_counts() -> None:
    assert [text.listed(list("abc"[:size])) for size in range(4)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert text.count(1, "image") == "1 image"
    assert text.count(2020, "image") == "2,020 images"
    assert text.count(2, "body", "bodies") == "2 bodies"


@pytest.mark.parametrize(
    ("part", "drawn"), [(0, ""), (0.001, "▏"), (0.5, "████"), (1, "████████"), (7, "████████")]
)
def test_bars(part: float, drawn: str) -> None:
    assert text.bar(part, 8) == drawn


def test_plain_bars() -> None:
    assert text.bar(0.5, 8, plain=True) == "####"
