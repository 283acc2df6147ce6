"""The few shapes that pages are made of: a heading, a paragraph, a line of name and value, a bar."""

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import bar, number
from crawler.cli.output.safe import visible
from crawler.cli.output.table import cut, has_blocks, print_line

#: Cells before everything that stands under a heading.
INDENT = 2

#: Cells of the names of settings: the longest of them has 27.
NAME_CELLS = 29

#: Cells of a bar that stands for everything.
_BAR_CELLS = 24

#: Paragraphs are no wider than this, in cells: longer lines are hard to read.
_READABLE = 100

#: A paragraph shows this many characters of a text from the net; the rest is in `--json`.
_MAX_CHARACTERS = 600


def blank(console: Console) -> None:
    """An empty line."""
    print_line(console, Text())


def heading(console: Console, text: str, beside: str = "", *, at: int = 0) -> None:
    """A heading with an empty line above it.

    Args:
        console: Where it is printed.
        text: Our own words or text from the net.
        beside: A remark on the same line.
        at: The cell where the remark begins.
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
    """A text over as many lines as it needs.

    Args:
        console: Where it is printed.
        text: Our own words or text from the net.
        indent: Cells before the first line.
        hanging: Cells before every further line, in addition.
        style: For the whole text.
    """
    shown = visible(text)
    if len(shown) > _MAX_CHARACTERS:
        shown = cut(console, shown, _MAX_CHARACTERS)
    room = max(min(console.width, _READABLE) - indent - hanging, NAME_CELLS)
    lines = Text(shown, style=style).wrap(console, room)
    for at, line in enumerate(lines):
        print_line(console, Text.assemble(" " * (indent + (hanging if at else 0)), line))


def setting(console: Console, name: str, value: str, *, name_cells: int = NAME_CELLS) -> None:
    """A name and its value, over several lines when the value is long.

    Args:
        console: Where it is printed.
        name: Our own words or text from the net.
        value: The same.
        name_cells: Cells from the beginning of the name to that of the value.
    """
    room = max(console.width - INDENT - name_cells, NAME_CELLS)
    shown = visible(value)
    if len(shown) > _MAX_CHARACTERS:
        shown = cut(console, shown, _MAX_CHARACTERS)
    for at, line in enumerate(Text(shown).wrap(console, room) or [Text()]):
        before = _padded(console, "" if at else name, name_cells)
        print_line(console, Text.assemble(" " * INDENT, before, line))


def bars(console: Console, rows: list[tuple[str, int]], *, name_cells: int) -> None:
    """A bar and a number for each name, the longest bar for the largest number."""
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
    """A setting whose value fits its column, with remarks in two further columns.

    Args:
        console: Where it is printed.
        name: Of the setting.
        value: Stands first.
        usual: What others have.
        meaning: What the setting is, may be empty.
        cells: Of the value and of the usual.
    """
    line = Text.assemble(" " * INDENT, _padded(console, name, NAME_CELLS), value)
    for at, remark in ((0, usual), (1, meaning)):
        edge = INDENT + NAME_CELLS + sum(cells[: at + 1])
        room = console.width - max(edge, cell_len(line.plain) + 1)
        if remark.plain and room > 0:
            line.append(" " * max(edge - cell_len(line.plain), 1))
            line.append(cut(console, remark.plain, room), style=str(remark.style))
    print_line(console, line)


def _padded(console: Console, text: str, cells: int) -> str:
    shown = cut(console, visible(text), cells - 1)
    return shown + " " * (cells - cell_len(shown))
