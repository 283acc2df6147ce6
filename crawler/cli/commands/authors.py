"""`lora-crawl authors`: how much work creators put into their LoRAs."""

from dataclasses import astuple, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import (
    Db,
    Form,
    Json,
    Quiet,
    SafeCsv,
    Verbose,
    Where,
    read_connection,
    voice_of,
)
from crawler.cli.output.console import Voice
from crawler.cli.output.rows import Format, chosen, write_rows

if TYPE_CHECKING:
    from crawler.store.stats.creators import Creator, Creators


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


#: Creators by default.
_LIMIT = 20

#: Heads of the table, which fit in 80 columns; other formats use the names of the attributes.
_HEADS = (
    *("creator", "LoRAs", "files", "metadata", "runs"),
    *("median images", "megapixels", "hours"),
)


def authors(
    ctx: typer.Context,
    *,
    where: Where = None,
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
    ] = _LIMIT,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List creators by the work in their LoRAs.

    The columns are LoRAs, files, share with metadata, training runs, median images seen, megapixels
    seen, and training hours. A training run counts once, by its latest file.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME
    from crawler.store.stats import creators as effort

    tree = parse(where or [], BY_NAME)
    with read_connection(db) as connection:
        found = effort.creators(connection, tree, sort=sort.value, limit=limit)
    if wanted is not Format.TABLE:
        names = [field.name for field in fields(effort.Creator)]
        write_rows(names, map(astuple, found.listed), wanted, safe_csv=safe_csv)
    elif found.listed:
        write_rows(_HEADS, map(_cells, found.listed), wanted)
    _explain(found, voice, filtered=bool(where))


def _cells(creator: "Creator") -> tuple[object, ...]:
    """The cells of the table, without meaningless digits."""
    from crawler.cli.output.cells import share

    known, hours = creator.with_metadata, creator.training_hours
    return (
        *(creator.creator, creator.loras, creator.files),
        None if known is None else share(known).rjust(len("metadata")),
        creator.runs,
        *(
            None if value is None else round(value)
            for value in (creator.median_images_seen, creator.megapixels_seen)
        ),
        None if hours is None else round(hours, 1),
    )


def _explain(found: "Creators", voice: Voice, *, filtered: bool) -> None:
    """Say how many files the figures rest on, and which are missing."""
    from crawler.cli.output.cells import count, number, share

    if not found.total:
        voice.notice("no matching file has a creator" if filtered else "no file has a creator")
    else:
        shown = len(found.listed)
        creators = count(found.total, "creator")
        some = f"{number(shown)} of {creators} (--limit 0 for all)"
        all_files = count(found.files, "file")
        voice.notice(f"{some if shown < found.total else creators}, {all_files}")
    if found.no_metadata:
        voice.notice(
            f"{number(found.no_metadata)} of {count(found.read, 'file')} that were read"
            f" ({share(found.no_metadata / found.read)}) contain no training metadata and are not counted"
        )
    if found.without_creator:
        voice.notice(f"{count(found.without_creator, 'file')} without a creator left out")
