"""The page of two LoRAs side by side."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import cell, count, is_number, listed, number
from crawler.cli.output.safe import visible
from crawler.cli.output.table import cut, dash, print_line
from crawler.cli.pages import layout
from crawler.cli.pages.settings import HEADINGS, spoken_value
from crawler.insight.diff import PARTS, Pair
from crawler.store.schema.fields import BY_NAME

#: Cells between two columns.
_GAP = 2

#: A wider value gets a line of its own even where there is room, to keep the columns close.
_WIDEST = 48

#: Tags that are named of those that only one LoRA has; `--json` has all.
_MOST_TAGS = 12


def print_pairs(
    console: Console, titles: Sequence[str], names: Sequence[Pair], pairs: Sequence[Pair]
) -> None:
    """Print the titles of both, their identity, and a line for each pair, group by group."""
    for name, title in zip("ab", titles, strict=True):
        layout.paragraph(console, f"{name}  {title}", hanging=3, style="bold")
    for group, found in groupby((*names, *pairs), lambda pair: pair.group):
        if group:
            layout.heading(console, HEADINGS.get(group) or group.capitalize())
        else:
            layout.blank(console)
        _print_group(console, list(found))


def _print_group(console: Console, group: Sequence[Pair]) -> None:
    """Print one group. Numbers are aligned to the right, texts to the left."""
    room = (console.width - layout.INDENT - layout.NAME_CELLS - _GAP) // 2
    cells = min(max(room, 1), _WIDEST)
    shown = [(pair, _shown(console, pair, pair.a), _shown(console, pair, pair.b)) for pair in group]
    digits = [0, 0]
    for pair, *texts in shown:
        for at, value in enumerate((pair.a, pair.b)):
            if is_number(value) and (width := cell_len(texts[at])) <= cells:
                digits[at] = max(digits[at], width)
    for pair, *texts in shown:
        if any(cell_len(text) > cells for text in texts) or len(pair.name) >= layout.NAME_CELLS:
            _print_under(console, pair, texts)
            continue
        aligned = [
            text.rjust(digits[at]) if is_number((pair.a, pair.b)[at]) else text
            for at, text in enumerate(texts)
        ]
        line = Text(" " * layout.INDENT + pair.name.ljust(layout.NAME_CELLS))
        line.append(aligned[0] + " " * (cells - cell_len(aligned[0]) + _GAP))
        line.append(aligned[1])
        print_line(console, line)


def _print_under(console: Console, pair: Pair, texts: Sequence[str]) -> None:
    """Print values that do not fit side by side in full, one under the other."""
    name = cut(console, visible(pair.name), console.width - layout.INDENT)
    print_line(console, Text(" " * layout.INDENT + name))
    for side, text in zip("ab", texts, strict=True):
        layout.paragraph(console, f"{side}  {text}", indent=2 * layout.INDENT, hanging=3)


def _shown(console: Console, pair: Pair, value: Any) -> str:
    if value is None:
        return dash(console)
    if pair.group == PARTS:
        return _part(value)
    known = BY_NAME.get(pair.name)
    if known is None:
        return number(value) if is_number(value) else cell(value)
    return visible(spoken_value(known, value))


def _part(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return number(value)
    if not isinstance(value, Mapping):
        return cell(value)
    if not value:
        return "none"
    named = [f"{visible(tag)} {number(amount)}" for tag, amount in list(value.items())[:_MOST_TAGS]]
    if len(value) <= _MOST_TAGS:
        return ", ".join(named)
    return listed([", ".join(named), count(len(value) - _MOST_TAGS, "more", "more")])
