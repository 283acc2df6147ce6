"""`lora-crawl show`: one LoRA on a page."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.console import answers, open_console
from crawler.cli.options import Db, Json, Quiet, Verbose, place, voice_of
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.cli.pages.sheet import Sheet

#: A reference to the database, even where a file of such a name lies in the folder.
_STORED = re.compile(
    r"[0-9]+|(file|model|version|sha256|autov2|autov3):.*|https?://.*", re.IGNORECASE | re.DOTALL
)


def show(
    ctx: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="A file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:…, autov3:…, "
            "a page or download of Civitai, or a path.",
            show_default=False,
        ),
    ],
    *,
    db: Db = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show one LoRA on a page: how it was trained, beside what is usual for its base model."""
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if _STORED.fullmatch(ref):
        sheet = _stored(ref, place(db))
    else:
        sheet = _local(ref)
        voice.detail("read from the file; the database was not asked")
    if as_json:
        from crawler.cli.cells import json_text
        from crawler.cli.pages.data import shown

        with answers(machine=True) as stream:
            stream.write(json_text(shown(sheet), indent=2) + "\n")
        return
    from crawler.cli.pages.page import print_page

    with answers() as stream:
        print_page(open_console(stream), sheet)


def _local(ref: str) -> "Sheet":
    from crawler.cli.inputs import SOUND, read_path
    from crawler.cli.pages.data import page_of

    reading = read_path(ref)
    if reading.outcome not in SOUND:
        known = "" if Path(ref).exists() else "; REF is an id, a hash, an address or a path"
        raise UsageError(f"{ref}: {reading.outcome}: {reading.reason}{known}")
    return page_of(reading)


def _stored(ref: str, where: str) -> "Sheet":
    from crawler.cli.pages.stored import sheet_of_page
    from crawler.store.database import open_for_reading, translated
    from crawler.store.reads import find_file, lora

    engine = open_for_reading(where)
    try:
        with translated(engine.url), engine.connect() as connection:
            return sheet_of_page(lora(connection, find_file(connection, ref)))
    finally:
        engine.dispose()
