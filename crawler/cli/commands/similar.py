"""`lora-crawl similar`: the LoRAs that are most like one."""

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

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
from crawler.cli.reference import Ref, read_lora
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.answers.lora import LoraView
    from crawler.store.stats.similar import Similar


class By(StrEnum):
    """What is compared."""

    SETTINGS = "settings"
    TAGS = "tags"


#: The columns that describe a LoRA.
_COLUMNS = ("file_id", "similarity", "model_name", "creator", "base_model", "likes")


def similar(
    ctx: typer.Context,
    ref: Ref,
    *,
    by: Annotated[
        By, typer.Option(help="Compare training settings or caption tags.")
    ] = By.SETTINGS,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Show N LoRAs.")
    ] = 10,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List the LoRAs that are most like one, and how they differ.

    Settings are compared within the base model, caption tags over all. Each LoRA counts once.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.store.stats import similar as stats

    view = read_lora(ref, db)
    if by is By.TAGS:
        counts: Counter[str] = Counter()
        for some in view.tags.values():
            counts.update(some)
        if not counts:
            raise UsageError(f"{ref} has no caption tags")
        with read_connection(db) as connection:
            found = stats.by_tags(connection, view.row, counts, limit)
        last = "shared_tags"
    else:
        with read_connection(db) as connection:
            base = view["base_model"]
            if base is None and (guess := stats.likely_base_model(connection, view.row)):
                base, told_by = guess
                voice.notice(f"compared with {base}, to judge by its {told_by}")
            if base is None:
                raise UsageError(
                    f"{ref}: its base model is not known, so there is nothing to compare"
                )
            found = stats.by_settings(connection, view.row, base, limit)
        last = "differs"
    if wanted is Format.TABLE:
        from crawler.cli.pages.similar import print_similar

        with answers(pager=not no_pager) as stream:
            print_similar(open_console(stream), view, found)
    else:
        rows = [_row(view, one, last) for one in found]
        write_rows((*_COLUMNS, last), rows, wanted, safe_csv=safe_csv, pager=not no_pager)
    if not found:
        alike = "tags" if by is By.TAGS else "base model and training settings"
        voice.notice(f"no other LoRA of this database has such {alike}")


def _row(view: "LoraView", one: "Similar", last: str) -> tuple[object, ...]:
    """The cells of one LoRA; `differs` is setting -> its value and theirs."""
    from crawler.store.stats.similar import differing

    values = {
        **one.row,
        "similarity": round(one.similarity, 4),
        "shared_tags": list(one.shared),
        "differs": {name: [view[name], one.row[name]] for name in differing(view.row, one.row)},
    }
    return tuple(values[name] for name in (*_COLUMNS, last))
