"""`lora-crawl show`: one LoRA on a page."""

import webbrowser
from typing import Annotated

import typer

from crawler.answers.text import json_text
from crawler.answers.visible import visible
from crawler.cli.options import Db, Json, NoPager, Quiet, Verbose, voice_of
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.reference import Ref, is_stored, read_lora
from crawler.errors import UsageError


def show(
    ctx: typer.Context,
    ref: Ref,
    *,
    browse: Annotated[
        bool, typer.Option("--open", help="Open the page of the LoRA in the browser instead.")
    ] = False,
    db: Db = None,
    as_json: Json = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show one LoRA: its training, compared with others.

    The main numbers are compared with the median of the base model. A path needs no database; where
    there is one, the file is compared with its LoRAs.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    view = read_lora(ref, db, beside_others=True)
    if browse:
        _open(ref, view["page_url"], voice)
        return
    if not is_stored(ref) and not view.compared_with:
        voice.detail("read from the file; there is no database to compare it with")
    with answers(machine=as_json, pager=not no_pager) as stream:
        if as_json:
            from crawler.answers.lora import as_data

            stream.write(json_text(as_data(view), indent=2) + "\n")
        else:
            from crawler.cli.pages.lora import print_lora

            print_lora(open_console(stream), view)


def _open(ref: str, url: str | None, voice: Voice) -> None:
    """Open a page in the user's browser.

    Raises:
        UsageError: There is no page, or no browser.
    """
    if not url or not url.startswith(("https://", "http://")):
        raise UsageError(f"{ref} has no page on the site")
    if not webbrowser.open(url):
        raise UsageError(f"no browser can be started; the page is {visible(url)}")
    voice.notice(f"opened {visible(url)}")
