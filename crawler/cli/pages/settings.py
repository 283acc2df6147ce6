"""The settings of one LoRA, group by group."""

from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.lora import LoraView, Usual
from crawler.answers.settings import comparison, in_groups, spoken_value, usual_of
from crawler.answers.text import figure, is_number, short
from crawler.answers.visible import visible
from crawler.cli.pages import layout
from crawler.query.fields import Field

#: Cells of a value with statistics beside it, and of those.
_CELLS = (14, 34)

#: Cells of a value on a page without statistics.
_ALONE = (20, 0)

#: Medians from here on are shortened, to fit their cells.
_SHORT_FROM = 1e6

#: From this width on, in cells, the meaning of every setting is shown.
_ROOM_FOR_MEANINGS = 130


def print_settings(console: Console, view: LoraView) -> None:
    """Print the groups that have values, each number with the statistics of the base model."""
    compared = comparison(view)
    if compared:
        layout.blank(console)
        colour = " A number outside the IQR is yellow." if layout.has_colours(console) else ""
        layout.paragraph(console, f"On the right: {compared}{colour}", style="dim")
    remark = _columns("pct", "median", "IQR") if compared else ""
    for heading, filled in in_groups(view):
        is_compared = any(each.name in view.usual for each in filled)
        at = layout.INDENT + layout.NAME_CELLS + _CELLS[0]
        layout.heading(console, heading, remark if is_compared else "", at=at)
        remark = "" if is_compared else remark
        for each in filled:
            _print_setting(console, each, view)


def _print_setting(console: Console, each: Field, view: LoraView) -> None:
    value = spoken_value(each, view[each.name])
    usual = usual_of(each, view)
    cells = _CELLS if view.usual else _ALONE
    room = min(cells[0] if usual else sum(cells), console.width - layout.INDENT - layout.NAME_CELLS)
    if cell_len(visible(value)) >= room:
        layout.setting(console, each.name, value)
        return
    meaning = each.meaning if console.width >= _ROOM_FOR_MEANINGS else ""
    layout.columns(
        console,
        each.name,
        Text(visible(value), style=_style(view[each.name], usual)),
        Text(_statistics(console, each, usual, view[each.name]), style="dim"),
        Text(meaning, style="dim"),
        cells=cells,
    )


def _statistics(console: Console, each: Field, usual: Usual | None, value: Any) -> str:
    if usual is None:
        return ""
    rank = usual.rank(value) if is_number(value) else None
    low, median, high = (
        short(end) if abs(end) >= _SHORT_FROM else figure(end, each, is_statistic=True)
        for end in (usual.quartile1, usual.median, usual.quartile3)
    )
    return _columns(
        "" if rank is None else str(rank),
        median,
        "" if usual.quartile1 == usual.quartile3 else layout.span(console, low, high),
    )


def _columns(rank: str, median: str, iqr: str) -> str:
    return f"{rank:>3}   {median:<8}  {iqr}".rstrip()


def _style(value: Any, usual: Usual | None) -> str:
    """The colour of a number outside the interquartile range; none for others."""
    if usual is None or not is_number(value):
        return ""
    return "" if usual.quartile1 <= value <= usual.quartile3 else "yellow"
