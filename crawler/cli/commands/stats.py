"""`lora-crawl stats`: counts, quartiles and histograms of fields."""

from typing import Annotated

import typer

from crawler.cli import options
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows


def _complete_by(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    month = [("month", "month of publication")] if "month".startswith(incomplete) else []
    return [*month, *options.complete_field(ctx, incomplete)]


def stats(
    ctx: typer.Context,
    field: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD",
            help="Fields to show; `lora-crawl fields` lists them. Default: the main settings.",
            show_default=False,
            autocompletion=options.complete_field,
        ),
    ] = None,
    *,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Group by the values of a field (numbers in bins, times by month), or by month of "
            "publication with --by month.",
            autocompletion=_complete_by,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=0,
            help="With --by: show the N most common texts; 0 = all.",
        ),
    ] = 20,
    where: options.Where = None,
    copies: options.Copies = False,
    db: options.Db = None,
    form: options.Form = None,
    as_json: options.Json = False,
    safe_csv: options.SafeCsv = False,
    no_pager: options.NoPager = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show counts, quartiles and histograms of fields.

    Every figure comes with the number of files behind it.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.answers.stats import asked_stats, statistics
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME

    asked = asked_stats(field or (), by, most=limit)
    tree = parse(where or [], BY_NAME)
    with options.read_connection(db) as connection:
        selected = options.without_copies(connection, tree, voice, copies=copies)
        found = statistics(connection, asked, selected)
        if wanted is not Format.TABLE:
            write_rows(found.columns, found.rows(), wanted, safe_csv=safe_csv)
        elif found.groups.among:
            from crawler.cli.pages.distribution import print_population, print_summary

            with answers(pager=not no_pager) as stream:
                console = open_console(stream)
                print_population(console, found.groups)
                for one in found.summaries:
                    print_summary(console, one, found.groups, asked.name)
        if remark := found.remark():
            voice.notice(f"{remark}; --limit 0 shows all")
        if not found.groups.among:
            if where:
                voice.notice("no file matches")
            options.explain(connection, tree, voice)
