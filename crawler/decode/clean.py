"""Values of metadata and JSON, made storable on both databases or refused.

PostgreSQL refuses NUL and lone surrogates in text, and NaN in JSON. SQLite stores text in number
columns and NaN as NULL. Nothing of that reaches either: every value passes one of two kinds of
function.

- `text` and `json_value` always succeed. They replace what cannot be stored: U+FFFD for a character,
  None for a value inside JSON.
- The readers (`string`, `integer`, `number`, `boolean`, `moment`, `hexadecimal`) return a typed value,
  None when the trainer wrote that nothing was set, or raise UnreadableError. Nothing is clamped or
  rounded. Metadata has every value as text, JSON inside it does not: they take both.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from crawler.decode import problems
from crawler.decode.problems import UnreadableError
from crawler.model.int64 import INT64

#: Deepest nesting of a JSON value that is kept; deeper parts become None. Real metadata nests 6 deep.
MAX_DEPTH = 32

#: Longest text of a column, in characters: room for long comments.
MAX_TEXT_CHARS = 65_536

#: Longest spelling of a number, in characters: a double printed in full has 24, some tools pad it.
MAX_NUMBER_CHARS = 64

#: Longest quotation of a value in a message, in characters, including the ellipsis.
MAX_QUOTE_CHARS = 80

#: Unix seconds between which a training can have happened: the years 2000 to 2099.
MIN_SECONDS, MAX_SECONDS = 946_684_800, 4_102_444_800

#: How trainers write that a value is not set: Python's None as text, and how tools rewrite it.
ABSENT = frozenset({"", "None", "null", "N/A"})

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_HEX = re.compile("[0-9a-fA-F]{4,128}")
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
_TRUTH = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


def text(raw: str) -> str:
    """The text with U+FFFD in place of NUL and lone surrogates."""
    if raw.isascii() and "\x00" not in raw:
        return raw  # nearly every text; faster than the pattern
    return _UNSTORABLE.sub("\ufffd", raw)


def json_value(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The JSON value with every text cleaned, and None for parts not finite, beyond 64 bits or too deep."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value not in INT64:
        return None
    if isinstance(value, dict):
        pairs = value.items()
        return {text(k): json_value(v, depth - 1) for k, v in pairs} if depth else None
    if isinstance(value, list):
        return [json_value(item, depth - 1) for item in value] if depth else None
    return value


def quote(value: object) -> str:
    """The value for a message: quoted, storable, at most MAX_QUOTE_CHARS; containers by type only."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value not in INT64:
        return "an integer beyond 64 bits"  # Python refuses to print very long ones
    spelt = value if isinstance(value, str) else str(value)
    if len(spelt) > MAX_QUOTE_CHARS:
        spelt = spelt[: MAX_QUOTE_CHARS - 1] + "…"
    return f"“{text(spelt)}”"


