"""Rows on stdout in the requested format."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING

from crawler.answers.rows import cells_of, csv_lines, json_lines, markdown_line, object_lines
from crawler.answers.text import count, is_number, listed
from crawler.cli.output.console import answers, open_console
from crawler.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    EXPANDED = "expanded"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"


#: The formats for a person.
FOR_PEOPLE = frozenset({Format.TABLE, Format.EXPANDED})

#: Columns that do not fit and are named.
_MOST_NAMED = 5

#: Rows that decide which columns Markdown aligns to the right.
_MEASURED_ROWS = 100


def chosen(form: Format | None, *, json: bool, safe_csv: bool, expanded: bool = False) -> Format:
    """The format that the options select.

    Raises:
        UsageError: They contradict each other.
    """
    if json and form not in (None, Format.JSON):
        raise UsageError(f"--json cannot be combined with --format {form}")
    form = Format.JSON if json else form
    if expanded and (form not in (None, Format.TABLE, Format.EXPANDED) or safe_csv):
        raise UsageError(f"--expanded cannot be combined with {form or 'csv'}")
    form = Format.EXPANDED if expanded else form
    if safe_csv and form not in (None, Format.CSV, Format.TSV):
        raise UsageError(f"--safe-csv works with csv and tsv, not with {form}")
    if form is None and not safe_csv:
        return Format.TABLE if sys.stdout.isatty() else Format.TSV
    return form or Format.CSV


def write_rows(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    form: Format,
    *,
    safe_csv: bool = False,
    whole: bool = False,
    pager: bool = False,
    tell: Callable[[str], None] | None = None,
) -> int:
    r"""Write the rows as they arrive; return their number.

    Nothing is written before the first row arrives, so an error of the database leaves stdout empty.
    The formats for programs are UTF-8 in any locale; docs/commands.md describes all of them.

    Args:
        names: Of the columns.
        rows: A value for each column.
        form: How to write them.
        safe_csv: Disarm what a spreadsheet would run as a formula.
        whole: Show every column in a table, even those that do not fit.
        pager: Page what is longer than the terminal.
        tell: Called with the names of the columns of a table that do not fit.

    Raises:
        typer.Exit: The reader closed the pipe.
        OutputError: stdout cannot be written.
    """
    written = 0

    def counted() -> Iterator[Sequence[object]]:
        nonlocal written
        for row in rows:
            yield row
            written += 1

    rest = counted()
    coming = chain(list(islice(rest, 1)), rest)
    if form in FOR_PEOPLE:
        with answers(pager=pager) as stream:
            left_out = _print(open_console(stream), names, coming, form, whole=whole)
        if left_out and tell is not None:
            tell(_missing(left_out))
        return written
    with answers(machine=True) as stream:
        match form:
            case Format.JSON:
                stream.writelines(json_lines(names, coming))
            case Format.JSONL:
                stream.writelines(f"{line}\n" for line in object_lines(names, coming))
            case Format.CSV:
                stream.writelines(csv_lines(names, coming, safe=safe_csv))
            case Format.TSV:
                lines = cells_of(names, coming, safe=safe_csv)
                stream.writelines("\t".join(line) + "\n" for line in lines)
            case Format.MARKDOWN:
                stream.writelines(_markdown(names, coming))
    return written


def _print(
    console: "Console",
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    form: Format,
    *,
    whole: bool,
) -> tuple[str, ...]:
    """Print rows for a person; return the names of columns that do not fit."""
    from crawler.cli.output.table import print_expanded, print_table

    if form is Format.TABLE:
        return print_table(console, names, rows, whole=whole)
    print_expanded(console, names, rows)
    return ()


def _missing(names: Sequence[str]) -> str:
    some = list(names[:_MOST_NAMED])
    if (more := len(names) - len(some)) > 0:
        some.append(f"{more} more")
    verb = "does" if len(names) == 1 else "do"
    columns = f"{count(len(names), 'column')} {verb} not fit: {listed(some)}"
    return f"{columns}; choose others, or -x for one field a line"


def _markdown(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    rest = iter(rows)
    first = list(islice(rest, _MEASURED_ROWS))
    rules = []
    for at in range(len(names)):
        values = [row[at] for row in first if row[at] is not None]
        rules.append("---:" if values and all(is_number(value) for value in values) else "---")
    from crawler.cli.output.table import said

    yield markdown_line(names)
    yield f"| {' | '.join(rules)} |\n"
    for row in chain(first, rest):
        yield markdown_line([said(value, name) for value, name in zip(row, names, strict=True)])
