"""Every storable value comes back equal from both databases."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.query.fields import Kind
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import loras
from tests.stored import insert_loras

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "NULL",
            "'; drop table loras; --",
            "%s %(a)s :a ?",
            "\\",
            "\ufeff",
            "\u202e",
            "🧱",
        ]
    ),
)
TIMES = st.datetimes(timezones=st.just(UTC))
LISTS = st.lists(st.one_of(TEXTS, INT64, FLOATS, st.none()), max_size=5)
OBJECTS = st.recursive(
    st.dictionaries(TEXTS, st.one_of(TEXTS, INT64, FLOATS, st.booleans(), st.none()), max_size=4),
    lambda inner: st.dictionaries(TEXTS, st.one_of(inner, st.lists(inner, max_size=3)), max_size=3),
    max_leaves=6,
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INTEGER: INT64,
    Kind.NUMBER: FLOATS,
    Kind.TEXT: TEXTS,
    Kind.BOOLEAN: st.booleans(),
    Kind.TIME: TIMES,
    Kind.LIST: LISTS,
    Kind.OBJECT: OBJECTS,
}
REQUIRED = {"version_id", "model_id", "site", "outcome", "attempts"}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row of `loras` with some columns of each kind, the others NULL."""
    row: dict[str, Any] = {field.name: None for field in FIELDS}
    row |= {"file_id": 1, "version_id": 1, "model_id": 1, "site": "x", "outcome": "x"}
    row["attempts"] = 0
    for kind, values in VALUES.items():
        names = [f.name for f in FIELDS if f.kind is kind and f.name not in ("file_id", "sha256")]
        names = [name for name in names if name not in ("autov2", "autov3", "base_model", "site")]
        for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
            row[name] = draw(values)
    return row


def _comes_back(engine: sa.Engine, row: dict[str, Any]) -> dict[str, Any]:
    with engine.connect() as connection, connection.begin() as transaction:
        insert_loras(connection, [row])
        back = connection.execute(sa.select(loras)).mappings().one()
        transaction.rollback()
    return dict(back)


def _same(one: object, other: object) -> bool:
    """Equal, where a float in JSON may come back as the integer that PostgreSQL wrote it as."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(_same, one, other))
        case float(), int() | float():
            return one == float(other)
        case _:
            return type(one) is type(other) and one == other


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows())
def test_rows_come_back_equal(engine: sa.Engine, row: dict[str, Any]) -> None:
    back = _comes_back(engine, row)

    for name, value in row.items():
        assert _same(value, back[name]), name


NASTY: list[tuple[str, Any]] = [
    ("seed", 2**63 - 1),
    ("seed", -(2**63)),
    ("learning_rate", 5e-324),
    ("learning_rate", 1.7976931348623157e308),
    ("learning_rate", 0.1 + 0.2),
    ("v2", False),
    ("training_comment", "a\r\n\tb\x01\x7f\x85\u2028\ufffe"),
    ("training_comment", "x" * 1_000_000),
    ("training_started_at", datetime(2023, 5, 6, 7, 8, 9, 1, tzinfo=UTC)),
    ("training_started_at", datetime(1, 1, 1, tzinfo=UTC)),
    ("training_started_at", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("other_settings", {"": "", "a": {"b": [1e300, 1e-300, 123456789.123456789, 2**63 - 1]}}),
    ("other_settings", {"猫": "\ud7ff\ue000 \\u0000 \\"}),
    ("model_tags", []),
    ("other_settings", {}),
]


def test_nasty_values_come_back_equal(engine: sa.Engine) -> None:
    row = {
        "file_id": 1,
        "version_id": 1,
        "model_id": 1,
        "site": "x",
        "outcome": "x",
        "attempts": 0,
    }

    for name, value in NASTY:
        assert _same(value, _comes_back(engine, row | {name: value})[name]), (name, value)
        assert _comes_back(engine, row | {name: None})[name] is None


@pytest.fixture
def scratch(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection with one row in `loras`, which goes away again."""
    with engine.connect() as connection, connection.begin() as transaction:
        row = {
            "file_id": 1,
            "version_id": 1,
            "model_id": 1,
            "site": "x",
            "outcome": "x",
            "attempts": 0,
            "trained_words": ("猫", "🧱"),
            "other_settings": MappingProxyType({"a": MappingProxyType({"猫": (1, 2)})}),
            "fetched_at": datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
        }
        insert_loras(connection, [row])
        yield connection
        transaction.rollback()


def test_json_is_readable_text(scratch: sa.Connection) -> None:
    words, settings_text = scratch.exec_driver_sql(
        "SELECT CAST(trained_words AS TEXT), CAST(other_settings AS TEXT) FROM loras"
    ).one()

    assert words == '["猫", "🧱"]'
    assert settings_text == '{"a": {"猫": [1, 2]}}'


def test_absent_json_is_null_for_sql(scratch: sa.Connection) -> None:
    statement = "SELECT count(*) FROM loras WHERE model_tags IS NULL"

    assert scratch.exec_driver_sql(statement).scalar() == 1


def test_times_are_utc_in_one_form(scratch: sa.Connection) -> None:
    text = scratch.exec_driver_sql("SELECT CAST(fetched_at AS TEXT) FROM loras").scalar()

    assert text == "2026-01-02 01:00:00"


def test_a_time_without_a_zone_is_refused(scratch: sa.Connection) -> None:
    naive = datetime(2026, 1, 2, 3)  # noqa: DTZ001 - this is what is refused

    with pytest.raises(sa.exc.StatementError, match="no time zone"):
        scratch.execute(sa.update(loras).values(fetched_at=naive))


def test_numbers_that_are_not_finite_are_refused_in_json(scratch: sa.Connection) -> None:
    # SQLAlchemy wraps what happens before the driver is called, the driver of PostgreSQL does not.
    with pytest.raises((sa.exc.StatementError, ValueError), match="not JSON compliant"):
        scratch.execute(sa.update(loras).values(other_settings={"a": math.nan}))


def test_times_and_texts_sort_alike(engine: sa.Engine) -> None:
    base = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [base, base + timedelta(microseconds=1), base + timedelta(seconds=1)]
    words = ["", "A", "Z", "a", "é", "猫", "🧱"]
    with engine.begin() as connection:
        rows = [
            {
                "file_id": number,
                "version_id": 1,
                "model_id": 1,
                "site": "x",
                "outcome": "x",
                "attempts": 0,
                "model_name": words[-1 - number],
                "fetched_at": moments[-1 - number % 3],
            }
            for number in range(len(words))
        ]
        insert_loras(connection, rows)
        by_name = connection.execute(sa.select(loras.c.model_name).order_by(loras.c.model_name))
        assert by_name.scalars().all() == words
        after = sa.select(sa.func.count()).where(loras.c.fetched_at > moments[1])
        assert connection.execute(after).scalar() == 3
