"""Python's own notation of values, as `str()` and `repr()` write it, read with bounds.

Some metadata holds it where JSON is expected: `(512, 512)`, `[5e-05, 1e-05]`, `{'img': 3}`.
`ast.literal_eval` reads the same, but may end the process on hostile text.
"""

import math
import re
from typing import Any

from crawler.decode.clean import MAX_DEPTH, MAX_NUMBER_CHARS
from crawler.decode.problems import MALFORMED, TOO_DEEP, TOO_LONG, UnreadableError

#: Longest text that is read, in characters: a word takes some 100 bytes of memory.
MAX_LITERAL_CHARS = 262_144

_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<number>[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![\w.]))
      | (?P<string>'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")
      | (?P<name>[+-]?[A-Za-z]++)(?!\w)
      | (?P<mark>[][(){},:])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)
#: Numbers that read alike here and in Python, and have no more digits than a double holds.
_SHORT_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?(?:[eE][+-]?[0-9]{1,2})?")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
_NAMES: dict[str, Any] = {
    "None": None,
    "null": None,
    "True": True,
    "true": True,
    "False": False,
    "false": False,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
}
_CLOSING = {"[": "]", "(": ")"}


def read_literal(raw: str) -> Any:
    """The value that a Python literal stands for, tuples as lists and keys as text.

    Raises:
        UnreadableError: `malformed`, `too_deep` or `too_long`.
    """
    if len(raw) > MAX_LITERAL_CHARS:
        raise UnreadableError(TOO_LONG, f"{len(raw):,} characters, {MAX_LITERAL_CHARS:,} are read")
    # Nearly every literal is one word.
    if raw in _NAMES:
        return _NAMES[raw]
    if _SHORT_NUMBER.fullmatch(raw):
        return int(raw) if raw.isdigit() else float(raw)
    value, at = _value(raw, 0, MAX_DEPTH)
    kind, _, at = _token(raw, at)
    if kind != "end":
        raise UnreadableError(MALFORMED, "goes on behind its end")
    return value


def integer_of(digits: str) -> int | float:
    """The integer, or infinity when it has more digits than any that can be held.

    Python refuses to read integers of more than 4,300 digits, and takes long over those below.
    """
    return int(digits) if len(digits) <= MAX_NUMBER_CHARS else math.inf


def _token(raw: str, at: int) -> tuple[str, str, int]:
    """The kind of the next word, its text, and where it ends."""
    match = _TOKEN.match(raw, at)
    if match is None or match.lastgroup is None:
        raise UnreadableError(MALFORMED, f"cannot be read from character {at + 1} on")
    return match.lastgroup, match[match.lastgroup], match.end()


def _value(raw: str, at: int, depth: int) -> tuple[Any, int]:
    kind, word, end = _token(raw, at)
    if kind == "number":
        whole = word.lstrip("+-").isdigit()
        return (integer_of(word) if whole else float(word)), end
    if kind == "string":
        return _unescaped(word[1:-1]), end
    if kind == "name" and word in _NAMES:
        return _NAMES[word], end
    if kind == "mark" and word in "[({":
        if depth == 0:
            raise UnreadableError(TOO_DEEP, f"nested more than {MAX_DEPTH} deep")
        inner = _object if word == "{" else _sequence
        return inner(raw, end, word, depth - 1)
    raise UnreadableError(MALFORMED, f"cannot be read from character {at + 1} on")


def _sequence(raw: str, at: int, opening: str, depth: int) -> tuple[Any, int]:
    """What follows an opening bracket; a parenthesis around one value is that value."""
    items: list[Any] = []
    comma = True
    while True:
        _, word, end = _token(raw, at)
        if word == _CLOSING[opening]:
            lone = opening == "(" and len(items) == 1 and not comma
            return (items[0] if lone else items), end
        if not comma:
            raise UnreadableError(MALFORMED, f"lacks a comma at character {at + 1}")
        item, at = _value(raw, at, depth)
        items.append(item)
        _, word, end = _token(raw, at)
        comma = word == ","
        at = end if comma else at


def _object(raw: str, at: int, _: str, depth: int) -> tuple[Any, int]:
    """What follows an opening brace."""
    items: dict[str, Any] = {}
    comma = True
    while True:
        kind, word, end = _token(raw, at)
        if word == "}" and kind == "mark":
            return items, end
        if not comma or kind == "mark":
            raise UnreadableError(MALFORMED, f"cannot be read from character {at + 1} on")
        key, at = _value(raw, at, depth)
        kind, word, at = _token(raw, at)
        if word != ":":
            raise UnreadableError(MALFORMED, f"lacks a colon at character {at}")
        items[key if isinstance(key, str) else str(key)], at = _value(raw, at, depth)
        _, word, end = _token(raw, at)
        comma = word == ","
        at = end if comma else at


def _unescaped(inner: str) -> str:
    return _ESCAPE.sub(_character, inner) if "\\" in inner else inner


def _character(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"  # noqa: PLR2004 -- Unicode's last
    return _LETTERS.get(escape, escape)
