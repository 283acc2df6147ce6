"""Rows to stdout in the format that was asked for; nothing but the rows."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, islice
from typing import Annotated, TextIO

import typer

from crawler.cli.output.cells import cell, is_number, json_text
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.safe import visible
from crawler.errors import UsageError


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"


FormatOption = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="Default: table on a terminal, tsv in a pipe."),
]

JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]

SafeCsvOption = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="csv or tsv in which no cell is a formula to a spreadsheet: "
        "a quote stands before = + - @ and the like.",
    ),
]

#: How a cell begins that a spreadsheet may run as a formula, in full width too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

#: A text that a spreadsheet can only take for a number.
_NUMERAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

#: What Markdown would read as a link, an image, HTML, emphasis, code or the end of a cell.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~]")

#: Rows that are looked at to tell columns of numbers, where a format says so before the first row.
_LOOKED_AT = 100


def chosen(form: Format | None, *, json: bool, safe_csv: bool) -> Format:
    """The format that the options ask for.

    Raises:
        UsageError: They contradict each other.
    """
    if json and form not in (None, Format.JSON):
        raise UsageError(f"--json and --format {form} contradict each other")
    if json:
        form = Format.JSON
    if safe_csv and form not in (None, Format.CSV, Format.TSV):
        raise UsageError(f"--safe-csv goes with csv and tsv, not with {form}")
    if form is not None:
        return form
    if safe_csv:
        return Format.CSV
    return Format.TABLE if sys.stdout.isatty() else Format.TSV


def write_rows(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    form: Format,
    *,
    safe_csv: bool = False,
) -> int:
    r"""Write the rows as they come and return how many there were.

    Nothing is written before the first row is there, so that an error of the database leaves stdout
    empty. Every format but the table (see `print_table`) is UTF-8 whatever the locale says:
    json is one array with an object a line, jsonl an object a line, csv is RFC 4180 (lines end in
    CR LF), tsv ends its lines in LF and needs no quotes, since tabs and line ends inside a value
    are shown like `\t`. NULL is null in JSON and empty elsewhere.

    Raises:
        typer.Exit: The reader closed the pipe.
    """
    rest = iter(rows)
    rows = chain(list(islice(rest, 1)), rest)
    with answers(machine=form is not Format.TABLE) as stream:
        match form:
            case Format.TABLE:
                from crawler.cli.output.table import print_table

                return print_table(open_console(stream), names, rows)
            case Format.JSON:
                return _write_json(stream, names, rows)
            case Format.JSONL:
                return _write_jsonl(stream, names, rows)
            case Format.CSV | Format.TSV:
                return _write_separated(stream, names, rows, form, safe=safe_csv)
            case Format.MARKDOWN:
                return _write_markdown(stream, names, rows)


def _write_json(stream: TextIO, names: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    written = 0
    for line in _objects(names, rows):
        stream.write(",\n " if written else "[\n ")
        stream.write(line)
        written += 1
    stream.write("\n]\n" if written else "[]\n")
    return written


def _write_jsonl(stream: TextIO, names: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    written = 0
    for line in _objects(names, rows):
        stream.write(f"{line}\n")
        written += 1
    return written


def _objects(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    keys = _distinct(names)
    return (json_text(dict(zip(keys, row, strict=True))) for row in rows)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names with `_2`, `_3` … behind repeated ones, as an object holds every name once."""
    seen: Counter[str] = Counter()
    keys: list[str] = []
    for name in names:
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name}_{seen[name]}"
        while key in keys:
            seen[name] += 1
            key = f"{name}_{seen[name]}"
        keys.append(key)
    return keys


def _write_separated(
    stream: TextIO,
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    form: Format,
    *,
    safe: bool,
) -> int:
    def line(values: Sequence[object]) -> list[str]:
        return [_disarmed(value) if safe else cell(value) for value in values]

    written = -1
    if form is Format.CSV:
        writer = csv.writer(stream)
        for row in chain([names], rows):
            writer.writerow(line(row))
            written += 1
    else:
        for row in chain([names], rows):
            stream.write("\t".join(line(row)) + "\n")
            written += 1
    return written


def _disarmed(value: object) -> str:
    """A cell that no spreadsheet runs as a formula; numbers stay numbers."""
    shown = cell(value)
    if is_number(value) or _NUMERAL.fullmatch(shown):
        return shown
    begins = value if isinstance(value, str) else shown
    return f"'{shown}" if begins.startswith(_FORMULA) else shown


def _write_markdown(stream: TextIO, names: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    rest = iter(rows)
    first = list(islice(rest, _LOOKED_AT))
    rules = []
    for at in range(len(names)):
        values = [row[at] for row in first if row[at] is not None]
        rules.append("---:" if values and all(is_number(value) for value in values) else "---")
    heads = [_MARKDOWN.sub(r"\\\g<0>", visible(name)) for name in names]
    stream.write(f"| {' | '.join(heads)} |\n| {' | '.join(rules)} |\n")
    written = 0
    for row in chain(first, rest):
        cells = [_MARKDOWN.sub(r"\\\g<0>", cell(value)) for value in row]
        stream.write(f"| {' | '.join(cells)} |\n")
        written += 1
    return written
