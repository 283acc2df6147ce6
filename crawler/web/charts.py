"""Charts as values: a title, axes with units, the number of files behind, and the rows as a table.

Plotly draws them in the browser; here its figures are plain dicts. Marks stand at 0, 1, 2 … and their
names are labels, so two values with the same name stay two marks. The colours show on a light and on a
dark background; static/style.css sets those of text and lines.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from markupsafe import Markup

from crawler.answers.text import count, number, rounded
from crawler.answers.text import share as percent
from crawler.answers.visible import cut
from crawler.web.html import embedded

#: The colours of series. Each has a contrast of 3 to both backgrounds.
COLOURS = ("#3a7fd5", "#d9772b", "#2f9e7b", "#9b6bd3", "#d1577f", "#b08a1e", "#4a9fb5")

#: The colour of what the others are compared with, and of all the rest.
GREY = "#84898f"

#: The background behind the IQR of a line: the first colour, mostly transparent.
_BAND = "rgba(58, 127, 213, 0.2)"

#: Characters of a name beside a bar, below a bar, and in the text at the pointer.
_BESIDE, _BELOW, _POINTED = 22, 14, 120

#: Pixels of a chart: its height without bars side by side; a bar; and what is around the bars.
_HEIGHT, _BAR_HEIGHT, _AROUND_BARS = 280, 30, 80

#: The powers of ten on a logarithmic axis -> the ticks in each; with more powers 1 alone. With many
#: powers some are left out.
_LOG_STEPS = ((2, (1, 2, 5)), (3, (1, 3)))
_MOST_POWERS = 6

#: From here on the numbers of an axis are in thousands or millions.
_LARGE = 100_000

#: A chart has room for so many bars, so that a single one is no wall.
_FEWEST_BARS = 5

#: How far below its median a line goes on a logarithmic axis: there is no place for 0.
_LOWEST = 100

#: Plotly's settings for every chart. A page scrolls over it; nothing is zoomed by accident.
CONFIG = {"displayModeBar": False, "doubleClick": False}


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures.

    Attributes:
        title: Its words, such as `rank`.
        unit: In brackets after the title; empty where the title is enough.
        log: Whether equal distances are equal ratios.
        is_share: The values are shares from 0 to 1, shown as percentages.
        ends: The axis goes no further, however far the values do; None without such ends.
    """

    title: str
    unit: str = ""
    log: bool = False
    is_share: bool = False
    ends: tuple[float, float] | None = None

    @property
    def text(self) -> str:
        """`training time (hours)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


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


def plain(text: str, most: int = _POINTED) -> str:
    """Text that Plotly shows as it is, cut to `most` characters. Plotly reads tags and entities."""
    short = cut(text, most)
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
    figure = _figure(
        [
            {
                "type": "bar",
                "x": list(places),
                "y": amounts,
                "marker": {"color": COLOURS[0]},
                **_pointed(
                    f"{name}: {count(amount, 'file')} ({percent(amount / total)})"
                    for name, amount in zip(names, amounts, strict=True)
                ),
            }
        ],
        x=_named(x, [place if exact else place - 0.5 for place in places], edges, _BELOW)
        | {"range": [middle - slots / 2, middle + slots / 2]},
        y=_measured(Axis("files"), amounts),
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
            **_pointed(
                _told(label, one.name if len(series) > 1 else "", x, value)
                for label, value in zip(names, one.values, strict=True)
            ),
        }
        for at, one in enumerate(series)
    ]
    thick = _BAR_HEIGHT if stacked or len(series) == 1 else _BAR_HEIGHT * 0.75 * len(series)
    figure = _figure(
        data,
        x=_measured(x, [value for one in series for value in one.values]),
        y=_named(Axis(""), places, names, _BESIDE) | {"autorange": "reversed"},
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
                **_pointed(
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
    figure = _figure(
        data,
        x=_named(Axis(name), places, names, _BELOW),
        y=_measured(y, heights),
        legend=len(series) > 1,
        height=_HEIGHT + (40 if len(series) > 1 else 0),
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
                **_pointed(
                    f"{group.name}: {named}median {_shown(x, group.median)},"
                    f" IQR {_shown(x, group.low)} to {_shown(x, group.high)},"
                    f" {count(group.files, 'file')}"
                    for group in one.groups
                ),
            }
        )
    figure = _figure(
        data,
        x=_measured(
            x, [value for one in series for group in one.groups for value in _three(x, group)]
        ),
        y=_named(Axis(""), range(len(names)), names, _BESIDE)
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


def _pointed(texts: Iterable[str]) -> dict[str, Any]:
    return {"hovertext": [plain(text) for text in texts], "hoverinfo": "text"}


def _named(axis: Axis, places: Sequence[float], names: Sequence[str], most: int) -> dict[str, Any]:
    """An axis of names; static/charts.js leaves out some that have no room below a chart."""
    texts = [plain(name, most) for name in names]
    return {
        "type": "linear",
        "tickmode": "array",
        "tickvals": list(places),
        "ticktext": texts,
        "showgrid": False,
        "zeroline": False,
        **_titled(axis),
    }


def _measured(axis: Axis, values: Iterable[float | None]) -> dict[str, Any]:
    """An axis of numbers around some values."""
    known = [value for value in values if value]
    if axis.ends:
        low, high = axis.ends
        known = [min(max(value, low), high) for value in known]
    form: dict[str, Any] = {
        "rangemode": "tozero",
        "nticks": 6,
        "separatethousands": True,
        "exponentformat": "none",
    }
    if max(known, default=0) >= _LARGE:
        form |= {"tickformat": "~s"}  # like 150k
    if axis.log:
        ticks = _log_ticks([value for value in known if value > 0])
        texts = [number(tick) for tick in ticks]
        form = {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": texts}
        if axis.ends and known:
            # A little more room than the marks need.
            form["range"] = [math.log10(min(known) / 1.1), math.log10(max(known) * 1.1)]
    if axis.is_share:
        form |= {"tickformat": ",.0%"}
    return {**form, **_titled(axis)}


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers around positive ones: at most some six."""
    if not values:
        return []
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = next((steps for most, steps in _LOG_STEPS if high - low <= most), (1,))
    every = -(-(high - low) // _MOST_POWERS) or 1
    ticks = [float(f"{step}e{power}") for power in range(low, high + 1, every) for step in steps]
    return [tick for tick in ticks if min(values) / 2 <= tick <= max(values) * 2]


def _titled(axis: Axis) -> dict[str, Any]:
    """Pointing is all that an axis allows: dragging over a chart scrolls the page."""
    title = {"text": plain(axis.text), "standoff": 12, "font": {"size": 12}}
    return {
        "automargin": True,
        "tickangle": 0,
        "fixedrange": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "rgba(0, 0, 0, 0)",
        **({"title": title} if axis.text else {}),
    }


def _figure(
    data: Sequence[Mapping[str, Any]],
    *,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = _HEIGHT,
    legend: bool = False,
    **layout: Any,
) -> dict[str, Any]:
    return {
        "data": data,
        "layout": {
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "font": {"size": 13},
            "dragmode": False,
            "hovermode": "closest",
            "hoverlabel": {"align": "left"},
            "showlegend": legend,
            "legend": {
                "orientation": "h",
                "y": 1,
                "yanchor": "bottom",
                "x": 0,
                "traceorder": "normal",
            },
            "xaxis": x,
            "yaxis": y,
            **layout,
        },
    }
