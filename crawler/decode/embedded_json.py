"""JSON within the metadata, read whatever it is."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from crawler.decode import clean
from crawler.decode.clean import MAX_DEPTH, MAX_NUMBER_CHARS
from crawler.decode.dialect_result import note, take
from crawler.decode.problems import (
    MALFORMED,
    NOT_JSON,
    TOO_DEEP,
    TOO_LONG,
    WRONG_SHAPE,
    UnreadableError,
)
from crawler.model import Problem

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


T = TypeVar("T")

#: Longest JSON text that is read, in characters. Real ones, tag lists above all, stay below
#: 2 million; the bound keeps the memory of hostile ones (60 times their length) within reason.
MAX_JSON_CHARS = 8_388_608

_NEEDS_CLEANING = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def read_json(raw: str) -> Any:
    """The value, not yet cleaned: NaN, huge integers and lone surrogates are the reader's to judge.

    What is no JSON is read as Python's notation, which some tools write in its place.

    Raises:
        UnreadableError: `not_json`, `too_deep` or `too_long`.
    """
    _bound(raw)
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise UnreadableError(TOO_DEEP, "nested too deep to be read") from None
    except ValueError:  # strict: no NaN, no lone surrogates; below they are read for what they are
        return _read_loosely(raw)


def read_clean_json(raw: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """What a typed decoder makes of a text in which nothing needs cleaning; None for any other text.

    The quick way for long texts: neither types nor characters have to be looked at again.
    """
    if len(raw) > MAX_JSON_CHARS or "\x00" in raw:
        return None
    if "\\" in raw and _NEEDS_CLEANING.search(raw):  # seen faster than searched for
        return None
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError):  # a ValueError also for a lone surrogate
        return None


def _bound(raw: str) -> None:
    if len(raw) > MAX_JSON_CHARS:
        raise UnreadableError(TOO_LONG, f"{len(raw):,} characters, {MAX_JSON_CHARS:,} are read")


def _read_loosely(raw: str) -> Any:
    try:
        return json.loads(raw, parse_int=integer_of)
    except RecursionError:
        raise UnreadableError(TOO_DEEP, "nested too deep to be read") from None
    except ValueError:
        pass
    try:
        return read_literal(raw)
    except UnreadableError as error:
        raise UnreadableError(NOT_JSON, f"neither JSON nor Python: {error.detail}") from None


#: Most datasets, folders and buckets of a file: they are rows of their own or stand in one. Real runs
#: have a handful, some hundreds (a folder per artist) and up to a hundred; a hostile header could
#: make millions of them.
MAX_DATASETS = 1_000
MAX_DIRECTORIES = 10_000
MAX_BUCKETS = 1_000


def read_key(
    key: str,
    metadata: Mapping[str, str],
    shape: Callable[[Any], T],
    where: str,
    *,
    problems: list[Problem],
    used: set[str],
) -> T | None:
    """The JSON of a key in its shape; None when it is missing, null or cannot be read.

    Args:
        key: The metadata key.
        metadata: As it stands in the header.
        shape: Gives its argument back, or raises UnreadableError.
        where: The field that a problem names.
        problems: Gets one when the text cannot be read.
        used: Gets the key when it was read.
    """
    raw = metadata.get(key)
    if raw is None:
        return None
    before = len(problems)
    value = None if raw.strip() in clean.ABSENT else take(read_json, raw, where, problems)
    if value is not None:
        value = take(shape, value, where, problems)
    if len(problems) == before:
        used.add(key)
    return value


def an_object(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object.

    Raises:
        UnreadableError: `wrong_shape`.
    """
    if not isinstance(value, dict):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is no object")
    return value


def folders(value: Any) -> Mapping[str, Any]:
    """The value when it is an object of at most MAX_DIRECTORIES folders.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    _bound_count(len(an_object(value)), MAX_DIRECTORIES)
    return an_object(value)


def datasets(value: Any) -> list[Any]:
    """The value when it is a list of at most MAX_DATASETS and MAX_DIRECTORIES subsets in all.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    if not isinstance(value, list):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is no list")
    _bound_count(len(value), MAX_DATASETS)
    _bound_count(sum(len(subsets(item)) for item in value), MAX_DIRECTORIES)
    return value


def subsets(item: Any) -> list[Any]:
    """The subsets of a dataset; none where they are no list."""
    listed = item.get("subsets") if isinstance(item, dict) else None
    return listed if isinstance(listed, list) else []


def buckets(value: Any) -> Mapping[str, Any]:
    """The value when it is an object of at most MAX_BUCKETS.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    _bound_count(len(an_object(value)), MAX_BUCKETS)
    return an_object(value)


def object_or_empty(value: Any, where: str, problems: list[Problem]) -> Mapping[str, Any]:
    """The value when it is a JSON object; else an empty one, and a problem."""
    try:
        return an_object(value)
    except UnreadableError as error:
        note(problems, error, where)
        return {}


def _bound_count(count: int, most: int) -> None:
    if count > most:
        raise UnreadableError(TOO_LONG, f"{count:,} of them, {most:,} are kept")