def string(value: object) -> str | None:
    """Text, cleaned.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnreadableError(problems.NOT_TEXT, f"{quote(value)} is not text")
    if value in ABSENT:
        return None
    if len(value) > MAX_TEXT_CHARS:
        raise UnreadableError(
            problems.TOO_LONG, f"{len(value):,} characters; at most {MAX_TEXT_CHARS:,} are kept"
        )
    return text(value)


def integer(value: object) -> int | None:
    """A whole number of 64 bits, also written as `16.0` or `1e3`.

    Raises:
        UnreadableError: `not_a_number`, `not_whole`, `not_finite`, `out_of_range` or `dynamic`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        spelt = value.strip()
        if spelt in ABSENT:
            return None
        whole = int(spelt) if _INTEGER.fullmatch(spelt) else _whole(spelt, value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(problems.NOT_A_NUMBER, f"{quote(value)} is not a number")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UnreadableError(problems.NOT_FINITE, f"{quote(value)} is not finite")
    elif value != int(value):
        raise UnreadableError(problems.NOT_WHOLE, f"{quote(value)} is not a whole number")
    else:
        whole = int(value)
    if whole not in INT64:
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    return whole


def _whole(spelt: str, value: str) -> int:
    """A whole number with a fraction or an exponent, exactly."""
    if len(spelt) > MAX_NUMBER_CHARS or not _NUMBER.fullmatch(spelt):
        _refuse_number(spelt, value)
    exact = Decimal(spelt)
    if exact.adjusted() > MAX_NUMBER_CHARS:  # before it becomes an int of as many digits
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    if exact != exact.to_integral_value():
        raise UnreadableError(problems.NOT_WHOLE, f"{quote(value)} is not a whole number")
    return int(exact)


def number(value: object) -> float | None:
    """A finite number, as a double.

    Raises:
        UnreadableError: `not_a_number`, `not_finite`, `out_of_range` or `dynamic`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        spelt = value.strip()
        if spelt in ABSENT:
            return None
        if len(spelt) > MAX_NUMBER_CHARS or not _NUMBER.fullmatch(spelt):
            _refuse_number(spelt, value)
        real = float(spelt)
        if math.isinf(real) or (real == 0 and spelt.lower().split("e")[0].strip("+-0.")):
            raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond a 64-bit float")
        return real
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(problems.NOT_A_NUMBER, f"{quote(value)} is not a number")
    if isinstance(value, int) and value not in INT64:
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    if not math.isfinite(value):
        raise UnreadableError(problems.NOT_FINITE, f"{quote(value)} is not finite")
    return float(value)


def _refuse_number(spelt: str, value: str) -> NoReturn:
    if spelt == "Dynamic":
        raise UnreadableError(problems.DYNAMIC, "varies by layer")
    if spelt.lstrip("+-").lower() in _NOT_FINITE:
        raise UnreadableError(problems.NOT_FINITE, f"{quote(value)} is not finite")
    raise UnreadableError(problems.NOT_A_NUMBER, f"{quote(value)} is not a number")


def boolean(value: object) -> bool | None:
    """A truth value: `True`, `false`, `1` ….

    Raises:
        UnreadableError: `not_a_truth_value`.
    """
    if value is None or isinstance(value, bool):
        return value
    spelt = value.strip() if isinstance(value, str) else quote(value)[1:-1]
    if spelt in ABSENT:
        return None
    if spelt not in _TRUTH:
        raise UnreadableError(
            problems.NOT_A_TRUTH_VALUE, f"{quote(value)} is neither true nor false"
        )
    return _TRUTH[spelt]


def moment(value: object) -> datetime | None:
    """An instant in UTC, from Unix seconds or from an ISO date; one without a zone is taken as UTC.

    Raises:
        UnreadableError: `not_a_time`, or `out_of_range` for years outside 2000 to 2099.
    """
    if value is None or (isinstance(value, str) and value.strip() in ABSENT):
        return None
    try:
        seconds = number(value)
    except UnreadableError:
        seconds = _iso_seconds(value)
    if seconds is None or not MIN_SECONDS <= seconds < MAX_SECONDS:
        raise UnreadableError(
            problems.OUT_OF_RANGE, f"{quote(value)} is outside the years 2000 to 2099"
        )
    return datetime.fromtimestamp(seconds, UTC)


def _iso_seconds(value: object) -> float:
    try:
        when = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UnreadableError(problems.NOT_A_TIME, f"{quote(value)} is not a time") from None


def hexadecimal(value: object) -> str | None:
    """Hexadecimal digits as written; trainers write words such as `NOFILE` in their place.

    Raises:
        UnreadableError: `not_a_hash`, `not_text` or `too_long`.
    """
    spelt = string(value)
    if spelt is not None and not _HEX.fullmatch(spelt):
        raise UnreadableError(problems.NOT_A_HASH, f"{quote(value)} is not a hash")
    return spelt


#: Starts that only paths have: a drive, a share, the root, home, `.` or `..`, a file URL.
_LOCAL = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|/|~[\\/]|\.{1,2}[\\/]|file:/+)[^\\/]")

#: A repository on the Hugging Face Hub, `owner/name`; with the suffix of a file it is a path.
_HUB = re.compile(r"[\w.-]{1,96}/(?!.*\.(?:safetensors|ckpt|pt|bin|gguf)$)[\w.-]{1,96}")


def is_local(text: str) -> bool:
    """Whether the text is certainly a path."""
    return _LOCAL.match(text) is not None


def base_name(path: str) -> str:
    """The last part of a path on any system; the whole text when it has no folders."""
    return re.split(r"[\\/]", path.rstrip("\\/ "))[-1]


def model_name(value: object) -> str | None:
    """The name of a model: a Hub id as it is, or the last part of a path.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    text = string(value)
    if text is None or (_HUB.fullmatch(text) and not is_local(text)):
        return text
    return base_name(text) or None


def without_folders(value: Any, names: frozenset[str]) -> Any:
    """The same JSON value, with every path in it cut to its last part.

    Args:
        value: Nested at most `clean.MAX_DEPTH` deep, as `held` returns it.
        names: Fields whose text is always a path.
    """
    if isinstance(value, Mapping):
        return {
            key: base_name(item)
            if key in names and isinstance(item, str)
            else without_folders(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_folders(item, names) for item in value]
    return base_name(value) if isinstance(value, str) and is_local(value) else value
