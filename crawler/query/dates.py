"""Times as people write them.

A date is ISO text, complete or shortened to a year, month, day, hour or minute. `-30d` is a time relative to
now, and `2h` a length of time.
"""

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta

_ISO = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?"
    r"(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2})?)?"
    r")?)?)?"
)


#: Seconds of the units of a length of time.
_SECONDS = {
    **dict.fromkeys(("s", "sec"), 1),
    **dict.fromkeys(("m", "min"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}

#: Months of the units that have no fixed number of seconds.
_MONTHS = {
    **dict.fromkeys(("mo", "month", "months"), 1),
    **dict.fromkeys(("y", "year", "years"), 12),
}

_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([a-z]+) ?", re.IGNORECASE)
_RELATIVE = re.compile(r"([+-]) ?([0-9]{1,6}) ?([a-z]+)", re.IGNORECASE)


def is_length(text: str) -> bool:
    """Whether `seconds` takes a text."""
    try:
        seconds(text)
    except ValueError:
        return False
    return True


def seconds(text: str) -> float:
    """The seconds of a length of time, such as `45s`, `90min`, `1.5h`, `1h30min`, `3 days`.

    Raises:
        ValueError: It is not one.
    """
    total = 0.0
    at = 0
    while at < len(text) or not text:
        found = _AMOUNT.match(text, at)
        if found is None:
            raise ValueError("it is not a number with a unit")
        unit = found[2].lower()
        if unit not in _SECONDS:
            raise ValueError(f"the units are s, min, h, d and w, not {unit}")
        total += float(found[1]) * _SECONDS[unit]
        at = found.end()
    return total


def _relative(found: re.Match[str], now: datetime) -> datetime:
    sign, digits, unit = found[1], found[2], found[3].lower()
    amount = int(sign + digits)
    if unit == "m":
        raise ValueError("m may be minutes or months: write min or mo")
    if unit in _SECONDS:
        return now + timedelta(seconds=amount * _SECONDS[unit])
    if unit not in _MONTHS:
        raise ValueError(f"the units are min, h, d, w, mo and y, not {unit}")
    months = now.year * 12 + now.month - 1 + amount * _MONTHS[unit]
    if not MINYEAR <= months // 12 <= MAXYEAR:
        raise ValueError("out of range")
    first = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    # A month before 31 March is the last day of February.
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(now.day, last.day))


def span(text: str, now: datetime | None = None) -> tuple[datetime, datetime | None]:
    """The first instant of the period that `text` names, and the first instant after it, in UTC.

    `2025-01` is all of January. The second is None at the end of the year 9999, and for a time relative
    to now such as `-30d`, `+12h` or `-3mo`. `now` is the current time unless it is given.

    Raises:
        ValueError: It does not name a time between the years 1 and 9999.
    """
    if relative := _RELATIVE.fullmatch(text):
        try:
            return _relative(relative, now or datetime.now(UTC)), None
        except OverflowError as error:
            raise ValueError("out of range") from error
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("it does not begin with a year")
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    try:
        start = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
            tzinfo=UTC,
        )
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
            start += offset if sign == "-" else -offset
    except OverflowError as error:
        raise ValueError("out of range") from error
    try:
        return start, _after(start, found)
    except (OverflowError, ValueError):
        return start, None


def _after(start: datetime, found: re.Match[str]) -> datetime:
    _, month, day, hour, minute, second, fraction = found.groups()[:7]
    if month is None:
        return start.replace(year=start.year + 1)
    if day is None:
        following = start.replace(day=28) + timedelta(days=4)
        return following.replace(day=1)
    for part, length in (
        (hour, timedelta(days=1)),
        (minute, timedelta(hours=1)),
        (second, timedelta(minutes=1)),
        (fraction, timedelta(seconds=1)),
    ):
        if part is None:
            return start + length
    return start + timedelta(microseconds=10 ** (6 - len(fraction)))
