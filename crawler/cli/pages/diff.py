"""The page of LoRAs side by side."""

from collections.abc import Sequence
from string import ascii_lowercase

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.diff import in_groups, shown
from crawler.answers.text import is_number
from crawler.answers.visible import visible
from crawler.cli.output.table import cut, dash, print_line
from crawler.cli.pages import layout
from crawler.insight.diff import Compared

#: Cells between two columns.
_GAP = 2

#: A wider value gets a line of its own even where there is room, to keep the columns close.
_WIDEST = 48


def print_compared(
    console: Console, titles: Sequence[str], names: Sequence[Compared], settings: Sequence[Compared]
) -> None:
    """Print the titles, the identity of each LoRA, and a line for each setting, group by group."""
    for name, title in zip(ascii_lowercase, titles, strict=False):
        layout.paragraph(console, f"{name}  {title}", hanging=3, style="bold")
    for heading, group in in_groups(names, settings):
        if heading:
            layout.heading(console, heading)
        else:
            layout.blank(console)
        _print_group(console, group)


def _print_group(console: Console, group: Sequence[Compared]) -> None:
    """Print one group. Numbers are aligned to the right, texts to the left."""
    sides = len(group[0].values)
    room = (console.width - layout.INDENT - layout.NAME_CELLS + _GAP) // sides - _GAP
    cells = min(max(room, 1), _WIDEST)
    lines = [(one, [shown(one, value) or dash(console) for value in one.values]) for one in group]
    digits = [0] * sides
    for one, texts in lines:
        for at, value in enumerate(one.values):
            if is_number(value) and (width := cell_len(texts[at])) <= cells:
                digits[at] = max(digits[at], width)
    for one, texts in lines:
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
