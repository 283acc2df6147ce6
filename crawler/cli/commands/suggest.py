"""`lora-crawl suggest`: a starting recipe from the settings of other LoRAs."""

from typing import Annotated

import typer

from crawler.answers.text import json_text
from crawler.cli.options import (
    Copies,
    Db,
    Force,
    Json,
    NoPager,
    Output,
    Quiet,
    RecipeForm,
    Verbose,
    complete_base_model,
    read_connection,
    tell_copies,
    voice_of,
)
from crawler.cli.output.console import answers, open_console
from crawler.errors import UsageError
from crawler.insight.export import Format


def suggest(
    ctx: typer.Context,
    *,
    base_model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Base model as the site names it, e.g. Pony.",
            show_default=False,
            autocompletion=complete_base_model,
        ),
    ],
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Only LoRAs trained on N/2 to 2N images.",
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Only LoRAs with this site tag, e.g. character."),
    ] = None,
    creator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only LoRAs of this creator.")
    ] = None,
    min_likes: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only LoRAs with N or more likes.")
    ] = 0,
    copies: Copies = False,
    form: RecipeForm = Format.SD_SCRIPTS,
    output: Output = None,
    force: Force = False,
    db: Db = None,
    as_json: Json = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Suggest settings from well-liked LoRAs.

    Each LoRA counts once, weighted by its likes per month. Each setting shows how many LoRAs are
    behind it. With --output, a trainer's files are written, by default those for sd-scripts.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if force and output is None:
        raise UsageError("--force needs --output DIR")
    if form is not Format.SD_SCRIPTS and output is None:
        raise UsageError("--format needs --output DIR")
    from crawler.answers.suggest import as_data, suggestion

    with read_connection(db) as connection:
        made = suggestion(
            connection,
            base_model=base_model,
            images=images,
            tag=tag,
            creator=creator,
            min_likes=min_likes,
            copies=copies,
        )
    tell_copies(made.left_out, voice)
    told: list[str] = []
    if output is not None and made.advice.loras:
        # Before the page, whose reader may close the pipe early.
        from crawler.answers.recipe import suggested_files
        from crawler.cli.commands.recipe import write_files

        files = suggested_files(made, images, form)
        write_files(output, files.texts, force=force)
        told = [f"wrote {', '.join(files.texts)} to {output}", *files.remarks]
    try:
        with answers(machine=as_json, pager=not no_pager) as stream:
            if as_json:
                stream.write(json_text(as_data(made), indent=2) + "\n")
            else:
                from crawler.cli.pages.suggest import print_advice

                print_advice(open_console(stream), made)
    finally:
        for line in told:
            voice.notice(line)
    if output is not None and not made.advice.loras:
        raise UsageError(f"nothing written to {output}: no LoRA matches")
