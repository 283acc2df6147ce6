"""JSON within the metadata, read whatever it is."""

import json
import re
from typing import Any, TypeVar

import msgspec

from crawler.decode.problems import NOT_JSON, TOO_DEEP, TOO_LONG, UnreadableError
from crawler.decode.python_literal import integer_of, read_literal

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
