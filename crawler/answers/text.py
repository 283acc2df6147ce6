"""Values as text: numbers, times and sizes in words; the cells of rows; JSON."""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from itertools import count as numbers
from typing import TYPE_CHECKING, Any, TypeGuard

from crawler.answers.visible import visible, visible_json

if TYPE_CHECKING:
    from crawler.query.fields import Field

#: Fractions in this range are written without a power of ten like `5e-5`.
_SMALLEST_PLAIN, _LARGEST_PLAIN = 1e-3, 1e15

#: Significant digits of a fraction. Rates are written with fewer; what comes after is the dust of binary
#: fractions, as in 0.00010000000000000002, or of 32-bit ones.
_DIGITS = 6

#: Averages and times, which are rounded; so are all fields of the group `effort`.
_MEASURED = frozenset({"likes_per_month", "mean_repeats", "resolution", "training_seconds"})

#: Units of large numbers, the largest first.
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"))

#: Units of a number of bytes, each a thousand of the one before.
_BYTES, _THOUSAND = ("kB", "MB", "GB", "TB", "PB"), 1_000

#: A duration is split only from this many of a unit on: 90 minutes, not 1 hour 30 minutes.
_MANY = 100

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def number(value: float | Decimal) -> str:
    """A number with thousands separators and without binary dust: `1,010`, `32`, `0.05`, `2.5e-4`."""
    if isinstance(value, int):
        return f"{value:,}"
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 10**_DIGITS:
        value = float(f"{value:.{_DIGITS}g}")
    if value.is_integer() and abs(value) < _LARGEST_PLAIN:
        return f"{int(value):,}"
    if abs(value) >= _LARGEST_PLAIN or abs(value) < _SMALLEST_PLAIN:
        digits, _, exponent = f"{value:.{_DIGITS - 1}e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    places = max(_DIGITS - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def rounded(value: float, digits: int = 3) -> str:
    """A measured number with a few significant digits, and every digit before the point: `0.325`, `1,235`."""
    if isinstance(value, int) or not math.isfinite(value) or value == 0:
        return number(value)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return number(round(value, max(places, 0)))


def figure(
    value: float | Decimal, field: "Field | None" = None, *, is_statistic: bool = False
) -> str:
    """A number as its field is measured.

    Ids and pixels have no thousands separators; averages, times and statistics are rounded.

    Args:
        value: The number.
        field: What it measures; None when that is unknown.
        is_statistic: It is a median or the like, and not a value of a file.
    """
    if field is None:
        return rounded(float(value), 4) if is_statistic else number(value)
    if field.name == "seed" or field.name.endswith("_id"):
        return str(value)
    digits = 2 if field.name == "seconds_per_image" else 4
    is_measured = is_statistic or field.group == "effort" or field.name in _MEASURED
    shown = rounded(float(value), digits) if is_measured else number(value)
    return shown.replace(",", "") if field.unit == "px" else shown


