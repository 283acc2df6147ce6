"""`lora-crawl sql`: one read-only statement on the database."""

import sys
from typing import Annotated

import typer

from crawler.answers.text import as_stored, count
from crawler.cli.options import (
    Db,
    Expanded,
    Form,
    Json,
    NoPager,
    Quiet,
    SafeCsv,
    Timeout,
    Verbose,
    read_engine,
    voice_of,
)
from crawler.cli.output.rows import FOR_PEOPLE, chosen, write_rows
from crawler.errors import UsageError

#: Longest statement read from stdin, in characters; SQLite itself takes a million bytes.
MAX_STATEMENT = 1_000_000


def sql(
    ctx: typer.Context,
    statement: Annotated[
        str,
        typer.Argument(metavar="STATEMENT", help="A SQL statement, or - to read it from stdin."),
    ],
    *,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    expanded: Expanded = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    timeout: Timeout = 30,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Run one read-only SQL statement.

    The database refuses to change anything. Table `loras` has one row for each file.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv, expanded=expanded)
    text = _from_stdin() if statement == "-" else statement
    from crawler.store.read.sql import run_sql

    with read_engine(db) as engine, run_sql(engine, text, timeout=timeout) as found:
        written = write_rows(
            found.columns,
            (tuple(map(as_stored, row)) for row in found.rows),
            wanted,
            safe_csv=safe_csv,
            pager=not no_pager,
            tell=voice.notice,
        )
    if wanted in FOR_PEOPLE:
        voice.notice(count(written, "row"))


def _from_stdin() -> str:
    text = sys.stdin.read(MAX_STATEMENT + 1)
    if len(text) > MAX_STATEMENT:
        raise UsageError(f"the statement is longer than {MAX_STATEMENT:,} characters")
    return text
