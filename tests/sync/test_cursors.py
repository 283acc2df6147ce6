"""The known forms of cursors."""

from datetime import UTC, datetime, timedelta

import pytest

from crawler.model import ListQuery, Order
from crawler.sync.cursors import following, is_undated, later, model_of, moved, time_of

OLDEST = ListQuery(order=Order.OLDEST)


@pytest.mark.parametrize(
    ("cursor", "before"),
    [
        ("2026-03-01 00:30:00|71", "2026-02-27 00:30:00.000|71"),
        ("2026-03-01 00:30:00.12|71", "2026-02-27 00:30:00.120|71"),
        ("2024-09-15T02:47:40.810Z", "2024-09-13T02:47:40.810Z"),
        ("2024-03-01 00:00:00:810:71", None),
        ("2026-02-31 00:00:00|71", None),
        ("0001-01-01 00:00:00|71", None),
        ("932023|75363|71", None),
        ("eyJ0IjoxfQ==", None),
        ("", None),
    ],
)
def test_only_known_times_are_moved(cursor: str, before: str | None) -> None:
    assert moved(cursor, timedelta(days=-2)) == before


def test_the_parts_of_a_cursor() -> None:
    assert time_of("2026-03-01 00:30:00.12|71") == datetime(2026, 3, 1, 0, 30, 0, 120_000, UTC)
    assert [following(one) for one in ("a|9|71", "100", "word", "2024-09-15T02:47:40.810Z")] == [
        "a|9|72",
        "101",
        None,
        None,
    ]
    assert [model_of(one) for one in ("a|9|71", "100", None)] == ["71", None, None]
    assert later("2026-03-01 00:00:00.5|1", "2026-03-01 00:00:00|9") == "2026-03-01 00:00:00.5|1"
    assert [later("word", "other"), later(None, "other"), later("word", None)] == ["other"] * 2 + [
        None
    ]
    assert [is_undated(OLDEST, one) for one in ("|71", "5|71", None)] == [True, False, False]
    assert not is_undated(ListQuery(order=Order.HIGHEST_RATED), "|71")
