"""`lora-crawl versions`: every version of a model, and what changed from one to the next."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
from crawler.model.outcome import READ

if TYPE_CHECKING:
    from crawler.insight.diff import Compared

#: The columns for programs, after which `changed` comes.
_COLUMNS = (
    *("version_id", "version_name", "published_at", "base_model", "file_id", "file_name"),
    "outcome",
)

Row = Mapping[str, Any]


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
    from crawler.store.read.loras import find_file, versions_of

    with read_connection(db) as connection:
        found = versions_of(connection, find_file(connection, ref))
    compared = list(_compared(found))
    if wanted is Format.TABLE:
        from crawler.cli.pages.versions import print_versions

        with answers(pager=not no_pager) as stream:
            print_versions(open_console(stream), compared)
    else:
        rows = ((*(row[name] for name in _COLUMNS), _changed(changes)) for row, changes in compared)
        write_rows((*_COLUMNS, "changed"), rows, wanted, safe_csv=safe_csv, pager=not no_pager)
    if len(found) == 1:
        voice.notice("the database has only this version")


def _compared(rows: Sequence[Row]) -> "Iterator[tuple[Row, Sequence[Compared] | None]]":
    """Each version with what changed; None for the first one that was read, and those not read."""
    from crawler.insight.diff import Side, compare, differences

    before: Row | None = None
    for row in rows:
        if row["outcome"] not in READ:
            yield row, None
            continue
        changes = before and differences(compare((Side(row=before), Side(row=row))))
        yield row, changes or (None if before is None else ())
        before = row


def _changed(changes: "Sequence[Compared] | None") -> dict[str, list[Any]] | None:
    """Setting -> its value before and now."""
    return None if changes is None else {one.name: list(one.values) for one in changes}
