"""`lora-crawl diff`: the settings of two LoRAs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Form, Json, Quiet, SafeCsv, Verbose, voice_of
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.cli.reference import Ref, is_stored, read_lora

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.cli.pages.lora_view import LoraView

#: Columns of the formats for programs.
_COLUMNS = ("field", "a", "b")


def diff(
    ctx: typer.Context,
    a: Ref,
    b: Annotated[str, typer.Argument(metavar="REF", help="The other LoRA.", show_default=False)],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show settings that are the same too.")
    ] = False,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Compare the settings of two LoRAs.

    Only settings that differ are shown. Two paths need no database.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.insight.diff import Side, compare, identity

    views = [_view(ref, db) for ref in (a, b)]
    one, other = (
        Side(row=view.row, datasets=view.datasets, directories=view.directories, tags=view.tags)
        for view in views
    )
    names = identity(one, other)
    pairs = [pair for pair in compare(one, other) if everything or pair.differs]
    if wanted is Format.TABLE:
        from crawler.cli.pages.diff import print_pairs

        with answers() as stream:
            print_pairs(open_console(stream), [view.title for view in views], names, pairs)
    else:
        shown = [pair for pair in names if everything or pair.differs]
        rows = ((pair.name, pair.a, pair.b) for pair in (*shown, *pairs))
        write_rows(_COLUMNS, rows, wanted, safe_csv=safe_csv)
    _explain(voice, (a, b), views, differs=any(pair.differs for pair in pairs))


def _view(ref: str, db: str | None) -> "LoraView":
    """One of the two LoRAs; a local file gets its name as the title."""
    from dataclasses import replace

    view = read_lora(ref, db)
    if is_stored(ref):
        return view
    return replace(view, row={"file_name": Path(ref).name, **view.row})


def _explain(
    voice: Voice, refs: "Sequence[str]", views: "Sequence[LoraView]", *, differs: bool
) -> None:
    """Explain why few settings could be compared."""
    from crawler.model.outcome import READ

    for ref, view in zip(refs, views, strict=True):
        if view["outcome"] not in READ:
            reason = f": {view['reason']}" if view["reason"] else ""
            voice.notice(f"{ref}: header not read, {view['outcome']}{reason}")
    if not differs:
        voice.notice("no setting differs")
