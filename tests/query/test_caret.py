from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import QueryError
from crawler.query.caret import WIDTH, caret


def drawn(text: str, start: int | None, end: int | None) -> str:
    return caret(QueryError("x", text=text, start=start, end=end))


def test_the_place_is_marked() -> None:
    assert drawn("network_dmi>64", 0, 11) == "network_dmi>64\n^^^^^^^^^^^"
    assert drawn("v2 and", 6, 7) == "v2 and\n      ^"
    assert drawn("a b", 2, 2) == "a b\n  ^"


def test_wide_characters_take_two_columns() -> None:
    assert drawn("x='猫' y", 6, 7) == "x='猫' y\n       ^"
    assert drawn("x='猫'", 2, 5) == "x='猫'\n  ^^^^"


def test_what_would_not_show_is_replaced() -> None:
    line, marks = drawn("a\n\x1b\u202eb\u0301 !", 6, 7).splitlines()
    assert line == "a ��b� !"
    assert marks == "      ^"


def test_a_long_text_is_cut_around_the_place() -> None:
    text = "v2 and " * 100 + "wrong" + " and v2" * 100
    line, marks = drawn(text, 700, 705).splitlines()
    assert line.startswith("…")
    assert line.endswith("…")
    assert len(line) <= WIDTH
    assert line[marks.index("^") : marks.rindex("^") + 1] == "wrong"


@pytest.mark.parametrize("place", [0, 3, 500, 1999, 2000])
def test_the_end_and_the_beginning_of_a_long_text(place: int) -> None:
    text = "".join(chr(97 + i % 26) for i in range(2000))
    line, marks = drawn(text, place, place + 1).splitlines()
    assert marks.strip() == "^"
    assert line[marks.index("^") :][:1] in (text[place : place + 1], "…")


def test_no_place_no_drawing() -> None:
    assert drawn("v2", None, None) == ""
    assert drawn("", 0, 1) == ""


@given(st.text(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_it_never_fails_and_fits(text: str, start: int, length: int) -> None:
    drawing = drawn(text, start, start + length)
    if text:
        line, marks = drawing.split("\n")
        columns = sum(1 + (east_asian_width(character) in "WF") for character in line)
        assert columns <= WIDTH
        assert marks.strip(" ").strip("^") == ""
        assert "^" in marks
        assert len(marks) <= columns + 1
