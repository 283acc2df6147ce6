"""The parts of Plotly's figures, as plain dicts: axes, texts at the pointer, and what all charts share.

Plotly draws them in the browser. Marks stand at 0, 1, 2 … and their names are labels, so two values with
the same name stay two marks. static/style.css sets the colours of text and lines.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.answers.text import number
from crawler.answers.visible import cut

#: Characters of a text at the pointer.
_POINTED = 120

#: Pixels of a chart without bars side by side.
HEIGHT = 280

#: The powers of ten on a logarithmic axis -> the ticks in each; with more powers 1 alone. With many
#: powers some are left out.
_LOG_STEPS = ((2, (1, 2, 5)), (3, (1, 3)))
_MOST_POWERS = 6

#: From here on the numbers of an axis are in thousands or millions.
_LARGE = 100_000

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


def plain(text: str, most: int = _POINTED) -> str:
    """Text that Plotly shows as it is, cut to `most` characters. Plotly reads tags and entities."""
    short = cut(text, most)
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pointed(texts: Iterable[str]) -> dict[str, Any]:
    """The text at the pointer for each mark."""
    return {"hovertext": [plain(text) for text in texts], "hoverinfo": "text"}


def named_axis(
    axis: Axis, places: Sequence[float], names: Sequence[str], most: int
) -> dict[str, Any]:
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


def measured_axis(axis: Axis, values: Iterable[float | None]) -> dict[str, Any]:
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


def figure_of(
    data: Sequence[Mapping[str, Any]],
    *,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = HEIGHT,
    legend: bool = False,
    **layout: Any,
) -> dict[str, Any]:
    """Marks on two axes, with the layout that all charts have; `layout` adds to it."""
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
