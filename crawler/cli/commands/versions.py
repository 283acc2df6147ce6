"""`lora-crawl versions`: every version of a model, and what changed from one to the next."""

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
from crawler.cli.reference import Ref, is_stored
from crawler.errors import UsageError


def versions(
    ctx: typer.Context,
    ref: Ref,
    *,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show the versions of a model, and which settings changed.

    They are in the order of time. Each is compared with the one before it whose header was read.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    if not is_stored(ref):
        raise UsageError(f"{ref}: a path has no versions; name a model of the database")
    from crawler.answers.versions import COLUMNS
    from crawler.answers.versions import versions as versions_of

    with read_connection(db) as connection:
        found = versions_of(connection, ref)
    if wanted is Format.TABLE:
        from crawler.cli.pages.versions import print_versions

        with answers(pager=not no_pager) as stream:
            print_versions(open_console(stream), found)
    else:
        rows = (one.cells() for one in found)
        write_rows(COLUMNS, rows, wanted, safe_csv=safe_csv, pager=not no_pager)
    if len(found) == 1:
        voice.notice("the database has only this version")
