"""Read JSON, or Python literals, from the texts of an untrusted header, within limits.

Metadata values are text. Trainers put JSON into some of them, and some tools write the
`repr` of a Python value instead. The readers here parse both and check the shape of the result:

    text --read_json / read_literal--> value --an_object, datasets, ...--> the same value, or UnreadableError

Values are not cleaned yet: NaN, huge integers and lone surrogates pass, and `clean` deals with them.
Each limit keeps the memory and time of a hostile header within reason.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from crawler.decode import clean
from crawler.decode.clean import MAX_DEPTH, MAX_NUMBER_CHARS
from crawler.decode.dialect_result import take
from crawler.decode.problems import (
    MALFORMED,
    NOT_JSON,
    TOO_DEEP,
    TOO_LONG,
    WRONG_SHAPE,
    UnreadableError,
)
from crawler.model import Problem

T = TypeVar("T")

#: Longest JSON text that is parsed, in characters. Real ones, tag lists above all, stay below
#: 2 million; parsing takes up to 60 times the length in memory.
MAX_JSON_CHARS = 8_388_608

#: Longest Python literal that is parsed, in characters. Its syntax tree takes far more memory.
MAX_LITERAL_CHARS = 262_144

#: Most datasets, folders and buckets of a file: each is a row, or part of one. Real runs
#: have a handful of datasets, hundreds of folders (one per artist) and up to a hundred buckets.
MAX_DATASETS = 1_000
MAX_DIRECTORIES = 10_000
MAX_BUCKETS = 1_000

#: Most tags of a file, those of each folder added up: each is a row, and 100,000 rows take a few
#: seconds to store. Real lists of less than 2 million characters have fewer.
MAX_TAGS = 100_000

# Escapes that the fast typed decoder must not see: NUL and surrogates.
_NEEDS_CLEANING = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")

# The tokens that repr() writes for None, truth values, numbers, text, lists, tuples and dicts. The
# parser warns about some other ones, such as unknown escapes or `1if`. The branch that cannot match is for
# Python before 3.11.5, as in `safetensors.exact_reader`.
_STRING = r"""'(?:[^'\\]|\\[\\'"nrtxuU])*+'|"(?:[^"\\]|\\[\\'"nrtxuU])*+\""""
_NUMBER = r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++|(?!))?+(?![\w.])"
_STRINGS = re.compile(_STRING)
_LITERAL = re.compile(rf"(?:{_STRING}|{_NUMBER}|(?:None|True|False)(?!\w)|[][(){{}},:\s])++")
_BRACKETS = re.compile(r"[][(){}]")

# JSON's words, which people type where Python's belong.
_WORDS = {"null": None, "true": True, "false": False}


def read_json(raw: str) -> Any:
    """The value of a JSON text, or of a Python literal.

    Raises:
        UnreadableError: `not_json`, `too_deep` or `too_long`.
    """
    _check_length(raw, MAX_JSON_CHARS)
    try:
        with suppress(ValueError):
            return msgspec.json.decode(raw)
        # msgspec is strict: it refuses NaN and lone surrogates, which Python's reader takes.
        with suppress(ValueError):
            return json.loads(raw, parse_int=_integer)
    except RecursionError:
        raise UnreadableError(TOO_DEEP, "nested too deeply") from None
    try:
        return read_literal(raw)
    except UnreadableError as error:
        raise UnreadableError(NOT_JSON, f"neither JSON nor Python: {error.detail}") from None


def read_literal(raw: str) -> Any:
    """The value of a Python literal, with tuples as lists and keys as text.

    Raises:
        UnreadableError: `malformed`, `too_deep` or `too_long`.
    """
    _check_length(raw, MAX_LITERAL_CHARS)
    raw = raw.strip()
    if raw in _WORDS:
        return _WORDS[raw]
    if not _LITERAL.fullmatch(raw):
        raise UnreadableError(MALFORMED, "not a Python literal")
    brackets = _BRACKETS.findall(_STRINGS.sub("", raw))
    if max(accumulate(1 if one in "[({" else -1 for one in brackets), default=0) > MAX_DEPTH:
        raise UnreadableError(TOO_DEEP, f"nested more than {MAX_DEPTH} levels deep")
    try:
        return _as_json(ast.literal_eval(raw))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise UnreadableError(MALFORMED, "not a Python literal") from None


def _as_json(value: Any) -> Any:
    """The value with tuples as lists and keys as text; raises TypeError for a set."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, set):
        raise TypeError("a set")
    return value


def _integer(digits: str) -> int | float:
    """The integer; infinity when it has too many digits for any column.

    Python refuses integers of more than 4,300 digits, and is slow for slightly shorter ones.
    """
    return int(digits) if len(digits) <= MAX_NUMBER_CHARS else math.inf


def read_clean_json(raw: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """The value by a typed decoder, the fast path for long texts; None if anything needs cleaning."""
    if len(raw) > MAX_JSON_CHARS or "\x00" in raw:
        return None
    if "\\" in raw and _NEEDS_CLEANING.search(raw):  # `in` is faster than a search
        return None
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError):  # a lone surrogate is a ValueError too
        return None


def read_key(
    key: str,
    metadata: Mapping[str, str],
    shape: Callable[[Any], T],
    where: str,
    *,
    problems: list[Problem],
    used: set[str],
) -> T | None:
    """The JSON value of a key, if it has the right shape.

    None when the key is missing, null or cannot be read. A problem then names the field `where`; a key
    without a problem is added to `used`. `shape` returns its argument, or raises UnreadableError.
    """
    raw = metadata.get(key)
    if raw is None:
        return None
    before = len(problems)
    value = None if clean.is_absent(raw) else take(read_json, raw, where, problems)
    if value is not None:
        value = take(shape, value, where, problems)
    if len(problems) == before:
        used.add(key)
    return value


def an_object(value: Any, most: int | None = None) -> Mapping[str, Any]:
    """The value, if it is a JSON object with at most this many members.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    if not isinstance(value, dict):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is not an object")
    _check_count(len(value), most)
    return value


def object_or_empty(value: Any, where: str, problems: list[Problem]) -> Mapping[str, Any]:
    """The value, if it is a JSON object; else an empty one, and a problem."""
    return take(an_object, value, where, problems) or {}


def a_list(value: Any, most: int) -> list[Any]:
    """The value, if it is a list of at most so many items; raises like an_object."""
    if not isinstance(value, list):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is not a list")
    _check_count(len(value), most)
    return value


def datasets(value: Any) -> list[Any]:
    """A list of at most MAX_DATASETS with at most MAX_DIRECTORIES subsets; raises like an_object."""
    listed = a_list(value, MAX_DATASETS)
    _check_count(sum(len(subsets(item)) for item in listed), MAX_DIRECTORIES)
    return listed


def subsets(item: Any) -> list[Any]:
    """The subsets of a dataset; empty when they are not a list."""
    listed = item.get("subsets") if isinstance(item, dict) else None
    return listed if isinstance(listed, list) else []


def _check_length(raw: str, most: int) -> None:
    if len(raw) > most:
        raise UnreadableError(TOO_LONG, f"{len(raw):,} characters; at most {most:,} are read")


def _check_count(count: int, most: int | None) -> None:
    if most is not None and count > most:
        raise UnreadableError(TOO_LONG, f"{count:,} items; at most {most:,} are kept")