def short(value: float) -> str:
    """A number in about seven cells: `1,230`, `57 M`, `1.23 G`."""
    for unit, name in _LARGE:
        if unit <= abs(value) < math.inf:
            return f"{rounded(value / unit)} {name}"
    return rounded(value)


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2,020 images`."""
    return f"{number(amount)} {noun if amount == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """One or two units of time: `45 seconds`, `11 minutes`, `2 hours 5 minutes`, `3 days`."""
    whole = round(seconds)
    if whole < _MANY:
        return count(whole, "second") if whole or not seconds else "less than a second"
    if whole < _MANY * _MINUTE:
        return count(round(whole / _MINUTE), "minute")
    if whole < 2 * _DAY:
        large, small = divmod(round(whole / _MINUTE), 60)
        parts = count(large, "hour"), count(small, "minute")
    else:
        large, small = divmod(round(whole / _HOUR), 24)
        parts = count(large, "day"), count(small, "hour")
    return " ".join(parts) if small else parts[0]


def size(length: int) -> str:
    """A number of bytes in powers of 1,000: `512 bytes`, `37.9 MB`."""
    if length < _THOUSAND:
        return count(length, "byte")
    power = min((len(str(length)) - 1) // 3, len(_BYTES))
    return f"{length / _THOUSAND**power:,.1f} {_BYTES[power - 1]}"


def share(part: float) -> str:
    """A share (0 to 1) as a percentage; `<1%` and `>99%` where rounding would give 0% or 100%."""
    percent = round(part * 100)
    if part > 0 and percent == 0:
        return "<1%"
    if part < 1 and percent == 100:  # noqa: PLR2004 - all of them
        return ">99%"
    return f"{percent}%"


def instant(moment: datetime) -> str:
    """UTC to the minute, for a person: `2024-05-01 12:00`."""
    return _utc(moment).isoformat(" ", "minutes")


def day(moment: datetime) -> str:
    """The day in UTC: `2024-05-01`."""
    return _utc(moment).date().isoformat()


def _utc(moment: datetime) -> datetime:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None)


def as_stored(value: object) -> object:
    """A value of a SQL statement, with times as SQLite stores them, so that both databases answer alike."""
    return _utc(value).isoformat(" ") if isinstance(value, datetime) else value


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def distinct(names: Sequence[str]) -> list[str]:
    """The names with `_2`, `_3` … after repeated ones, since an object holds every name once."""
    keys: list[str] = []
    for name in names:
        choices = chain([name], (f"{name}_{number}" for number in numbers(2)))
        keys.append(next(key for key in choices if key not in keys))
    return keys


def bar(part: float, width: int, *, plain: bool = False) -> str:
    """A horizontal bar, never empty unless `part` is 0.

    Args:
        part: How much of the bar is drawn, from 0 to 1.
        width: Cells of a whole bar.
        plain: Draw with `#`, for outputs that have no block characters.
    """
    part = min(max(part, 0.0), 1.0)
    if plain:
        return "#" * max(round(part * width), 1 if part else 0)
    eighths = max(round(part * width * 8), 1 if part else 0)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def is_number(value: object) -> TypeGuard[float | Decimal]:
    """Whether a value is a number; a truth value is not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def cell(value: object) -> str:
    """A value for a program in one line, without control characters; NULL is empty.

    Truth values are `true` and `false`, a float is the shortest text that reads back the same, times
    are ISO 8601 in UTC, JSON is compact, bytes are hexadecimal.
    """
    match value:
        case None:
            return ""
        case str():
            return visible(value)
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case list() | tuple() | Mapping():
            return json_text(value, compact=True)
    return visible(_text(value))


def json_text(value: object, *, compact: bool = False, indent: int | None = None) -> str:
    r"""A value as JSON in readable UTF-8, with control characters escaped like `\u001b`.

    A number that JSON cannot write (infinity, NaN) is null; times and bytes are texts as in `cell`.

    Args:
        value: A JSON value, or anything that a database returns.
        compact: Without blanks after commas and colons.
        indent: Blanks for each level, one value a line; None for a single line.
    """
    encoder = _encoder(compact=compact, indent=indent)
    try:
        encoded = encoder.encode(value)
    except ValueError:
        encoded = encoder.encode(_finite(value))
    return "\n".join(visible_json(line) for line in encoded.split("\n"))


@functools.cache
def _encoder(*, compact: bool, indent: int | None) -> json.JSONEncoder:
    """Cached, since a million rows are encoded one by one."""
    return json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        default=_plain,
        separators=(",", ":") if compact else None,
    )


def _finite(value: Any) -> Any:
    """The value, with None for every float that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _plain(value: object) -> object:
    """A value of a type that the encoder does not know, as one that it does."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    return _text(value)


def _text(value: object) -> str:
    match value:
        case datetime():
            return f"{_utc(value).isoformat()}Z"
        case bytes() | bytearray() | memoryview():
            return value.hex()
    return str(value)
