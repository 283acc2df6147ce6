"""Creators by the work in their LoRAs."""

from dataclasses import fields

from crawler.answers.text import count, number, share
from crawler.store.stats.creators import Creator, Creators

#: The columns, by which creators can also be sorted.
COLUMNS = tuple(each.name for each in fields(Creator))


def remarks(found: Creators, *, filtered: bool) -> list[str]:
    """How many creators there are, and which files are not counted.

    Args:
        found: The answer.
        filtered: A condition selects the files.
    """
    if not found.total:
        said = ["no matching file has a creator" if filtered else "no file has a creator"]
    else:
        creators = count(found.total, "creator")
        if (shown := len(found.listed)) < found.total:
            creators = f"{number(shown)} of {creators} (--limit 0 for all)"
        said = [f"{creators}, {count(found.files, 'file')}"]
    if found.no_metadata:
        said.append(
            f"{number(found.no_metadata)} of {count(found.read, 'file')} that were read"
            f" ({share(found.no_metadata / found.read)}) contain no training metadata and are not counted"
        )
    if found.without_creator:
        said.append(f"{count(found.without_creator, 'file')} without a creator left out")
    return said
