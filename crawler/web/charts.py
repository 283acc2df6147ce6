"""Charts as values: a title, axes with units, the number of files behind, and the rows as a table.

The colours show on a light and on a dark background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from markupsafe import Markup

from crawler.answers.text import count, number, rounded
from crawler.answers.text import share as percent
from crawler.web.figure import (
    CONFIG,
    HEIGHT,
    Axis,
    figure_of,
    measured_axis,
    named_axis,
    plain,
    pointed,
)
from crawler.web.html import embedded

#: The colours of series. Each has a contrast of 3 to both backgrounds.
COLOURS = ("#3a7fd5", "#d9772b", "#2f9e7b", "#9b6bd3", "#d1577f", "#b08a1e", "#4a9fb5")

#: The colour of what the others are compared with, and of all the rest.
GREY = "#84898f"

#: The background behind the IQR of a line: the first colour, mostly transparent.
_BAND = "rgba(58, 127, 213, 0.2)"

#: Characters of a name beside a bar and below a bar.
_BESIDE, _BELOW = 22, 14

#: Pixels of a bar, and of what is around the bars.
_BAR_HEIGHT, _AROUND_BARS = 30, 80

#: A chart has room for so many bars, so that a single one is no wall.
_FEWEST_BARS = 5

#: How far below its median a line goes on a logarithmic axis: there is no place for 0.
_LOWEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart, as text and for Plotly.

    Attributes:
        key: Its id, the only one of this name on a page.
        title: What it shows.
        behind: How many files, such as `1,234 files`.
        head: The heads of the table.
        rows: The cells of the table, the same figures as in the chart.
        figure: Plotly's data and layout. Texts in it cannot contain markup.
        note: A sentence for its reader; may be empty.
        wide: It needs the whole width of the page.
    """

    key: str
    title: str
    behind: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figure: Mapping[str, Any]
    note: str = ""
    wide: bool = False

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure["layout"]["height"])

    @property
    def json(self) -> Markup:
        """The figure and the settings, for a script element of type application/json."""
        return embedded({**self.figure, "config": CONFIG})


