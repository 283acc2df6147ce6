"""Print rows as a table that fits the width of the terminal.

The rows are printed as they arrive. `rich.table.Table` would keep all of them, and takes more than a
second for 1,000 rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import cell, is_number
from crawler.cli.output.safe import visible

#: Rows whose values decide the widths of the columns; they are held in memory.
_MEASURED_ROWS = 1000

#: Cells between two columns.
_GAP = 2

#: A column of text can shrink to this many cells, or to its name where that is longer.
_NARROWEST = 8

#: Characters to look at for each cell of width: enough for accents, and a bound for a text of a
#: million characters without width.
_CHARACTERS_PER_CELL = 4


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table.

    Attributes:
        width: Cells of its widest value or name.
        floor: The least width in cells; equal to `width` if its values must not be cut.
    """

    name: str
    is_number: bool
    width: int
    floor: int


def print_table(console: Console, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print the rows below the column names.

    Numbers are aligned to the right, long texts end in an ellipsis, NULL is a dash. Where the
    columns do not fit side by side, every row becomes a block of lines `name  value`.
    """
    names = [visible(name) for name in names]
    rest = iter(rows)
    first = list(islice(rest, _MEASURED_ROWS))
    columns = [
        _measured(console, name, [row[at] for row in first if row[at] is not None])
        for at, name in enumerate(names)
    ]
    room = console.width - _GAP * (len(columns) - 1)
    if sum(column.floor for column in columns) > room:
        _print_blocks(console, names, chain(first, rest))
        return
    widths = _fitted(columns, room)
    _print_row(console, columns, widths, names, style="bold")
    for row in chain(first, rest):
        _print_row(console, columns, widths, row)


def cut(console: Console, text: str, width: int) -> str:
    """At most `width` cells of a text, with an ellipsis where it was cut."""
    start = text[: width * _CHARACTERS_PER_CELL]
    if start == text and cell_len(text) <= width:
        return text
    return set_cell_size(start, max(width - 1, 0)).rstrip() + ellipsis(console)


def ellipsis(console: Console) -> str:
    """The character for omitted text, one cell wide."""
    return "…" if has_blocks(console) else "~"


def dash(console: Console) -> str:
    """The character for a missing value."""
    return "\N{EN DASH}" if has_blocks(console) else "-"


def has_blocks(console: Console) -> bool:
    """Whether the output can show block characters, dashes and an ellipsis."""
    return console.encoding.startswith("utf")


def print_line(console: Console, line: Text) -> None:
    """Print one line as it is: never wrapped, without blanks at its end."""
    line.rstrip()
    if console.color_system is None and not console.is_terminal:
        console.file.write(line.plain + "\n")  # a million rows need no layout
    else:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _measured(console: Console, name: str, values: Sequence[object]) -> _Column:
    name_cells = max(cell_len(name), 1)
    # No terminal is so wide that more of a value could be shown.
    most = console.width * _CHARACTERS_PER_CELL
    width = max([cell_len(cell(value)[:most]) for value in values] + [name_cells])
    numeric = bool(values) and all(is_number(value) for value in values)
    is_whole = numeric or any(isinstance(value, datetime) for value in values)
    floor = width if is_whole else min(width, max(_NARROWEST, name_cells))
    return _Column(name, numeric, width, floor)


def _fitted(columns: Sequence[_Column], room: int) -> list[int]:
    """The widths of the columns, narrowed until they fit together."""
    widths = [column.floor for column in columns]
    spare = room - sum(widths)
    # The smallest wishes are granted first, so that what is left goes to the widest columns.
    order = sorted(range(len(columns)), key=lambda at: columns[at].width - widths[at])
    for served, at in enumerate(order):
        granted = min(columns[at].width - widths[at], spare // (len(columns) - served))
        widths[at] += granted
        spare -= granted
    return widths


def _print_row(
    console: Console,
    columns: Sequence[_Column],
    widths: Sequence[int],
    row: Sequence[object],
    *,
    style: str = "",
) -> None:
    line = Text(style=style)
    for column, width, value in zip(columns, widths, row, strict=True):
        shown = _shown(console, value, width)
        blank = " " * (width - cell_len(shown.plain))
        line.append(" " * _GAP if line else "")
        for part in (blank, shown) if column.is_number else (shown, blank):
            line.append(part)
    print_line(console, line)


def _shown(console: Console, value: object, width: int) -> Text:
    if value is None:
        return Text(dash(console), style="dim")
    return Text(cell(value) if is_number(value) else cut(console, cell(value), width))


def _print_blocks(console: Console, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    widest = max(cell_len(name) for name in names)
    room = max(console.width - widest - _GAP, _NARROWEST)
    for number, row in enumerate(rows):
        if number:
            print_line(console, Text())
        for name, value in zip(names, row, strict=True):
            start = Text(name + " " * (widest - cell_len(name) + _GAP), style="bold")
            print_line(console, Text.assemble(start, _shown(console, value, room)))
