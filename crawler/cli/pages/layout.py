"""The parts of a page: headings, paragraphs, lines of name and value, bars."""

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.text import bar, number
from crawler.answers.visible import visible
from crawler.cli.output.table import cut, dash, has_blocks, print_line

#: Cells before everything under a heading.
INDENT = 2

#: Cells of the names of settings; the longest has 27.
NAME_CELLS = 29

#: Cells of the longest bar.
_BAR_CELLS = 24

#: Paragraphs are at most this wide, in cells: longer lines are hard to read.
_READABLE = 100

#: Characters of a text that are shown; `--json` has the rest.
_MAX_CHARACTERS = 600


def has_colours(console: Console) -> bool:
    """Whether the output shows colours."""
    return console.color_system is not None and not console.no_color


def blank(console: Console) -> None:
    """Print an empty line."""
    print_line(console, Text())


def heading(console: Console, text: str, beside: str = "", *, at: int = 0) -> None:
    """Print a heading after an empty line, with the remark `beside` from the cell `at` on.

    Control characters are escaped. A remark without room is left out.
    """
    blank(console)
    line = Text(visible(text), style="bold")
    if beside and cell_len(line.plain) < at < console.width:
        remark = cut(console, visible(beside), max(console.width - at, 1))
        line = Text.assemble(line, " " * (at - cell_len(line.plain)), (remark, "dim"))
    print_line(console, line)


def paragraph(
    console: Console, text: str, *, indent: int = 0, hanging: int = 0, style: str = ""
) -> None:
    """Print a text on as many lines as it needs, with control characters escaped.

    Every line starts after `indent` cells, and every line but the first after `hanging` more.
    """
    room = max(min(console.width, _READABLE) - indent - hanging, NAME_CELLS)
    for at, line in enumerate(_shortened(console, text, style).wrap(console, room)):
        print_line(console, Text.assemble(" " * (indent + (hanging if at else 0)), line))


def setting(console: Console, name: str, value: str, *, name_cells: int = NAME_CELLS) -> None:
    """Print a name and its value, on several lines when the value is long.

    Control characters are escaped. The value starts `name_cells` after the name does.
    """
    room = max(console.width - INDENT - name_cells, NAME_CELLS)
    for at, line in enumerate(_shortened(console, value).wrap(console, room) or [Text()]):
        before = _padded(console, "" if at else name, name_cells)
        print_line(console, Text.assemble(" " * INDENT, before, line))


def bars(console: Console, rows: list[tuple[str, int]], *, name_cells: int) -> None:
    """Print a number and a bar for each name; the largest number has the longest bar."""
    largest = max((amount for _, amount in rows), default=0)
    shown = [(cut(console, visible(name), name_cells), amount) for name, amount in rows]
    widest = max((cell_len(name) for name, _ in shown), default=0)
    digits = max((len(number(amount)) for _, amount in shown), default=0)
    for name, amount in shown:
        part = amount / largest if largest else 0.0
        drawn = bar(part, _BAR_CELLS, plain=not has_blocks(console))
        line = Text.assemble(
            " " * INDENT,
            name + " " * (widest - cell_len(name) + INDENT),
            number(amount).rjust(digits) + " " * INDENT,
            (drawn, "cyan"),
        )
        print_line(console, line)


def columns(
    console: Console, name: str, value: Text, usual: Text, meaning: Text, *, cells: tuple[int, int]
) -> None:
    """Print a setting with remarks in two further columns, which are cut where they do not fit.

    Args:
        console: Where to print.
        name: The setting.
        value: Its value, not wider than its column.
        usual: The values of other LoRAs.
        meaning: The meaning of the setting; may be empty.
        cells: The widths of the columns of `value` and `usual`.
    """
    line = Text.assemble(" " * INDENT, _padded(console, name, NAME_CELLS), value)
    for at, remark in ((0, usual), (1, meaning)):
        edge = INDENT + NAME_CELLS + sum(cells[: at + 1])
        room = console.width - max(edge, cell_len(line.plain) + 1)
        if remark.plain and room > 0:
            line.append(" " * max(edge - cell_len(line.plain), 1))
            line.append(cut(console, remark.plain, room), style=str(remark.style))
    print_line(console, line)


def span(console: Console, low: str, high: str) -> str:
    """A range of two numbers: with a dash, or with `to` for a negative start or a unit of time."""
    if low.startswith("-") or " " in low:
        return f"{low} to {high}"
    return f"{low}{dash(console)}{high}"


def _shortened(console: Console, text: str, style: str = "") -> Text:
    shown = visible(text)
    if len(shown) > _MAX_CHARACTERS:
        shown = cut(console, shown, _MAX_CHARACTERS)
    return Text(shown, style=style)


def _padded(console: Console, text: str, cells: int) -> str:
    shown = cut(console, visible(text), cells - 1)
    return shown + " " * (cells - cell_len(shown))
