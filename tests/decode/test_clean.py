import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode import clean, problems
from crawler.decode.problems import UnreadableError

READERS = [
    clean.string,
    clean.integer,
    clean.number,
    clean.boolean,
    clean.moment,
    clean.hexadecimal,
]


def refusal(reader: Callable[[Any], object], value: object) -> UnreadableError | None:
    try:
        reader(value)
    except UnreadableError as error:
        return error
    return None


def code_of(reader: Callable[[Any], object], value: object) -> str | None:
    error = refusal(reader, value)
    return None if error is None else error.code


def test_text_replaces_what_no_database_holds() -> None:
    assert clean.text("a\x00b\ud800c\U0001f600") == "a\ufffdb\ufffdc\U0001f600"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a\x00": [1.5, math.inf, "\udc00"]}, {"a\ufffd": [1.5, None, "\ufffd"]}),
        ([2**63 - 1, 2**63, -(2**63), -(2**63) - 1], [2**63 - 1, None, -(2**63), None]),
        ([True, None, {}], [True, None, {}]),
    ],
)
def test_json_value_keeps_what_can_be_kept(value: Any, kept: Any) -> None:
    assert clean.json_value(value) == kept


def test_json_value_ends_at_its_depth() -> None:
    assert clean.json_value([[["too deep"]]], depth=2) == [[None]]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "absent", [None, "", "  ", "None", "null", "NULL", "N/A", " n/a ", "unknown", "undefined"]
)
def test_absent_is_none_without_a_problem(
    reader: Callable[[Any], object], absent: str | None
) -> None:
    assert reader(absent) is None


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("16", 16),
        (" 16 ", 16),
        ("+3", 3),
        ("16.0", 16),
        ("1e3", 1000),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9007199254740993.0", 9007199254740993),
        (7, 7),
        (7.0, 7),
    ],
)
def test_integer_reads_every_spelling_exactly(value: object, whole: int) -> None:
    read = clean.integer(value)
    assert read == whole
    assert type(read) is int


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("8.5", "not_whole"),
        ("1e-9999", "not_whole"),
        (8.5, "not_whole"),
        ("9223372036854775808", "out_of_range"),
        ("-9223372036854775809", "out_of_range"),
        ("1e9999", "out_of_range"),
        pytest.param(10**5000, "out_of_range", id="5001 digits"),
        pytest.param("9" * 5000, "not_a_number", id="5000 digits as text"),
        ("1_000", "not_a_number"),
        ("\u0661\u0662", "not_a_number"),
        ("0x10", "not_a_number"),
        ("rank 8", "not_a_number"),
        (True, "not_a_number"),
        ([8], "not_a_number"),
        ("NaN", "not_finite"),
        ("-inf", "not_finite"),
        (math.nan, "not_finite"),
        ("Dynamic", "dynamic"),
    ],
)
def test_integer_refuses_the_rest(value: object, code: str) -> None:
    assert code_of(clean.integer, value) == code


@pytest.mark.parametrize(
    ("value", "real"),
    [
        ("1e-4", 0.0001),
        ("0.000001", 1e-06),
        ("5e-7", 5e-07),
        (".5", 0.5),
        ("1.", 1.0),
        ("0e5", 0.0),
        ("-0.1", -0.1),
        (3, 3.0),
    ],
)
def test_number_reads_every_spelling(value: object, real: float) -> None:
    assert clean.number(value) == real


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1e999", "out_of_range"),
        ("1e-999", "out_of_range"),
        pytest.param(10**400, "out_of_range", id="401 digits"),
        ("Infinity", "not_finite"),
        (math.inf, "not_finite"),
        ("1e", "not_a_number"),
        ("fast", "not_a_number"),
        ("1" * 65, "not_a_number"),
        (False, "not_a_number"),
        ({}, "not_a_number"),
        ("Dynamic", "dynamic"),
    ],
)
def test_number_refuses_the_rest(value: object, code: str) -> None:
    assert code_of(clean.number, value) == code


@pytest.mark.parametrize("value", ["True", "true", "1", True, 1])
def test_boolean_reads_true(value: object) -> None:
    assert clean.boolean(value) is True


@pytest.mark.parametrize("value", ["False", "false", "0", False, 0])
def test_boolean_reads_false(value: object) -> None:
    assert clean.boolean(value) is False


@pytest.mark.parametrize("value", ["maybe", "2", 2, 1.0, [], {}])
def test_boolean_refuses_the_rest(value: object) -> None:
    assert code_of(clean.boolean, value) == problems.NOT_A_TRUTH_VALUE


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("1676884936", datetime(2023, 2, 20, 9, 22, 16, tzinfo=UTC)),
        ("1694905352.25", datetime(2023, 9, 16, 23, 2, 32, 250_000, tzinfo=UTC)),
        (1694905352.25, datetime(2023, 9, 16, 23, 2, 32, 250_000, tzinfo=UTC)),
        ("2024-09-11T15:17:43", datetime(2024, 9, 11, 15, 17, 43, tzinfo=UTC)),
        ("2024-09-11T15:17:43+02:00", datetime(2024, 9, 11, 13, 17, 43, tzinfo=UTC)),
        ("2024-09-11", datetime(2024, 9, 11, tzinfo=UTC)),
    ],
)
def test_moment_reads_seconds_and_iso(value: object, instant: datetime) -> None:
    assert clean.moment(value) == instant


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("0", "out_of_range"),
        ("946684799", "out_of_range"),
        ("4102444800", "out_of_range"),
        ("0001-01-01T00:00:00+14:00", "out_of_range"),
        ("9999-12-31T23:59:59-14:00", "out_of_range"),
        ("yesterday", "not_a_time"),
        (True, "not_a_time"),
        ([], "not_a_time"),
    ],
)
def test_moment_refuses_the_rest(value: object, code: str) -> None:
    assert code_of(clean.moment, value) == code


def test_hexadecimal_is_written_in_upper_case() -> None:
    assert clean.hexadecimal("0A1b2c3d") == "0A1B2C3D"


@pytest.mark.parametrize("value", ["NOFILE", "IsADirectory", "0x12345678", "a" * 129])
def test_hexadecimal_refuses_words(value: str) -> None:
    assert code_of(clean.hexadecimal, value) == problems.NOT_A_HASH


def test_string_refuses_what_is_too_long_or_no_text() -> None:
    assert code_of(clean.string, "a" * (clean.MAX_TEXT_CHARS + 1)) == problems.TOO_LONG
    assert code_of(clean.string, 5) == problems.NOT_TEXT


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.text(st.sampled_from("0123456789.eE+-_ \x00\ud800naif")),
        st.lists(st.integers()),
    )
)
def test_readers_raise_nothing_but_a_documented_code(value: object) -> None:
    for error in filter(None, (refusal(reader, value) for reader in READERS)):
        assert error.code in problems.CODES
        assert clean.text(error.detail) == error.detail
        assert len(error.detail) < 200


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back_equal(value: int) -> None:
    assert clean.integer(str(value)) == value
    assert clean.integer(value) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_equal(value: float) -> None:
    assert clean.number(str(value)) == value
    assert clean.number(value) == value


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)))  # noqa: DTZ001 -- naive on purpose
def test_moments_come_back_equal(value: datetime) -> None:
    assert clean.moment(value.isoformat()) == value.replace(tzinfo=UTC)
