"""`lora-crawl show`: one LoRA on a page."""

from typing import Annotated

import typer

from crawler.cli.options import Db, Json, Quiet, Verbose, place, voice_of
from crawler.cli.output.console import answers, open_console
from crawler.cli.reference import REF_HELP, is_stored, read_sheet


def show(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help=REF_HELP, show_default=False)],
    *,
    db: Db = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show one LoRA on a page: how it was trained, beside what is usual for its base model."""
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    sheet = read_sheet(ref, place(db))
    if not is_stored(ref):
        voice.detail("read from the file; the database was not asked")
    if as_json:
        from crawler.cli.output.cells import json_text
        from crawler.cli.pages.lora_view import shown

        with answers(machine=True) as stream:
            stream.write(json_text(shown(sheet), indent=2) + "\n")
        return
    from crawler.cli.pages.lora import print_page

    with answers() as stream:
        print_page(open_console(stream), sheet)
