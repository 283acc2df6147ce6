"""`lora-crawl query`: the rows of `loras` that a condition picks."""

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import (
    Db,
    Quiet,
    Verbose,
    condition,
    field_list,
    field_name,
    place,
    voice_of,
)
from crawler.cli.output.console import Voice, answers
from crawler.cli.output.rows import (
    Format,
    FormatOption,
    JsonOption,
    SafeCsvOption,
    chosen,
    write_rows,
)
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.store.connect.database import Connection
    from crawler.store.read.search import Search

#: Rows unless `--limit` says otherwise: what a person reads.
DEFAULT_LIMIT = 50


def query(
    ctx: typer.Context,
    expr: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXPR",
            help="A condition like \"network_dim>=64 and optimizer='Prodigy'\", or short: "
            "network_dim:64.. optimizer:Prodigy; several are joined by and.",
            show_default=False,
            autocompletion=condition,
        ),
    ] = None,
    *,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            "-c",
            metavar="A,B",
            help="Which fields to show, or all; `lora-crawl fields` lists them.",
            autocompletion=field_list,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="-A,B",
            help="Order by these fields, a minus for the largest first; missing values come last.",
            autocompletion=field_list,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", min=0, help="At most so many rows; 0 = all."),
    ] = DEFAULT_LIMIT,
    offset: Annotated[
        int, typer.Option("--offset", metavar="N", min=0, help="Leave out the first rows.")
    ] = 0,
    count: Annotated[bool, typer.Option("--count", help="Print only how many rows match.")] = False,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="FIELD",
            help="Count the rows of each value of a field.",
            autocompletion=field_name,
        ),
    ] = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    safe_csv: SafeCsvOption = False,
    as_sql: Annotated[
        bool, typer.Option("--sql", help="Print the statement that would run, ready to paste.")
    ] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List the LoRAs for which a condition holds: every file is a row.

    Quote a condition: > and ( mean something to the shell.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    if count and group_by is not None:
        raise UsageError("--count and --group-by are two different questions")
    from crawler.query import fields
    from crawler.query.parser import parse
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.read.search import DEFAULT_COLUMNS, Search, statement_text
    from crawler.store.schema.fields import BY_NAME

    if count or group_by is not None:
        given = {"--sort": sort, "--columns": columns}
        for option in (name for name, value in given.items() if value is not None):
            voice.notice(f"{option} changes nothing where rows are counted")
    asked = Search(
        tree=parse(expr or [], BY_NAME),
        columns=DEFAULT_COLUMNS if columns is None else _columns(columns),
        sort=() if sort is None else fields.order(sort, BY_NAME),
        limit=limit,
        offset=offset,
        count=count,
        group_by=None if group_by is None else fields.grouping(group_by, BY_NAME),
    )
    bare = count and form is None and not as_json and not safe_csv
    engine = open_for_reading(place(db))
    try:
        with translated(engine.url), engine.connect() as connection:
            if as_sql:
                _print_line(statement_text(connection, asked))
                return
            if verbose:
                voice.detail(statement_text(connection, asked))
            if bare:
                _print_line(str(_number_of(connection, asked)))
            else:
                _print_rows(connection, asked, wanted, voice, safe_csv=safe_csv)
            _tell_sparse(connection, asked, voice)
    finally:
        engine.dispose()


def _columns(text: str) -> tuple[str, ...]:
    from crawler.query.fields import columns
    from crawler.store.schema.fields import BY_NAME

    return tuple(BY_NAME) if text.strip() == "all" else columns(text, BY_NAME)


def _print_line(text: str) -> None:
    with answers(machine=True) as stream:
        stream.write(f"{text}\n")


def _number_of(connection: "Connection", asked: "Search") -> int:
    from crawler.store.read.search import search

    everything = replace(asked, count=True, group_by=None, limit=0, offset=0)
    with search(connection, everything) as found:
        ((total,),) = found.rows
    return int(total)


def _print_rows(
    connection: "Connection", asked: "Search", wanted: Format, voice: Voice, *, safe_csv: bool
) -> None:
    """Write the rows, and say on stderr when there are more than the limit let through."""
    from crawler.cli.output.cells import count, number
    from crawler.store.read.search import search

    # One row more than is shown tells whether the limit cut the answer.
    more = replace(asked, limit=asked.limit + 1) if asked.limit else asked
    with search(connection, more) as found:
        shown = islice(found.rows, asked.limit) if asked.limit else found.rows
        written = write_rows(found.columns, shown, wanted, safe_csv=safe_csv)
        cut = next(found.rows, None) is not None
    if cut and asked.group_by is None:
        # How many there are would take a second scan, which only --count is worth.
        voice.notice(
            f"{count(written, 'row')}, and more match: --limit 0 for all, --count for how many"
        )
    elif cut:
        voice.notice(f"the first {number(written)} values; --limit 0 for all")
    elif wanted is Format.TABLE:
        voice.notice(count(written, "row" if asked.group_by is None else "value"))


def _tell_sparse(connection: "Connection", asked: "Search", voice: Voice) -> None:
    """Name the fields of the question that few rows have: the others cannot match."""
    if voice.quiet:
        return
    from crawler.cli.output.cells import share
    from crawler.query.tree import names
    from crawler.store.read.search import sparse_fields

    fields = dict.fromkeys(names(asked.tree) if asked.tree else ())
    fields |= dict.fromkeys(name for name, _ in asked.sort)
    if asked.group_by is not None:
        fields[asked.group_by] = None
    for name, part in sparse_fields(connection, list(fields)):
        few = f"only {share(part)} of the rows have" if part else "no row has"
        voice.notice(f"{few} {name}")
