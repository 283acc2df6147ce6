"""Rows in columns for a person, as wide as the terminal and no wider."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import cell, is_number
from crawler.cli.output.safe import visible

#: Rows that are looked at to choose the widths, and held in memory for it.
_MEASURED_ROWS = 1000

#: Characters of a value that are looked at for it: no terminal is wider.
_MEASURED_CHARACTERS = 1000

#: Cells between two columns.
_GAP = 2

#: A column of text may be cut down to this many cells (or to its name, if that is longer) before
#: the rows are shown one value a line.
_NARROWEST = 8

#: Characters that are looked at for every cell of width: room for accents, none for a text of a
#: million characters without width.
_CHARACTERS_PER_CELL = 4


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    is_number: bool
    is_cuttable: bool
    width: int


def print_table(console: Console, names: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Print the rows under their names and return how many there were.

    Numbers stand to the right, a text too wide is cut with an ellipsis, NULL is a dash. When the
    columns cannot stand side by side at all, every row becomes a block of lines `name  value`.
    """
    names = [visible(name) for name in names]
    rest = iter(rows)
    first = list(islice(rest, _MEASURED_ROWS))
    columns = _fitted([_measured(at, name, first) for at, name in enumerate(names)], console.width)
    if not columns:
        return _print_blocks(console, names, chain(first, rest))
    print_line(console, _line(console, columns, names, style="bold"))
    printed = 0
    for row in chain(first, rest):
        print_line(console, _line(console, columns, row))
        printed += 1
    return printed


def cut(console: Console, text: str, width: int) -> str:
    """At most `width` cells of a text, with an ellipsis where it was cut."""
    begins = text[: width * _CHARACTERS_PER_CELL]
    if begins == text and cell_len(text) <= width:
        return text
    return set_cell_size(begins, max(width - 1, 0)).rstrip() + ellipsis(console)


def ellipsis(console: Console) -> str:
    """What stands, in one cell, for what is left out."""
    return "…" if has_blocks(console) else "~"


def has_blocks(console: Console) -> bool:
    """Whether the output can show block characters, dashes and an ellipsis."""
    return console.encoding.startswith("utf")


def print_line(console: Console, line: Text) -> None:
    """Print one line as it is: never wrapped, no blanks behind it."""
    line.rstrip()
    if console.color_system is None and not console.is_terminal:
        console.file.write(line.plain + "\n")  # A million rows need no layout.
    else:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _measured(at: int, name: str, rows: Sequence[Sequence[object]]) -> _Column:
    values = [row[at] for row in rows if row[at] is not None]
    widest = max((cell_len(cell(value)[:_MEASURED_CHARACTERS]) for value in values), default=1)
    numeric = bool(values) and all(is_number(value) for value in values)
    timely = any(isinstance(value, datetime) for value in values)
    return _Column(name, numeric, not numeric and not timely, max(widest, cell_len(name), 1))


def _fitted(columns: Sequence[_Column], width: int) -> list[_Column]:
    """The columns narrowed until they fit together; none when they never do."""
    floors = [
        min(column.width, max(_NARROWEST, cell_len(column.name)))
        if column.is_cuttable
        else column.width
        for column in columns
    ]
    spare = width - _GAP * (len(columns) - 1) - sum(floors)
    if spare < 0:
        return []
    fitted = list(columns)
    wishes = {at: column.width - floors[at] for at, column in enumerate(columns)}
    # The smallest wishes are granted first, so that what is left goes to the widest columns.
    for served, at in enumerate(sorted(wishes, key=lambda at: wishes[at])):
        granted = min(wishes[at], spare // (len(columns) - served))
        fitted[at] = replace(columns[at], width=floors[at] + granted)
        spare -= granted
    return fitted


def _line(
    console: Console, columns: Sequence[_Column], row: Sequence[object], *, style: str = ""
) -> Text:
    line = Text(style=style)
    for at, (column, value) in enumerate(zip(columns, row, strict=True)):
        shown = _shown(console, value, column.width)
        blank = " " * (column.width - cell_len(shown.plain))
        line.append(" " * _GAP if at else "")
        for part in (blank, shown) if column.is_number else (shown, blank):
            line.append(part)
    return line


def _shown(console: Console, value: object, width: int) -> Text:
    if value is None:
        return Text("\N{EN DASH}" if has_blocks(console) else "-", style="dim")
    shown = cell(value)
    return Text(shown if is_number(value) else cut(console, shown, width))


def _print_blocks(console: Console, names: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    widest = max((cell_len(name) for name in names), default=0)
    printed = 0
    for row in rows:
        if printed:
            print_line(console, Text())
        for name, value in zip(names, row, strict=True):
            line = Text(name + " " * (widest - cell_len(name) + _GAP), style="bold")
            room = max(console.width - widest - _GAP, _NARROWEST)
            print_line(console, Text.assemble(line, _shown(console, value, room)))
        printed += 1
    return printed
