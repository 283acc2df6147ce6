"""Options that several commands share, and how the shell completes the names of fields."""

import re
from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.output.console import Voice
from crawler.cli.output.rows import Format
from crawler.settings import DEFAULT_API_URL
from crawler.store.schema.fields import FIELDS

_LAST_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


def complete_field(incomplete: str) -> list[tuple[str, str]]:
    """The fields whose names start like this, each with its meaning."""
    return _completed("", incomplete)


def complete_fields(incomplete: str) -> list[tuple[str, str]]:
    """Completions of the last name of a list like `file_id,-mod`."""
    before, comma, last = incomplete.rpartition(",")
    minus = "-" if last.startswith("-") else ""
    return _completed(f"{before}{comma}{minus}", last.removeprefix("-"))


def complete_condition(incomplete: str) -> list[tuple[str, str]]:
    """Completions of the name at the end of a condition like `network_dim>64 and opt`."""
    found = _LAST_WORD.search(incomplete)
    word = found[0] if found else ""
    if incomplete and not word:
        return []
    return _completed(incomplete[: len(incomplete) - len(word)], word)


def _completed(before: str, start: str) -> list[tuple[str, str]]:
    return [
        (before + field.name, field.meaning) for field in FIELDS if field.name.startswith(start)
    ]


Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH_OR_URL",
        envvar="LORA_CRAWL_DB",
        help="Database: a path for SQLite, or postgresql://…  "
        "Default: loras.db in your data directory.",
        show_envvar=True,
    ),
]

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        envvar="LORA_CRAWL_API_URL",
        help=f"API to use.  Default: {DEFAULT_API_URL}",
        show_envvar=True,
    ),
]

Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="EXPR",
        help="Use only files that match, as in `query`. Repeat to combine with and.",
        show_default=False,
        autocompletion=complete_condition,
    ),
]

Form = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="Default: table on a terminal, tsv in a pipe."),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SafeCsv = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="Print csv (or tsv) whose cells no spreadsheet runs as formulas: "
        "a quote is put before = + - @ and similar.",
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Write the files to this folder, which is created if needed.",
        show_default=False,
    ),
]

Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files in DIR.")]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]

Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Print more details.", show_default=False),
]


def voice_of(ctx: typer.Context, *, quiet: bool, verbose: int) -> Voice:
    """How much to print, as `-q` and `-v` say before the command, after it, or both."""
    before = ctx.find_root().params
    return Voice(
        quiet=quiet or bool(before.get("quiet")),
        verbose=max(verbose, int(before.get("verbose") or 0)),
    )
