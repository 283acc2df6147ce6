"""`lora-crawl query`: the rows of `loras` that match a condition."""

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import (
    Db,
    Form,
    Json,
    Quiet,
    SafeCsv,
    Verbose,
    complete_condition,
    complete_field,
    complete_fields,
    read_connection,
    voice_of,
)
from crawler.cli.output.console import Voice, answers
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.store.connect.database import Connection
    from crawler.store.read.search import Search

#: Rows by default.
DEFAULT_LIMIT = 50


def query(
    ctx: typer.Context,
    expr: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXPR",
            help="A condition like \"network_dim>=64 and optimizer='Prodigy'\", or in short "
            "network_dim:64.. optimizer:Prodigy. Several are combined with and.",
            show_default=False,
            autocompletion=complete_condition,
        ),
    ] = None,
    *,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            "-c",
            metavar="A,B",
            help="Fields to show, or all; `lora-crawl fields` lists them.",
            autocompletion=complete_fields,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="-A,B",
            help="Sort by these fields, with a minus for descending. Missing values come last.",
            autocompletion=complete_fields,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", min=0, help="Show N rows; 0 = all."),
    ] = DEFAULT_LIMIT,
    offset: Annotated[int, typer.Option(metavar="N", min=0, help="Skip the first N rows.")] = 0,
    count: Annotated[
        bool, typer.Option("--count", help="Print only the number of matching rows.")
    ] = False,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Count the rows for each value of a field.",
            autocompletion=complete_field,
        ),
    ] = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    as_sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL statement instead of running it.")
    ] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List LoRAs that match a condition, one row for each file.

    Put a condition in quotes: the shell treats > and ( specially.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    if count and group_by is not None:
        raise UsageError("--count cannot be combined with --group-by")
    from crawler.query import fields
    from crawler.query.parser import parse
    from crawler.store.read.search import DEFAULT_COLUMNS, Search, statement_text
    from crawler.store.schema.fields import BY_NAME

    if count or group_by is not None:
        given = {"--sort": sort, "--columns": columns}
        for option in (name for name, value in given.items() if value is not None):
            voice.notice(f"{option} has no effect when rows are counted")
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
    with read_connection(db) as connection:
        if as_sql:
            _print_line(statement_text(connection, asked))
            return
        if verbose:
            voice.detail(statement_text(connection, asked))
        if bare:
            _print_line(str(_number_of(connection, asked)))
        else:
            _print_rows(connection, asked, wanted, voice, safe_csv=safe_csv)
        _name_sparse(connection, asked, voice)


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
    """Write the rows; report on stderr if the limit cut them."""
    from crawler.cli.output.cells import count, number
    from crawler.store.read.search import search

    # One row more than is shown says whether the limit left some out.
    more = replace(asked, limit=asked.limit + 1) if asked.limit else asked
    with search(connection, more) as found:
        shown = islice(found.rows, asked.limit) if asked.limit else found.rows
        written = write_rows(found.columns, shown, wanted, safe_csv=safe_csv)
        cut = next(found.rows, None) is not None
    if cut and asked.group_by is None:
        # The total would take a second scan, which only --count does.
        voice.notice(
            f"first {count(written, 'row')}; --limit 0 shows all, --count tells how many match"
        )
    elif cut:
        voice.notice(f"first {number(written)} values; --limit 0 shows all")
    elif wanted is Format.TABLE:
        voice.notice(count(written, "row" if asked.group_by is None else "value"))


def _name_sparse(connection: "Connection", asked: "Search", voice: Voice) -> None:
    """Warn about requested fields with a low fill rate: rows without a value cannot match."""
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
        voice.notice(f"only {share(part)} of rows have {name}" if part else f"no row has {name}")
