"""`lora-crawl diff`: two LoRAs' settings side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.output.rows import (
    Format,
    FormatOption,
    JsonOption,
    SafeCsvOption,
    chosen,
    write_rows,
)
from crawler.cli.reference import REF_HELP, is_stored, read_sheet

if TYPE_CHECKING:
    from crawler.cli.pages.lora_view import Sheet

#: Columns of the answer in the formats that programs read.
_COLUMNS = ("field", "a", "b")


def diff(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="REF", help=REF_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(metavar="REF", help="The other one.", show_default=False)],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what is the same as well.")
    ] = False,
    db: Db = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    safe_csv: SafeCsvOption = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show two LoRAs' settings side by side, only what differs; two paths need no database."""
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.insight.diff import Side, compare, identity

    sheets = [_sheet(ref, place(db)) for ref in (a, b)]
    one, other = (
        Side(
            row=sheet.row,
            datasets=sheet.datasets,
            directories=sheet.directories,
            tags=sheet.tags,
        )
        for sheet in sheets
    )
    who = identity(one, other)
    pairs = [pair for pair in compare(one, other) if everything or pair.differs]
    if wanted is Format.TABLE:
        from crawler.cli.pages.diff import print_pairs

        with answers() as stream:
            print_pairs(open_console(stream), [sheet.title for sheet in sheets], who, pairs)
    else:
        told = [pair for pair in who if everything or pair.differs]
        rows = ((pair.name, pair.a, pair.b) for pair in (*told, *pairs))
        write_rows(_COLUMNS, rows, wanted, safe_csv=safe_csv)
    _tell(voice, (a, b), sheets, differs=any(pair.differs for pair in pairs))


def _sheet(ref: str, where: str) -> "Sheet":
    """What is known of one of them; a file on this machine goes by its name."""
    from dataclasses import replace

    sheet = read_sheet(ref, where)
    if is_stored(ref):
        return sheet
    return replace(sheet, row={"file_name": Path(ref).name, **sheet.row})


def _tell(voice: Voice, refs: tuple[str, str], sheets: "list[Sheet]", *, differs: bool) -> None:
    """Say why there may be little to see."""
    from crawler.model.outcome import READ

    for ref, sheet in zip(refs, sheets, strict=True):
        outcome = sheet["outcome"]
        if outcome not in READ:
            reason = f": {sheet['reason']}" if sheet["reason"] else ""
            voice.notice(f"{ref}: its header was not read, it is {outcome}{reason}")
    if not differs:
        voice.notice("no setting differs")
