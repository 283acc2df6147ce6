"""The forms of a cursor that are known. Cursors are opaque otherwise: they are sent back as they came.

In the order `oldest` a cursor begins with a time, `2026-02-03 04:05:06.789|71` or, in 2024,
`2024-09-15T02:47:40.810Z`. Its model's id, or in a search the number of models before it, ends a cursor.
The source is Civitai's pagination-helpers.ts.
"""

import re
from datetime import UTC, datetime, timedelta

from crawler.model import ListQuery, Order

#: A time, up to its fraction of a second, which may lack zeros at its end; and what follows.
_DATED = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<gap>[ T])(?P<time>\d\d:\d\d:\d\d)(?:\.(?P<part>\d{1,6}))?"
    r"(?P<rest>Z|Z?\|\d{1,18})"
)
_NUMBERED = re.compile(r"(?P<before>(?:.*\|)?)(?P<number>\d{1,18})")
_UNDATED = re.compile(r"\|\d+")

#: A place before every model of the site, in today's form.
BEGINNING = "2022-01-01 00:00:00|0"


def moved(cursor: str, by: timedelta) -> str | None:
    """The cursor at another time of the order `oldest`; None if it contains no known time."""
    form, when = _DATED.fullmatch(cursor), time_of(cursor)
    if form is None or when is None:
        return None
    try:
        text = (when + by).isoformat(form["gap"], "milliseconds")
    except OverflowError:
        return None
    return text.partition("+")[0] + form["rest"]


def time_of(cursor: str | None) -> datetime | None:
    """The time in a cursor of the order `oldest`; None if it contains no known time."""
    form = None if cursor is None else _DATED.fullmatch(cursor)
    if form is None:
        return None
    try:
        whole = datetime.fromisoformat(f"{form['day']} {form['time']}.{form['part'] or '0':0<6}")
    except ValueError:
        return None
    return whole.replace(tzinfo=UTC)


def later(one: str | None, other: str | None) -> str | None:
    """The later of two cursors of the order `oldest`; the other one if that cannot be told."""
    when, other_time = time_of(one), time_of(other)
    return one if when is not None and other_time is not None and when > other_time else other


def following(cursor: str) -> str | None:
    """The place after the model that a cursor names; None if it names none."""
    form = _NUMBERED.fullmatch(cursor)
    return None if form is None else f"{form['before']}{int(form['number']) + 1}"


def model_of(cursor: str | None) -> str | None:
    """The id of the model that a cursor names; None if it names none."""
    form = None if cursor is None else _NUMBERED.fullmatch(cursor)
    return form["number"] if form is not None and form["before"] else None


def is_undated(query: ListQuery, cursor: str | None) -> bool:
    """Whether a cursor leads to models without a time, which come last in the order `oldest`."""
    return query.order is Order.OLDEST and _UNDATED.fullmatch(cursor or "") is not None
