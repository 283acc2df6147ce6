"""Dates as people write them: ISO text, complete or shortened to a year, month, day, hour or minute."""

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?"
    r"(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2})?)?"
    r")?)?)?"
)


def span(text: str) -> tuple[datetime, datetime | None]:
    """The first instant of the period that `text` names, and the first instant after it, in UTC.

    `2025-01` is all of January. The second is None at the end of the year 9999.

    Raises:
        ValueError: It does not name a time between the years 1 and 9999.
    """
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
