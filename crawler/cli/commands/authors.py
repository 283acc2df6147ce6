"""`lora-crawl authors`: how much work creators put into their LoRAs."""

from dataclasses import astuple
from enum import StrEnum
from typing import Annotated

import typer

from crawler.cli import options
from crawler.cli.output.rows import FOR_PEOPLE, chosen, write_rows


class Sort(StrEnum):
    """The columns that creators can be ordered by."""

    CREATOR = "creator"
    LORAS = "loras"
    FILES = "files"
    WITH_METADATA = "with_metadata"
    RUNS = "runs"
    MEDIAN_IMAGES_SEEN = "median_images_seen"
    MEGAPIXELS_SEEN = "megapixels_seen"
    TRAINING_HOURS = "training_hours"


def authors(
    ctx: typer.Context,
    *,
    where: options.Where = None,
    copies: options.Copies = False,
    sort: Annotated[
        Sort,
        typer.Option(
            metavar="COLUMN",
            help=f"Order by this column, the largest first: {', '.join(Sort)}.",
        ),
    ] = Sort.MEGAPIXELS_SEEN,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", min=0, help="Show N creators; 0 = all."),
    ] = 20,
    db: options.Db = None,
    form: options.Form = None,
    as_json: options.Json = False,
    expanded: options.Expanded = False,
    safe_csv: options.SafeCsv = False,
    no_pager: options.NoPager = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """List creators by the work in their LoRAs.

    The columns are LoRAs, files, share with metadata, training runs, median images seen, megapixels
    seen, and training hours. A training run counts once, by its latest file.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv, expanded=expanded)
    from crawler.answers.authors import COLUMNS, HEADS, remarks, texts
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME
    from crawler.store.stats import creators as effort

    tree = parse(where or [], BY_NAME)
    with options.read_connection(db) as connection:
        selected = options.without_copies(connection, tree, voice, copies=copies)
        found = effort.creators(connection, selected, sort=sort.value, limit=limit)
        if not found.total:
            options.explain(connection, tree, voice)
    if wanted not in FOR_PEOPLE:
        write_rows(COLUMNS, map(astuple, found.listed), wanted, safe_csv=safe_csv)
    elif found.listed:
        from crawler.cli.output.table import Figure

        cells = map(texts, found.listed)
        rows = [(name, *(Figure(one) if one else None for one in rest)) for name, *rest in cells]
        write_rows(HEADS, rows, wanted, pager=not no_pager, tell=voice.notice)
    for remark in remarks(found, filtered=bool(where)):
        voice.notice(remark)