@dataclass(frozen=True, slots=True)
class Series:
    """Values with one colour.

    Attributes:
        name: What the legend says.
        values: A value for each name of the chart; None leaves a gap.
        low: The lower end of a band around a line, for each name; empty without a band.
        high: The upper end.
        colour: That of its place among the series where it is empty.
    """

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The spread of a number in one group.

    Attributes:
        name: The group.
        files: Files with a value.
        low: The 25th percentile.
        high: The 75th percentile.
    """

    name: str
    files: int
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Spreads:
    """The spread of a number in several groups, with one colour.

    Attributes:
        name: What the legend says.
        groups: From top to bottom.
        colour: That of its place among the series where it is empty.
    """

    name: str
    groups: Sequence[Quartiles]
    colour: str = ""


def histogram(
    key: str,
    title: str,
    behind: str,
    x: Axis,
    bins: Sequence[tuple[str, str, int]],
    *,
    exact: bool,
    note: str = "",
) -> Chart:
    """A histogram whose bars touch; bars of single values have gaps.

    Args:
        key: As in `Chart`, like the next two.
        title: What it shows.
        behind: How many files.
        x: What is counted.
        bins: For each bar its name in full, what stands at its left edge (or below it, with `exact`), and
            the number of files.
        exact: Each bar is one value.
        note: As in `Chart`.
    """
    names, edges, amounts = zip(*bins, strict=True) if bins else ((), (), ())
    total = sum(amounts) or 1
    places = range(len(bins))
    middle, slots = (len(bins) - 1) / 2, max(len(bins), _FEWEST_BARS)
    figure = figure_of(
        [
            {
                "type": "bar",
                "x": list(places),
                "y": amounts,
                "marker": {"color": COLOURS[0]},
                **pointed(
                    f"{name}: {count(amount, 'file')} ({percent(amount / total)})"
                    for name, amount in zip(names, amounts, strict=True)
                ),
            }
        ],
        x=named_axis(x, [place if exact else place - 0.5 for place in places], edges, _BELOW)
        | {"range": [middle - slots / 2, middle + slots / 2]},
        y=measured_axis(Axis("files"), amounts),
        bargap=0.3 if exact else 0.06,
    )
    rows = tuple(
        (name, number(amount), percent(amount / total))
        for name, amount in zip(names, amounts, strict=True)
    )
    return Chart(
        key=key,
        title=title,
        behind=behind,
        head=(x.text, "files", "share"),
        rows=rows,
        figure=figure,
        note=note,
    )


def bars(
    key: str,
    title: str,
    behind: str,
    names: Sequence[str],
    series: Sequence[Series],
    *,
    name: str,
    x: Axis,
    stacked: bool = False,
    note: str = "",
    wide: bool = False,
) -> Chart:
    """Horizontal bars, the first name on top; several series side by side or stacked.

    Args:
        key: As in `Chart`, like the next two.
        title: What it shows.
        behind: How many files.
        names: Of the bars.
        series: Their lengths.
        name: The head of the names.
        x: What the lengths measure.
        stacked: The series are parts of a whole.
        note: As in `Chart`.
        wide: As in `Chart`.
    """
    places = list(range(len(names)))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": plain(one.name),
            "y": places,
            "x": one.values,
            "marker": {"color": one.colour or COLOURS[at % len(COLOURS)]},
            **pointed(
                _told(label, one.name if len(series) > 1 else "", x, value)
                for label, value in zip(names, one.values, strict=True)
            ),
        }
        for at, one in enumerate(series)
    ]
    thick = _BAR_HEIGHT if stacked or len(series) == 1 else _BAR_HEIGHT * 0.75 * len(series)
    figure = figure_of(
        data,
        x=measured_axis(x, [value for one in series for value in one.values]),
        y=named_axis(Axis(""), places, names, _BESIDE) | {"autorange": "reversed"},
        height=round(len(names) * thick) + _AROUND_BARS + (30 if len(series) > 1 else 0),
        bargap=0.3,
        barmode="stack" if stacked else "group",
        legend=len(series) > 1,
    )
    return Chart(
        key=key,
        title=title,
        behind=behind,
        head=(name, *(one.name for one in series)),
        rows=_rows(names, series, x),
        figure=figure,
        note=note,
        wide=wide,
    )


def lines(
    key: str,
    title: str,
    behind: str,
    names: Sequence[str],
    series: Sequence[Series],
    *,
    name: str,
    y: Axis,
    counts: Sequence[int] = (),
    note: str = "",
    wide: bool = False,
) -> Chart:
    """Lines over names that have an order, such as months. A series may have a band around it.

    Args:
        key: As in `Chart`, like the next two.
        title: What it shows.
        behind: How many files.
        names: From left to right.
        series: Their heights.
        name: What the names are, such as `month`.
        y: What the heights measure.
        counts: The number of files behind each name; empty where it is told elsewhere.
        note: As in `Chart`.
        wide: As in `Chart`.
    """
    places = list(range(len(names)))
    data: list[dict[str, Any]] = []
    for at, one in enumerate(series):
        colour = one.colour or COLOURS[at % len(COLOURS)]
        if one.low:
            edge = {"type": "scatter", "mode": "lines", "x": places, "line": {"width": 0}}
            hidden = {"showlegend": False, "hoverinfo": "skip", "connectgaps": True}
            data += [
                {**edge, **hidden, "y": one.low},
                {**edge, **hidden, "y": one.high, "fill": "tonexty", "fillcolor": _BAND},
            ]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "connectgaps": True,
                "name": plain(one.name),
                "x": places,
                "y": one.values,
                "line": {"color": colour, "width": 2.5},
                "marker": {"size": 5, "color": colour},
                **pointed(
                    _told(label, one.name if len(series) > 1 else "", y, value, amount)
                    for label, value, amount in zip(
                        names, one.values, counts or repeat(None, len(names)), strict=True
                    )
                ),
            }
        )
    heights = [
        value for one in series for some in (one.values, one.low, one.high) for value in some
    ]
    figure = figure_of(
        data,
        x=named_axis(Axis(name), places, names, _BELOW),
        y=measured_axis(y, heights),
        legend=len(series) > 1,
        height=HEIGHT + (40 if len(series) > 1 else 0),
    )
    banded = len(series) == 1 and bool(series[0].low)
    shown: list[Series] = list(series)
    if banded:
        shown += [Series("25%", series[0].low), Series("75%", series[0].high)]
    rows = _rows(names, shown, y)
    if counts:
        rows = tuple(
            (row[0], number(amount), *row[1:]) for row, amount in zip(rows, counts, strict=True)
        )
    head = (name, *(["files"] if counts else []), *(one.name for one in shown))
    return Chart(
        key=key,
        title=title,
        behind=behind,
        head=head,
        rows=rows,
        figure=figure,
        note=note,
        wide=wide,
    )


def spreads(
    key: str,
    title: str,
    behind: str,
    series: Sequence[Spreads],
    *,
    name: str,
    x: Axis,
    note: str = "",
    wide: bool = False,
) -> Chart:
    """The median of each group as a dot, on a line from the 25th to the 75th percentile.

    Args:
        key: As in `Chart`, like the next two.
        title: What it shows.
        behind: How many files.
        series: Each has the same groups, from top to bottom.
        name: The head of the groups.
        x: What the values measure.
        note: As in `Chart`.
        wide: As in `Chart`.
    """
    names = [one.name for one in series[0].groups]
    apart = 0.3
    data: list[dict[str, Any]] = []
    for at, one in enumerate(series):
        colour = one.colour or COLOURS[at]
        shift = (at - (len(series) - 1) / 2) * apart
        named = f"{one.name}, " if len(series) > 1 else ""
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(one.name),
                "x": [group.median for group in one.groups],
                "y": [place + shift for place in range(len(names))],
                "marker": {"size": 11, "color": colour},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [group.high - group.median for group in one.groups],
                    "arrayminus": [group.median - _three(x, group)[0] for group in one.groups],
                    "color": colour,
                    "thickness": 4,
                    "width": 0,
                },
                **pointed(
                    f"{group.name}: {named}median {_shown(x, group.median)},"
                    f" IQR {_shown(x, group.low)} to {_shown(x, group.high)},"
                    f" {count(group.files, 'file')}"
                    for group in one.groups
                ),
            }
        )
    figure = figure_of(
        data,
        x=measured_axis(
            x, [value for one in series for group in one.groups for value in _three(x, group)]
        ),
        y=named_axis(Axis(""), range(len(names)), names, _BESIDE)
        | {"range": [len(names) - 0.5, -0.5], "showgrid": True},
        height=round(len(names) * _BAR_HEIGHT * (1 + 0.3 * (len(series) - 1)))
        + _AROUND_BARS
        + (30 if len(series) > 1 else 0),
        legend=len(series) > 1,
    )
    rows = tuple(
        (
            *([one.name] if len(series) > 1 else []),
            group.name,
            number(group.files),
            *(_shown(x, value) for value in (group.low, group.median, group.high)),
        )
        for one in series
        for group in one.groups
    )
    head = (name, "files", "25%", f"median {x.text}", "75%")
    return Chart(
        key=key,
        title=title,
        behind=behind,
        head=("among", *head) if len(series) > 1 else head,
        rows=rows,
        figure=figure,
        note=note,
        wide=wide,
    )


def _three(axis: Axis, group: Quartiles) -> tuple[float, float, float]:
    """The quartiles as they are drawn: on a logarithmic axis not down to 0."""
    low = max(group.low, group.median / _LOWEST) if axis.log else group.low
    return low, group.median, group.high


def _rows(
    names: Sequence[str], series: Sequence[Series], axis: Axis
) -> tuple[tuple[str, ...], ...]:
    columns = [[_shown(axis, value) for value in one.values] for one in series]
    return tuple(zip(names, *columns, strict=True))


def _shown(axis: Axis, value: float | None) -> str:
    if value is None:
        return ""
    return percent(value) if axis.is_share else rounded(value)


def _told(
    label: str, series: str, axis: Axis, value: float | None, files: int | None = None
) -> str:
    """What is shown at the pointer."""
    named = ", ".join(filter(None, (label, series)))
    what = "" if axis.is_share else f" {axis.unit or axis.title}"
    behind = "" if files is None else f", {count(files, 'file')}"
    return f"{named}: {_shown(axis, value)}{what}{behind}"
