"""`lora-crawl show`: one LoRA on a page."""

import typer

from crawler.cli.options import Db, Json, NoPager, Quiet, Verbose, voice_of
from crawler.cli.output.cells import json_text
from crawler.cli.output.console import answers, open_console
from crawler.cli.reference import Ref, is_stored, read_lora


def show(
    ctx: typer.Context,
    ref: Ref,
    *,
    db: Db = None,
    as_json: Json = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show one LoRA: its training, compared with others.

    The main numbers are compared with the median of the base model. A path needs no database.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    view = read_lora(ref, db)
    if not is_stored(ref):
        voice.detail("read from the file; the database was not used")
    with answers(machine=as_json, pager=not no_pager) as stream:
        if as_json:
            from crawler.cli.pages.lora_view import as_data

            stream.write(json_text(as_data(view), indent=2) + "\n")
        else:
            from crawler.cli.pages.lora import print_lora

            print_lora(open_console(stream), view)
