"""One value as text: in a cell of a table or a file, and in JSON."""

import functools
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from crawler.cli.output.safe import visible, visible_json
from crawler.model import Outcome

#: Floats from here on are written plainly; smaller ones with a power of ten (`5e-5`).
_SMALLEST_PLAIN = 1e-4

#: Floats from here on are written with a power of ten.
_LARGEST_PLAIN = 1e15

#: Units of large numbers, the largest first.
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"))

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

#: Up to this many seconds a duration is told in the smaller unit: 90 minutes, not 1 hour 30 minutes.
_MANY = 100


def number(value: float) -> str:
    """A number with thousands separated and nothing lost: `1,010`, `0.0005`, `1e-5`."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value.is_integer() and abs(value) < _LARGEST_PLAIN:
        return f"{int(value):,}"
    text = repr(value)
    if "e" not in text:
        return f"{value:,}" if abs(value) >= _SMALLEST_PLAIN else text
    digits, _, exponent = text.partition("e")
    return f"{digits}e{int(exponent)}"


def rounded(value: float, digits: int = 3) -> str:
    """A measured or averaged number, cut to a few significant digits: `0.325`, `1,230`."""
    if isinstance(value, int) or not math.isfinite(value) or value == 0:
        return number(value)
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return number(round(value, max(places, 0)))


def in_short(value: float) -> str:
    """A number in few cells, for what need not be exact: `1,230`, `57 M`, `1.23 G`."""
    for unit, name in _LARGE:
        if unit <= abs(value) < math.inf:
            return f"{rounded(value / unit)} {name}"
    return rounded(value)


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2,020 images`."""
    return f"{number(amount)} {noun if amount == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """The two largest units that say something: `45 seconds`, `11 minutes`, `2 hours 5 minutes`."""
    whole = round(seconds)
    if whole < _MANY:
        return count(whole, "second") if whole or not seconds else "less than a second"
    if whole < _MANY * _MINUTE:
        return count(round(whole / _MINUTE), "minute")
    if whole < 2 * _DAY:
        minutes = round(whole / _MINUTE)
        return _both(count(minutes // 60, "hour"), minutes % 60, "minute")
    hours = round(whole / _HOUR)
    return _both(count(hours // 24, "day"), hours % 24, "hour")


def _both(first: str, rest: int, noun: str) -> str:
    return f"{first} {count(rest, noun)}" if rest else first


def size(length: int) -> str:
    """A number of bytes in powers of 1,000: `512 bytes`, `37.9 MB`."""
    value = float(length)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 1000 or unit == "TB":  # noqa: PLR2004  (the step between the units)
            break
        value /= 1000
    return count(length, "byte") if unit == "bytes" else f"{value:,.1f} {unit}"


def share(part: float) -> str:
    """A share of one in per cent: `0 %`, `<1 %`, `12 %`, `>99 %`, `100 %`."""
    percent = round(part * 100)
    if part > 0 and percent == 0:
        return "<1 %"
    if part < 1 and percent == 100:  # noqa: PLR2004  (all of them)
        return ">99 %"
    return f"{percent} %"


def instant(moment: datetime) -> str:
    """UTC, spelled as the database holds it: `2024-05-01 12:00:00`, with fractions where there are any."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ")


def second(moment: datetime) -> str:
    """UTC to the second: `2024-05-01 12:00:00`."""
    return instant(moment.replace(microsecond=0))


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:  # noqa: PLR2004  (nothing to join)
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def bar(part: float, width: int, *, plain: bool = False) -> str:
    """A bar; at least a sliver where there is anything.

    Args:
        part: From 0 to 1, the share of the bar that is drawn.
        width: Cells of a whole bar.
        plain: Draw with `#` alone, for outputs that cannot show block characters.
    """
    part = min(max(part, 0.0), 1.0)
    if plain:
        return "#" * max(round(part * width), 1 if part else 0)
    eighths = max(round(part * width * 8), 1 if part else 0)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


#: By outcome; the others are final, or need nothing.
REMEDIES: Mapping[str, str] = {
    Outcome.PENDING: "sync goes on with them",
    Outcome.LOGIN_REQUIRED: "lora-crawl login, then sync again",
    Outcome.EARLY_ACCESS: "read once it is over",
    Outcome.DOWNLOADS_DISABLED: "not asked for again",
    Outcome.FORBIDDEN: "not asked for again",
    Outcome.NOT_FOUND: "sync --retry-failed asks again",
    Outcome.ARCHIVED: "not asked for again",
    Outcome.FAILED: "sync --retry-failed asks again",
}


def is_number(value: object) -> bool:
    """Whether a value is set to the right in a table, and is no text to a spreadsheet."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def cell(value: object) -> str:
    """A value in one line, without anything that could steer a terminal; NULL is empty.

    Truth values are `true` and `false`, floats the shortest text that reads back the same, times
    spelled as in the database, JSON compact, bytes hexadecimal.
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
    return visible(_as_text(value))


def json_text(value: object, *, compact: bool = False, indent: int | None = None) -> str:
    r"""A value as JSON in readable UTF-8, with everything unprintable escaped like `\u001b`.

    What JSON has no number for (infinity) is null; times and bytes are texts as in `cell`.

    Args:
        value: What JSON knows, or anything that a database returns.
        compact: Without blanks behind commas and colons.
        indent: Blanks per level, one value a line; None for everything in one line.
    """
    encoder = _encoder(compact=compact, indent=indent)
    try:
        encoded = encoder.encode(value)
    except ValueError:
        encoded = encoder.encode(_finite(value))
    if indent is None:
        return visible_json(encoded)
    return "\n".join(visible_json(line) for line in encoded.split("\n"))


@functools.cache
def _encoder(*, compact: bool, indent: int | None) -> json.JSONEncoder:
    """Made once: a million rows are encoded one by one."""
    return json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        default=_as_plain,
        separators=(",", ":") if compact else None,
    )


def _finite(value: Any) -> Any:
    """The same value with None for every float that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _as_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    return _as_text(value)


def _as_text(value: object) -> str:
    match value:
        case datetime():
            return instant(value)
        case bytes() | bytearray() | memoryview():
            return value.hex()
        case timedelta() | uuid.UUID():
            return str(value)
    return str(value)
