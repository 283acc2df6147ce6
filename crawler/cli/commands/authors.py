"""`lora-crawl authors`: who put how much work into their LoRAs."""

from dataclasses import astuple, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, Where, place, voice_of
from crawler.cli.output.console import Voice
from crawler.cli.output.rows import (
    Format,
    FormatOption,
    JsonOption,
    SafeCsvOption,
    chosen,
    write_rows,
)

if TYPE_CHECKING:
    from crawler.store.stats.creators import Creator, Creators


class Sort(StrEnum):
    """What creators are ordered by: the columns of the answer."""

    CREATOR = "creator"
    LORAS = "loras"
    FILES = "files"
    WITH_METADATA = "with_metadata"
    RUNS = "runs"
    MEDIAN_IMAGES_SEEN = "median_images_seen"
    MEGAPIXELS_SEEN = "megapixels_seen"
    TRAINING_HOURS = "training_hours"


#: Creators unless `--limit` says otherwise: what a person reads.
_LIMIT = 20

#: Heads of the table, which must stand side by side in 80 columns; other formats have the names of
#: the attributes.
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
            "--sort",
            metavar="COLUMN",
            help=f"Order by this column, the largest first: {', '.join(Sort)}.",
        ),
    ] = Sort.MEGAPIXELS_SEEN,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", metavar="N", min=0, help="At most so many creators; 0 = all."
        ),
    ] = _LIMIT,
    db: Db = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    safe_csv: SafeCsvOption = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List creators by effort: LoRAs, images seen, megapixels seen, hours, share with metadata.

    A training run counts once, with the furthest of its files.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.query.parser import parse
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.schema.fields import BY_NAME
    from crawler.store.stats import creators as effort

    tree = parse(where or [], BY_NAME)
    engine = open_for_reading(place(db))
    try:
        with translated(engine.url), engine.connect() as connection:
            found = effort.creators(connection, tree, sort=sort.value, limit=limit)
    finally:
        engine.dispose()
    if wanted is not Format.TABLE:
        names = [field.name for field in fields(effort.Creator)]
        write_rows(names, map(astuple, found.listed), wanted, safe_csv=safe_csv)
    elif found.listed:
        write_rows(_HEADS, map(_told, found.listed), wanted)
    _tell(found, voice, picked=bool(where))


def _told(creator: "Creator") -> tuple[object, ...]:
    """The cells of the table: no digits that mean nothing."""
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


def _tell(found: "Creators", voice: Voice, *, picked: bool) -> None:
    """Say what the figures rest on, and what is missing from them."""
    from crawler.cli.output.cells import count, number, share

    if not found.total:
        voice.notice("no file with a creator is picked" if picked else "no file has a creator")
    else:
        shown = len(found.listed)
        creators = count(found.total, "creator")
        more = (
            f"{number(shown)} of {creators}, --limit 0 for all" if shown < found.total else creators
        )
        voice.notice(f"{more}; {count(found.files, 'file')}")
    if found.no_metadata:
        voice.notice(
            f"{number(found.no_metadata)} of {count(found.read, 'file')} whose headers were read"
            f" ({share(found.no_metadata / found.read)}) say nothing of their training:"
            " their work is missing here"
        )
    if found.without_creator:
        voice.notice(f"{count(found.without_creator, 'file')} without a creator left out")
