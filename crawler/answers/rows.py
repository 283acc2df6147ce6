"""Rows as text: JSON and CSV for programs, and lines of a Markdown table."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from crawler.answers.text import cell, distinct, is_number, json_text
from crawler.answers.visible import visible

#: A spreadsheet may run a cell that starts like this as a formula, in full width too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

#: A text that every spreadsheet takes for a number.
_NUMERAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

#: What Markdown reads as a link, an image, HTML, emphasis, code or the end of a cell.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~]")


def cells_of(
    names: Sequence[str], rows: Iterable[Sequence[object]], *, safe: bool
) -> Iterator[list[str]]:
    """The names and then the rows as cells; a spreadsheet does not run safe ones as formulas."""
    shown = _disarmed if safe else cell
    return ([shown(value) for value in row] for row in chain([names], rows))


def csv_lines(
    names: Sequence[str], rows: Iterable[Sequence[object]], *, safe: bool
) -> Iterator[str]:
    """The rows as CSV, a line each, after a line with the names."""
    writer = csv.writer(_Lines())
    for cells in cells_of(names, rows, safe=safe):
        yield writer.writerow(cells)


class _Lines:
    """A file for a CSV writer, which returns each line."""

    def write(self, line: str) -> str:
        return line


def json_lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The rows as a JSON array of objects, one a line."""
    before = "[\n "
    for line in object_lines(names, rows):
        yield f"{before}{line}"
        before = ",\n "
    yield "[]\n" if before.startswith("[") else "\n]\n"


def object_lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Each row as a JSON object in one line."""
    keys = distinct(names)
    return (json_text(dict(zip(keys, row, strict=True))) for row in rows)


def markdown_line(cells: Sequence[str]) -> str:
    """A row of a Markdown table, whose cells show every text as it is."""
    shown = (_MARKDOWN.sub(r"\\\g<0>", visible(text)) for text in cells)
    return f"| {' | '.join(shown)} |\n"


def _disarmed(value: object) -> str:
    """A cell that a spreadsheet does not run as a formula. Numbers are unchanged."""
    shown = cell(value)
    if is_number(value) or _NUMERAL.fullmatch(shown):
        return shown
    start = value if isinstance(value, str) else shown
    return f"'{shown}" if start.startswith(_FORMULA) else shown
