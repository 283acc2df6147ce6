"""The page of LoRAs side by side."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from string import ascii_lowercase
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.settings import HEADINGS, spoken_value
from crawler.answers.text import cell, count, is_number, listed, number
from crawler.answers.visible import visible
from crawler.cli.output.table import cut, dash, print_line, said
from crawler.cli.pages import layout
from crawler.insight.diff import PARTS, Compared
from crawler.store.schema.fields import BY_NAME

#: Cells between two columns.
_GAP = 2

#: A wider value gets a line of its own even where there is room, to keep the columns close.
_WIDEST = 48

#: Tags that are named of those that only one LoRA has; `--json` has all.
_MOST_TAGS = 12

#: The groups in the order of the page.
_GROUPS = ("", *HEADINGS, PARTS)


def print_compared(
    console: Console, titles: Sequence[str], names: Sequence[Compared], settings: Sequence[Compared]
) -> None:
    """Print the titles, the identity of each LoRA, and a line for each setting, group by group."""
    for name, title in zip(ascii_lowercase, titles, strict=False):
        layout.paragraph(console, f"{name}  {title}", hanging=3, style="bold")
    ordered = sorted((*names, *settings), key=lambda one: _GROUPS.index(one.group))
    for group, found in groupby(ordered, lambda one: one.group):
        if group:
            layout.heading(console, HEADINGS.get(group) or group.capitalize())
        else:
            layout.blank(console)
        _print_group(console, list(found))


def _print_group(console: Console, group: Sequence[Compared]) -> None:
    """Print one group. Numbers are aligned to the right, texts to the left."""
    sides = len(group[0].values)
    room = (console.width - layout.INDENT - layout.NAME_CELLS + _GAP) // sides - _GAP
    cells = min(max(room, 1), _WIDEST)
    shown = [(one, [_shown(console, one, value) for value in one.values]) for one in group]
    digits = [0] * sides
    for one, texts in shown:
        for at, value in enumerate(one.values):
            if is_number(value) and (width := cell_len(texts[at])) <= cells:
                digits[at] = max(digits[at], width)
    for one, texts in shown:
        if any(cell_len(text) > cells for text in texts) or len(one.name) >= layout.NAME_CELLS:
            _print_under(console, one, texts)
            continue
        line = Text(" " * layout.INDENT + one.name.ljust(layout.NAME_CELLS))
        for at, text in enumerate(texts):
            aligned = text.rjust(digits[at]) if is_number(one.values[at]) else text
            line.append(aligned + " " * (cells - cell_len(aligned) + _GAP))
        print_line(console, line)


def _print_under(console: Console, one: Compared, texts: Sequence[str]) -> None:
    """Print values that do not fit side by side in full, one under the other."""
    name = cut(console, visible(one.name), console.width - layout.INDENT)
    print_line(console, Text(" " * layout.INDENT + name))
    for side, text in zip(ascii_lowercase, texts, strict=False):
        layout.paragraph(console, f"{side}  {text}", indent=2 * layout.INDENT, hanging=3)


def _shown(console: Console, one: Compared, value: Any) -> str:
    if value is None:
        return dash(console)
    if one.group == PARTS:
        return _part(value)
    known = BY_NAME.get(one.name)
    if known is None:
        return said(value, one.name)
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
