"""`lora-crawl diff`: the settings of LoRAs side by side."""

from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated

import typer

from crawler.cli.options import Db, Form, Json, NoPager, Quiet, SafeCsv, Verbose, voice_of
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.cli.reference import REF_HELP, is_stored, read_lora
from crawler.errors import UsageError

#: Most LoRAs side by side; each has a letter.
MOST = 8


def diff(
    ctx: typer.Context,
    refs: Annotated[
        list[str],
        typer.Argument(metavar="REF", help=REF_HELP, show_default=False),
    ],
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Show everything: what is the same, ids, hashes and dates."),
    ] = False,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Compare the settings of two or more LoRAs.

    Only settings that differ are shown. Paths need no database.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    if not 1 < len(refs) <= MOST:
        raise UsageError(f"diff takes 2 to {MOST} LoRAs; {len(refs)} given")
    from crawler.answers.diff import comparison

    views = []
    for ref in refs:
        view = read_lora(ref, db)
        if not is_stored(ref):
            view = replace(view, row={"file_name": Path(ref).name, **view.row})
        views.append(view)
    made = comparison(views)
    for at, reason in made.unread:
        voice.notice(f"{refs[at]}: header not read, {reason}")
    shown = made.every if everything else made.differing
    if wanted is Format.TABLE:
        from crawler.cli.pages.diff import print_compared

        with answers(pager=not no_pager) as stream:
            print_compared(open_console(stream), made.titles, made.names, shown)
    else:
        names = made.names if everything else [one for one in made.names if one.differs]
        rows = ((one.name, *one.values) for one in (*names, *shown))
        letters = ascii_lowercase[: len(refs)]
        write_rows(("field", *letters), rows, wanted, safe_csv=safe_csv, pager=not no_pager)
    if not made.differing:
        more = "; --all shows the rest" if made.hides_some and not everything else ""
        voice.notice(f"no setting differs{more}")
