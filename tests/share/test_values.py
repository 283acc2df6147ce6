"""Which values of another database are stored, and what is told of the others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crawler.share.values import UnfitError, read_row, tables
from tests.factories import NOW

TABLES = tables(NOW, 1_000)

#: Microseconds since 1970 of a time in the year 20,000.
YEAR_20000 = 568_971_820_800_000_000


def read(table: str, column: str, raw: Any) -> Any:
    return read_row({column: TABLES[table][column]}, [raw])[column]


@pytest.mark.parametrize(
    ("table", "column", "raw", "told"),
    [
        ("models", "model_id", 0, "0 is no id"),
        ("versions", "model_id", -1, "-1 is no id of a site"),
        ("loras", "version_id", -(2**63), "is no id of a site"),
        ("models", "model_id", None, "“None” is no integer of 64 bits"),
        ("models", "model_id", True, "“True” is no integer of 64 bits"),
        ("models", "model_id", 2**63, "an integer beyond 64 bits is no integer of 64 bits"),
        ("models", "model_id", 1.0, "“1.0” is no integer of 64 bits"),
        ("models", "model_id", b"1", "“1” is no integer of 64 bits"),
        ("models", "site", b"elsewhere", "“elsewhere” is another site"),
        ("models", "site", None, "“None” is another site"),
        ("models", "name", b"a\0b", "“a\ufffdb” has characters that cannot be stored"),
        ("models", "name", "\ud800", "“\ufffd” has characters that cannot be stored"),
        ("models", "name", b"\xed\xa0\x80", "it is no text in UTF-8"),
        ("models", "name", 5, "“5” is no text"),
        ("models", "name", [300_000], "300,000 bytes are too many"),
        ("models", "tags", b"[1, 2]", "it is no list of texts"),
        ("models", "tags", b'{"a": 1}', "it is no list of texts"),
        ("models", "tags", b"[", "it is no JSON"),
        ("models", "body", b"[]", "it is no JSON object"),
        ("models", "body", b"[" * 100_000, "it is no JSON"),
        ("models", "body", b"1" * 10_000, "it is no JSON"),
        ("models", "likes", -1, "-1 is negative"),
        ("models", "nsfw", 1, "“1” is neither true nor false"),
        ("models", "last_seen_at", None, "it is missing"),
        ("models", "last_seen_at", YEAR_20000, "is no time of the years 1 to 9999"),
        ("models", "last_seen_at", 2**62, "is no time of the years 1 to 9999"),
        ("models", "last_seen_at", b"9998-01-01", "9998-01-01 is in the future"),
        ("models", "gone_at", b"infinity", "“infinity” is no time of the years 1 to 9999"),
        ("versions", "published_at", b"0001-01-01 00:00:00+23:59", "is no time of the years"),
        ("loras", "sha256", b"not a hash", "“not a hash” is no hash"),
        ("loras", "sha256", b"A" * 65, "is no hash"),
        ("loras", "outcome", b"excellent", "“excellent” is no outcome"),
        ("loras", "outcome", None, "“None” is no outcome"),
        ("headers", "data", None, "it is missing"),
        ("headers", "data", "text", "“text” is no bytes"),
        ("headers", "list_digest", b"short", "5 bytes are no SHA-256"),
        ("headers", "list_start", -1, "-1 is negative"),
    ],
)
def test_what_cannot_be_stored_is_told(table: str, column: str, raw: Any, told: str) -> None:
    with pytest.raises(UnfitError) as error:
        read(table, column, raw)
    assert str(error.value).startswith(f"{column}: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("table", "column", "raw", "value"),
    [
        ("models", "model_id", 2**63 - 1, 2**63 - 1),
        ("models", "name", "空".encode(), "空"),
        ("models", "name", "空", "空"),
        ("models", "tags", b'["a", ""]', ["a", ""]),
        ("models", "tags", None, None),
        (
            "models",
            "body",
            b'{"a": 1e300, "b": 1e999, "c": NaN}',
            {"a": 1e300, "b": None, "c": None},
        ),
        ("models", "body", b'{"a": ' + b"9" * 30 + b"}", {"a": 1e30}),
        ("models", "nsfw", False, False),
        ("models", "last_seen_at", 0, datetime(1970, 1, 1, tzinfo=UTC)),
        (
            "models",
            "last_seen_at",
            b"2026-01-02 03:04:05.6",
            datetime(2026, 1, 2, 3, 4, 5, 600_000, UTC),
        ),
        ("models", "gone_at", None, None),
        (
            "versions",
            "published_at",
            b"9999-12-31 23:59:59",
            datetime(9999, 12, 31, 23, 59, 59, 0, UTC),
        ),
        ("loras", "sha256", b"ABC", "ABC"),
        ("headers", "list_digest", None, None),
        ("headers", "list_digest", bytes(32), bytes(32)),
    ],
)
def test_what_is_stored(table: str, column: str, raw: Any, value: Any) -> None:
    assert read(table, column, raw) == value


def test_another_clock_may_be_a_little_ahead() -> None:
    ahead = NOW + timedelta(hours=23)
    assert read("models", "last_seen_at", ahead.isoformat()) == ahead
