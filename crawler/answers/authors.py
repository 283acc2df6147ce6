"""Creators by the work in their LoRAs."""

from dataclasses import fields

from crawler.answers.text import count, number, share
from crawler.store.stats.creators import Creator, Creators

#: The columns, by which creators can also be sorted.
COLUMNS = tuple(each.name for each in fields(Creator))


#: Heads of a table for people, in the order of COLUMNS.
HEADS = (
    *("creator", "LoRAs", "files", "metadata", "runs"),
    *("median images", "megapixels", "hours"),
)


def texts(creator: Creator) -> tuple[str, ...]:
    """The cells of the table, without meaningless digits; an unknown one is empty."""
    known, hours = creator.with_metadata, creator.training_hours
    images, pixels = creator.median_images_seen, creator.megapixels_seen
    return (
        creator.creator,
        number(creator.loras),
        number(creator.files),
        "" if known is None else share(known),
        number(creator.runs),
        "" if images is None else number(round(images)),
        "" if pixels is None else number(round(pixels)),
        "" if hours is None else f"{hours:,.1f}",
    )


def remarks(found: Creators, *, filtered: bool, more: str = "--limit 0 for all") -> list[str]:
    """How many creators there are, and which files are not counted.

    Args:
        found: The answer.
        filtered: A condition selects the files.
        more: How to see those that are not listed; may be empty.
    """
    if not found.total:
        said = ["no matching file has a creator" if filtered else "no file has a creator"]
    else:
        creators = count(found.total, "creator")
        if (shown := len(found.listed)) < found.total:
            creators = f"{number(shown)} of {creators}" + (f" ({more})" if more else "")
        said = [f"{creators}, {count(found.files, 'file')}"]
    if found.no_metadata:
        said.append(
            f"{number(found.no_metadata)} of {count(found.read, 'file')} that were read"
            f" ({share(found.no_metadata / found.read)}) contain no training metadata and are not counted"
        )
    if found.without_creator:
        said.append(f"{count(found.without_creator, 'file')} without a creator left out")
    return said
