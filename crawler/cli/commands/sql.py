"""`lora-crawl sql`: one read-only statement on the database."""

import sys
from typing import Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.cells import count
from crawler.cli.output.rows import (
    Format,
    FormatOption,
    JsonOption,
    SafeCsvOption,
    chosen,
    write_rows,
)
from crawler.errors import UsageError

#: Longest statement read from stdin, in characters: SQLite itself takes a million bytes.
MAX_STATEMENT = 1_000_000


def sql(
    ctx: typer.Context,
    statement: Annotated[
        str, typer.Argument(metavar="STATEMENT", help="SQL; - reads it from stdin.")
    ],
    *,
    db: Db = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    safe_csv: SafeCsvOption = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="Give up after so many seconds; 0 = never."
        ),
    ] = 30,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Run one SQL statement that only reads; the database itself refuses to change anything.

    The tables and columns are documented; `loras` has a row for every file.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    text = _from_stdin() if statement == "-" else statement
    from crawler.store.connect.database import open_for_reading
    from crawler.store.read.sql import run_sql

    engine = open_for_reading(place(db))
    try:
        with run_sql(engine, text, timeout=timeout) as found:
            written = write_rows(found.columns, found.rows, wanted, safe_csv=safe_csv)
    finally:
        engine.dispose()
    if wanted is Format.TABLE:
        voice.notice(count(written, "row"))


def _from_stdin() -> str:
    text = sys.stdin.read(MAX_STATEMENT + 1)
    if len(text) > MAX_STATEMENT:
        raise UsageError(f"a statement has at most {MAX_STATEMENT:,} characters")
    return text
