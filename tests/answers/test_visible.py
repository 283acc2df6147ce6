"""Nothing from the net steers a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.answers.visible import visible, visible_json

HOSTILE = {
    "\x1b[2J": r"\x1b[2J",
    "\x00": r"\x00",
    "\x7f": r"\x7f",
    "\x9b31m": r"\x9b31m",
    "a\tb\nc\rd": r"a\tb\nc\rd",
    "\u202egnp.exe": r"\u202egnp.exe",
    "\u2066x\u2069": r"\u2066x\u2069",
    "\u200f": r"\u200f",
    "line\u2028line\u2029": r"line\u2028line\u2029",
    "\ufeff": r"\ufeff",
    "\ud800": r"\ud800",
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_steers_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["", "plain", "猫と犬", "é", "👩‍🔬", "a\\b", "नमस्ते"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_nothing_unprintable_is_left(text: str) -> None:
    shown = visible(text)
    kinds = {unicodedata.category(character) for character in shown}
    directions = {unicodedata.bidirectional(character) for character in shown}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert not directions & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(st.text(st.characters(codec="utf-8")))
def test_json_reads_back_the_same(text: str) -> None:
    written = visible_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(written) == [text]
    assert visible(written) == written


@pytest.mark.parametrize("text", list(HOSTILE))
def test_json_escapes_what_steers(text: str) -> None:
    written = visible_json(json.dumps(text, ensure_ascii=False))
    assert visible(written) == written
    assert json.loads(written) == text
