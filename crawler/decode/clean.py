"""Values of metadata and JSON, made storable on both databases or refused.

PostgreSQL refuses NUL and lone surrogates in text, and NaN in JSON. SQLite stores text in number
columns and NaN as NULL. So every value passes one of two kinds of function.

- `text` and `json_value` always succeed. They replace what cannot be stored: U+FFFD for a character,
  None for a value inside JSON.
- The readers (`string`, `integer`, `number`, `boolean`, `moment`, `hexadecimal`) return a typed value,
  None when the trainer wrote that nothing was set, or raise UnreadableError. Nothing is clamped or
  rounded. They accept text and JSON values, because metadata holds text only, but the text may be JSON.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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

#: How trainers and tools write that a value is not set, in lower case. `none` is not among them: in
#: lower case it is a value, as in `ss_weighting_scheme`.
_ABSENT = frozenset({"", "null", "n/a", "undefined", "unknown"})

#: Longest spelling of an absent value, in characters, with blanks around it.
_MAX_ABSENT_CHARS = 32

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_HEX = re.compile("[0-9a-fA-F]{4,128}")
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
_TRUTH = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


def is_absent(raw: str) -> bool:
    """Whether the text says that a value is not set, as `N/A` and Python's `None` do."""
    if len(raw) > _MAX_ABSENT_CHARS or raw.isdigit():
        return False
    spelt = raw.strip()
    return spelt == "None" or spelt.casefold() in _ABSENT


def given(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """The metadata without the keys that have no value."""
    return {key: value for key, value in metadata.items() if not is_absent(value)}


def text(raw: str) -> str:
    """The text with U+FFFD in place of NUL and lone surrogates."""
    if raw.isascii() and "\x00" not in raw:
        return raw  # nearly every text; faster than the pattern
    return _UNSTORABLE.sub("\ufffd", raw)


def json_value(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The JSON value with cleaned texts. Parts not finite, beyond 64 bits or too deep become None."""
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
    if is_absent(value):
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
    exact = _number(value)
    if exact is None:
        return None
    # A Decimal is refused before it becomes an int of thousands of digits.
    if isinstance(exact, Decimal) and exact.adjusted() > MAX_NUMBER_CHARS:
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    whole = int(exact)
    if whole != exact:
        raise UnreadableError(problems.NOT_WHOLE, f"{quote(value)} is not a whole number")
    if whole not in INT64:
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    return whole


def number(value: object) -> float | None:
    """A finite number, as a double.

    Raises:
        UnreadableError: `not_a_number`, `not_finite`, `out_of_range` or `dynamic`.
    """
    exact = _number(value)
    if exact is None:
        return None
    if isinstance(exact, int) and exact not in INT64:
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond 64 bits")
    real = float(exact)
    if math.isinf(real) or (real == 0 and exact != 0):
        raise UnreadableError(problems.OUT_OF_RANGE, f"{quote(value)} is beyond a 64-bit float")
    return real


def _number(value: object) -> int | float | Decimal | None:
    """The exact finite number, of any size; None when it is not set."""
    spelt = value.strip() if isinstance(value, str) else value
    if spelt is None:
        return None
    if isinstance(spelt, str):
        if spelt.isdigit() and spelt.isascii() and len(spelt) <= MAX_NUMBER_CHARS:
            return int(spelt)
        if is_absent(spelt):
            return None
        if len(spelt) <= MAX_NUMBER_CHARS and _NUMBER.fullmatch(spelt):
            return Decimal(spelt)
        if spelt == "Dynamic":
            raise UnreadableError(problems.DYNAMIC, "varies by layer")
        not_finite = spelt.lstrip("+-").lower() in _NOT_FINITE
    elif isinstance(spelt, int | float) and not isinstance(spelt, bool):
        if isinstance(spelt, int) or math.isfinite(spelt):
            return spelt
        not_finite = True
    else:
        not_finite = False
    if not_finite:
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
    if is_absent(spelt):
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
    if value is None or (isinstance(value, str) and is_absent(value)):
        return None
    try:
        seconds = number(value)
    except UnreadableError:
        try:
            when = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
            seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise UnreadableError(problems.NOT_A_TIME, f"{quote(value)} is not a time") from None
    if seconds is None or not MIN_SECONDS <= seconds < MAX_SECONDS:
        raise UnreadableError(
            problems.OUT_OF_RANGE, f"{quote(value)} is outside the years 2000 to 2099"
        )
    return datetime.fromtimestamp(seconds, UTC)


def hexadecimal(value: object) -> str | None:
    """Hexadecimal digits, in upper case as sites write them. Trainers write words such as `NOFILE` too.

    Raises:
        UnreadableError: `not_a_hash`, `not_text` or `too_long`.
    """
    spelt = string(value)
    if spelt is not None and not _HEX.fullmatch(spelt):
        raise UnreadableError(problems.NOT_A_HASH, f"{quote(value)} is not a hash")
    return spelt and spelt.upper()


# Starts that only paths have: a drive, a share, the root, a home, `.` or `..`, a URL.
_LOCAL = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|/|~\w*[\\/]|\.{1,2}[\\/]|file:/+)[^\\/]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

#: A repository on the Hugging Face Hub, `owner/name`; with the suffix of a file it is a path.
_HUB = re.compile(
    r"[\w.-]{1,96}/(?!.*\.(?:safetensors|ckpt|pth?|sft|bin|gguf)$)[\w.-]{1,96}", re.IGNORECASE
)


def is_local(text: str) -> bool:
    """Whether the text is certainly a path on a disk."""
    return _LOCAL.match(text) is not None


def base_name(path: str) -> str:
    """The last part of a path on any system, or of a URL; the whole text when it has no folders."""
    if _URL.match(path):
        path = re.split("[?#]", path, maxsplit=1)[0]
    return re.split(r"[\\/]", path.rstrip("\\/ "))[-1]


def model_name(value: object) -> str | None:
    """The name of a model: a Hub id as it is, or the last part of a path or a URL.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    text = string(value)
    if text is None or (_HUB.fullmatch(text) and not is_local(text)):
        return text
    return base_name(text) or None


def file_name(value: object) -> str | None:
    """The name of a file: the last part of a path that starts at a root, or the text as it is.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    text = string(value)
    if text is None or not (is_local(text) or _URL.match(text)):
        return text
    return base_name(text) or None


def without_folders(value: Any, names: frozenset[str]) -> Any:
    """The JSON value, nested at most MAX_DEPTH deep, with every path in it cut to its last part.

    The text of the fields `names` is always a path.
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
