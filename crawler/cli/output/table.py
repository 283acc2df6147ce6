"""Print rows for a person: as a table that fits the width of the terminal, or one field a line.

The rows are printed as they arrive. `rich.table.Table` would keep all of them, and takes more than a
second for 1,000 rows.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from crawler.answers.text import cell, figure, instant, is_number
from crawler.answers.visible import visible
from crawler.query.fields import Field
from crawler.store.schema.fields import BY_NAME

#: Rows whose values decide the widths of the columns; they are held in memory.
_MEASURED_ROWS = 1000

#: Cells between two columns.
_GAP = 2

#: A column of text can shrink to this many cells, or to its name where that is longer.
_NARROWEST = 8

#: Where columns have to be left out, the others get this many cells to be readable.
_READABLE = 20

#: The columns that are shown first where not all fit; the others follow in their order.
_MAIN = (
    *(
        "file_id",
        "model_name",
        "creator",
        "base_model",
        "network_dim",
        "network_alpha",
        "optimizer",
    ),
    *("effective_unet_lr", "steps", "image_count", "images_seen", "likes", "published_at"),
)

#: A time as SQLite stores it.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?")

#: Characters to look at for each cell of width: enough for accents, and a bound for a text of a
#: million characters without width.
_CHARACTERS_PER_CELL = 4


class Figure(str):
    """A number that is already written for a person, such as `85%`: aligned to the right and never cut."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table.

    Attributes:
        field: What it shows; None if it is no field.
        is_number: Its values are aligned to the right.
        width: Cells of its widest value or name.
        floor: The least width in cells; equal to `width` if its values must not be cut.
        is_empty: It has no values.
    """

    name: str
    field: Field | None
    is_number: bool
    width: int
    floor: int
    is_empty: bool


def print_table(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[object]], *, whole: bool = False
) -> tuple[str, ...]:
    """Print the rows below the column names; return the names of columns that do not fit.

    Numbers are aligned to the right, long texts end in an ellipsis, NULL is a dash. Of too many columns
    those with values and those of _MAIN are shown first.

    Args:
        console: Where to print.
        names: Of the columns.
        rows: A value for each column.
        whole: Show every column, even where lines become longer than the terminal is wide.
    """
    rest = iter(rows)
    first = list(islice(rest, _MEASURED_ROWS))
    columns = [
        _measured(console, name, [row[at] for row in first if row[at] is not None])
        for at, name in enumerate(names)
    ]
    shown = range(len(columns)) if whole else _fitting(columns, console.width)
    kept = [columns[at] for at in shown]
    widths = _widths(kept, console.width - _GAP * (len(kept) - 1))
    _print_row(console, kept, widths, [column.name for column in kept], style="bold")
    for row in chain(first, rest):
        _print_row(console, kept, widths, [row[at] for at in shown])
    return tuple(column.name for at, column in enumerate(columns) if at not in shown)


def print_expanded(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Print every row as a block of lines `name  value`. Values are not cut."""
    names = [visible(name) for name in names]
    fields = [_field(name) for name in names]
    widest = max(cell_len(name) for name in names)
    for number, row in enumerate(rows):
        if number:
            print_line(console, Text())
        for name, field, value in zip(names, fields, row, strict=True):
            start = Text(name + " " * (widest - cell_len(name) + _GAP), style="bold")
            shown = Text(dash(console), style="dim") if value is None else Text(_said(value, field))
            print_line(console, Text.assemble(start, shown))


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


def said(value: object, name: str) -> str:
    """A value of a column in one line for a person; NULL is empty."""
    return _said(value, _field(name))


def _field(name: str) -> Field | None:
    """The field of this name. Other names that end like those of ids are treated as ids."""
    known = BY_NAME.get(name)
    return BY_NAME["file_id"] if known is None and name.lower().endswith("_id") else known


def _said(value: object, field: Field | None) -> str:
    match value:
        case Figure():
            return value
        case bool():
            return cell(value)
        case datetime():
            return instant(value)
        case str() if _TIME.fullmatch(value):
            return value[: len("2024-05-01 12:00")]
        case list() | tuple():
            return ", ".join(_said(item, None) for item in value)
    return figure(value, field) if is_number(value) else cell(value)


def _measured(console: Console, name: str, values: Sequence[object]) -> _Column:
    name = visible(name)
    field = _field(name)
    name_cells = max(cell_len(name), 1)
    # No terminal is so wide that more of a value could be shown.
    most = console.width * _CHARACTERS_PER_CELL
    width = max([cell_len(_said(value, field)[:most]) for value in values] + [name_cells])
    numeric = bool(values) and all(isinstance(one, Figure) or is_number(one) for one in values)
    is_whole = numeric or any(_is_time(value) for value in values)
    floor = width if is_whole else min(width, max(_NARROWEST, name_cells))
    return _Column(name, field, numeric, width, floor, not values)


def _is_time(value: object) -> bool:
    return isinstance(value, datetime) or (isinstance(value, str) and bool(_TIME.fullmatch(value)))


def _fitting(columns: Sequence[_Column], width: int) -> Sequence[int]:
    """The places of the columns that fit side by side, at least one, in their order."""
    if sum(column.floor + _GAP for column in columns) - _GAP <= width:
        return range(len(columns))

    def importance(at: int) -> tuple[bool, int]:
        name = columns[at].name
        return columns[at].is_empty, _MAIN.index(name) if name in _MAIN else len(_MAIN) + at

    room, kept = width + _GAP, set[int]()
    for at in sorted(range(len(columns)), key=importance):
        column = columns[at]
        if (needed := max(column.floor, min(column.width, _READABLE)) + _GAP) <= room or not kept:
            kept.add(at)
            room -= needed
    return sorted(kept)


def _widths(columns: Sequence[_Column], room: int) -> list[int]:
    """The widths of the columns, narrowed until they fit together or cannot be narrowed."""
    widths = [column.floor for column in columns]
    spare = max(room - sum(widths), 0)
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
        shown = _shown(console, value, width, column.field)
        blank = " " * (width - cell_len(shown.plain))
        line.append(" " * _GAP if line else "")
        for part in (blank, shown) if column.is_number else (shown, blank):
            line.append(part)
    print_line(console, line)


def _shown(console: Console, value: object, width: int, field: Field | None) -> Text:
    if value is None:
        return Text(dash(console), style="dim")
    text = _said(value, field)
    is_whole = is_number(value) or isinstance(value, Figure)
    return Text(text if is_whole else cut(console, text, width))
