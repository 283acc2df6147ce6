"""`lora-crawl query`: the rows of `loras` that match a condition."""

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crawler.answers import text
from crawler.cli import options
from crawler.cli.output.console import Voice, answers
from crawler.cli.output.rows import FOR_PEOPLE, Format, chosen, write_rows
from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.store.connect.database import Connection
    from crawler.store.read.search import Search


def query(
    ctx: typer.Context,
    expr: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXPR",
            help="A condition like \"network_dim>=64 and optimizer='Prodigy'\", or in short "
            "network_dim:64.. optimizer:Prodigy. Several are combined with and.",
            show_default=False,
            autocompletion=options.complete_field,
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
            autocompletion=options.complete_field,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="-A,B",
            help="Sort by these fields, with a minus for descending, and show them. "
            "Missing values come last.",
            autocompletion=options.complete_field,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", min=0, help="Show N rows; 0 = all."),
    ] = 50,
    offset: Annotated[int, typer.Option(metavar="N", min=0, help="Skip the first N rows.")] = 0,
    count: Annotated[
        bool, typer.Option("--count", help="Print only the number of matching rows.")
    ] = False,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Count the rows for each value of these fields, with the median of the likes and of "
            "the fields in --columns.",
            autocompletion=options.complete_field,
        ),
    ] = None,
    copies: options.Copies = False,
    form: options.Form = None,
    as_json: options.Json = False,
    expanded: options.Expanded = False,
    safe_csv: options.SafeCsv = False,
    no_pager: options.NoPager = False,
    as_sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL statement instead of running it.")
    ] = False,
    timeout: options.Timeout = 120,
    db: options.Db = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """List LoRAs that match a condition, one row for each file.

    Put a condition in quotes: the shell treats > and ( specially.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv, expanded=expanded)
    if count and group_by is not None:
        raise UsageError("--count cannot be combined with --group-by")
    from crawler.store.read.search import statement_text
    from crawler.store.schema.fields import BY_NAME

    for option, value in (("--sort", sort), ("--columns", columns)):
        if value is not None and (count or (group_by is not None and option == "--sort")):
            voice.notice(f"{option} has no effect when rows are counted")
    from crawler.answers.asked import asked_by

    asked = asked_by(
        expr,
        columns=columns,
        sort=sort,
        limit=limit,
        offset=offset,
        count=count,
        group_by=group_by,
    )
    with options.read_connection(db) as connection:
        tree = options.without_copies(connection, asked.tree, voice, copies=copies)
        search = replace(asked, tree=tree)
        if as_sql:
            _print_line(statement_text(connection, search))
            return
        if voice.verbose:
            voice.detail(statement_text(connection, search))
        if count and form is None and not as_json and not safe_csv:
            found = _print_count(connection, search, timeout)
        else:
            write = partial(
                write_rows,
                safe_csv=safe_csv,
                whole=columns is not None and len(asked.columns) < len(BY_NAME),
                pager=not no_pager,
                tell=voice.notice,
            )
            found = _print_rows(connection, search, wanted, voice, write, timeout=timeout)
        if found == offset == 0:
            options.explain(connection, search.tree, voice, asked)
        else:
            options.name_sparse(connection, asked, voice)


def _print_line(text: str) -> None:
    with answers(machine=True) as stream:
        stream.write(f"{text}\n")


def _print_count(connection: "Connection", asked: "Search", timeout: float) -> int:
    from crawler.store.read.search import search

    with search(connection, asked, timeout=timeout) as found:
        ((total,),) = found.rows
    _print_line(str(total))
    return int(total)


def _print_rows(
    connection: "Connection",
    asked: "Search",
    wanted: Format,
    voice: Voice,
    write: "Callable[[Sequence[str], Iterable[Sequence[object]], Format], int]",
    *,
    timeout: float,
) -> int:
    """Write the rows, say on stderr whether the limit left some out, and return how many there are."""
    from crawler.store.read.search import search

    # One row more than is shown says whether the limit left some out.
    more = replace(asked, limit=asked.limit + 1) if asked.limit else asked
    with search(connection, more, timeout=timeout) as found:
        shown = islice(found.rows, asked.limit) if asked.limit else found.rows
        if asked.group_by and wanted in FOR_PEOPLE:
            shown = _with_percent(shown, len(asked.group_by) + 1)
        written = write(found.columns, shown, wanted)
        cut = next(found.rows, None) is not None
    if cut and not asked.group_by:
        # The total would take a second scan, which only --count does.
        voice.notice(
            f"first {text.count(written, 'row')}; --limit 0 shows all, --count counts the matches"
        )
    elif cut:
        voice.notice(f"first {text.number(written)} groups; --limit 0 shows all")
    elif wanted in FOR_PEOPLE:
        voice.notice(text.count(written, "group" if asked.group_by else "row"))
    return written


def _with_percent(rows: "Iterator[tuple[Any, ...]]", at: int) -> "Iterator[tuple[object, ...]]":
    """Rows with the share in the column `at` written for a person."""
    from crawler.cli.output.table import Figure

    for row in rows:
        yield (*row[:at], Figure(text.share(row[at])), *row[at + 1 :])
