import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode import embedded_json, problems
from crawler.decode.problems import UnreadableError

PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**60), 10**60),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


def code_of(read: Callable[[str], object], raw: str) -> str | None:
    try:
        read(raw)
    except UnreadableError as error:
        return error.code
    return None


@given(PLAIN)
def test_what_python_prints_is_read_back(value: Any) -> None:
    assert embedded_json.read_literal(repr(value)) == value


@given(PLAIN)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert embedded_json.read_json(json.dumps(value)) == value
    assert embedded_json.read_json(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("(512, 512)", [512, 512]),
        ("(512,)", [512]),
        ("(512)", 512),
        ("()", []),
        ("[5e-05, 1e-05,]", [5e-05, 1e-05]),
        ("{'a': 1, 'b': (True, None, -1e999)}", {"a": 1, "b": [True, None, -math.inf]}),
        (" true ", True),
        ("{1: 'x', None: 'y'}", {"1": "x", "None": "y"}),
        (r"'it\'s \x41\u0042\n'", "it's AB\n"),
        ('"\\ud800"', "\ud800"),
    ],
)
def test_literals(raw: str, value: Any) -> None:
    assert embedded_json.read_literal(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "",
            "(",
            "[1 2]",
            "{1}",
            "{'a' 1}",
            "{,}",
            "[,]",
            "1 2",
            "f()",
            "'open",
            "{[1]: 2}",
            "1_0",
        ),
        *(
            "-",
            "1+2j",
            "1if",
            "b'a'",
            "f'{a}'",
            "...",
            "__import__('os')",
            "'a\x00'",
            "1\n2",
            " \n 1 x",
        ),
        *(r"'\d'", r"'\400'", r"'\x4'", r"'\U00110000'", "9" * 5000),
    ],
)
def test_what_is_no_literal_is_malformed(raw: str) -> None:
    assert code_of(embedded_json.read_literal, raw) == problems.MALFORMED


@given(st.text(st.sampled_from("[](){}'\",:\\ \x00\ud800ab1.e-x"), max_size=40))
def test_no_text_raises_anything_else(raw: str) -> None:
    for read in (embedded_json.read_literal, embedded_json.read_json):
        assert code_of(read, raw) in {None, *problems.CODES}


def test_a_lone_surrogate_and_a_nan_are_left_to_the_reader() -> None:
    value = embedded_json.read_json('{"a": "\\ud800", "b": NaN}')
    assert value["a"] == "\ud800"
    assert math.isnan(value["b"])


def test_an_integer_of_thousands_of_digits_is_infinite() -> None:
    assert embedded_json.read_json("[" + "9" * 5000 + ", NaN]")[0] == math.inf


@pytest.mark.parametrize("opening", ["[", '{"a":', "("])
def test_deep_nesting_is_refused(opening: str) -> None:
    refused = {problems.TOO_DEEP, problems.NOT_JSON}
    assert code_of(embedded_json.read_json, opening * 100_000) in refused
    assert code_of(embedded_json.read_literal, opening * 50_000) == problems.TOO_DEEP


def test_the_longest_texts_are_refused_unread() -> None:
    too_long = "[" + " " * embedded_json.MAX_JSON_CHARS
    assert code_of(embedded_json.read_json, too_long) == problems.TOO_LONG
    too_long = "[" + " " * embedded_json.MAX_LITERAL_CHARS
    assert code_of(embedded_json.read_literal, too_long) == problems.TOO_LONG


@pytest.mark.parametrize(
    "raw", ['{"a\\u0000": 1}', '{"\\uD800": 1}', '{"a\ud800": 1}', '{"a": "1"}']
)
def test_the_quick_way_leaves_what_needs_cleaning(raw: str) -> None:
    decoder = msgspec.json.Decoder(dict[str, int])
    assert embedded_json.read_clean_json(raw, decoder) is None
    assert embedded_json.read_clean_json('{"\\u00e9": 1}', decoder) == {"é": 1}
