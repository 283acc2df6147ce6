"""`lora-crawl similar`: the LoRAs that are most like one."""

from typing import Annotated, Literal

import typer

from crawler.cli.options import (
    Db,
    Form,
    Json,
    NoPager,
    Quiet,
    SafeCsv,
    Verbose,
    read_connection,
    voice_of,
)
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.cli.reference import Ref, read_lora


def similar(
    ctx: typer.Context,
    ref: Ref,
    *,
    by: Annotated[
        Literal["settings", "tags"], typer.Option(help="Compare training settings or caption tags.")
    ] = "settings",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Show N LoRAs.")
    ] = 10,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List the LoRAs that are most like one, and how they differ.

    Settings are compared within the base model, caption tags over all. Each LoRA counts once.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.answers.similar import similar as find_similar

    view = read_lora(ref, db)
    with read_connection(db) as connection:
        made = find_similar(connection, ref, view, by=by, limit=limit)
    if wanted is Format.TABLE:
        from crawler.cli.pages.similar import print_similar

        with answers(pager=not no_pager) as stream:
            print_similar(open_console(stream), made)
    else:
        write_rows(made.columns, made.rows(), wanted, safe_csv=safe_csv, pager=not no_pager)
    for remark in made.remarks():
        voice.notice(remark)
