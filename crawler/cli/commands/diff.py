"""`lora-crawl diff`: the settings of two LoRAs side by side."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.options import Db, Form, Json, NoPager, Quiet, SafeCsv, Verbose, voice_of
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.cli.reference import Ref, is_stored, read_lora
from crawler.model.outcome import READ


def diff(
    ctx: typer.Context,
    a: Ref,
    b: Annotated[str, typer.Argument(metavar="REF", help="The other LoRA.", show_default=False)],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show settings that are the same.")
    ] = False,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Compare the settings of two LoRAs.

    Only settings that differ are shown. Two paths need no database.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.insight.diff import Side, compare, identity

    views = []
    for ref in (a, b):
        view = read_lora(ref, db)
        if not is_stored(ref):
            view = replace(view, row={"file_name": Path(ref).name, **view.row})
        if view["outcome"] not in READ:
            reason = f": {view['reason']}" if view["reason"] else ""
            voice.notice(f"{ref}: header not read, {view['outcome']}{reason}")
        views.append(view)
    one, other = (
        Side(row=view.row, datasets=view.datasets, directories=view.directories, tags=view.tags)
        for view in views
    )
    names = identity(one, other)
    pairs = [pair for pair in compare(one, other) if everything or pair.differs]
    if wanted is Format.TABLE:
        from crawler.cli.pages.diff import print_pairs

        with answers(pager=not no_pager) as stream:
            print_pairs(open_console(stream), [view.title for view in views], names, pairs)
    else:
        shown = [pair for pair in names if everything or pair.differs]
        rows = ((pair.name, pair.a, pair.b) for pair in (*shown, *pairs))
        write_rows(("field", "a", "b"), rows, wanted, safe_csv=safe_csv)
    if not any(pair.differs for pair in pairs):
        voice.notice("no setting differs")
