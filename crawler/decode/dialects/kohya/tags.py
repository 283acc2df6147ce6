"""How often each caption tag occurs, by folder."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from crawler.decode import clean
from crawler.decode.dialect_result import take
from crawler.decode.embedded_json import read_clean_json
from crawler.decode.kohya_json import an_object, object_or_empty, read_key
from crawler.decode.problems import OUT_OF_RANGE, UnreadableError
from crawler.model import Problem

Tags = Mapping[str, Mapping[str, int]]

_KEY = "ss_tag_frequency"
_COUNTS = dict[str, dict[str, Annotated[int, msgspec.Meta(ge=0, le=clean.MAX_INTEGER)]]]
_DECODER = msgspec.json.Decoder(_COUNTS)


def read(
    metadata: Mapping[str, str],
    items: Iterable[Any],
    problems: list[Problem],
    used: set[str],
) -> Tags:
    """The tags of `ss_tag_frequency`; when it is missing or cannot be read, those of the datasets.

    Args:
        metadata: As it stands in the header.
        items: The datasets of `ss_datasets`. A folder that several of them name counts once, as in
            sd-scripts' own summary.
        problems: Gets what cannot be held.
        used: Gets the keys that were read.
    """
    if quick := read_clean_json(metadata.get(_KEY, ""), _DECODER):
        used.add(_KEY)
        return quick
    whole = read_key(_KEY, metadata, an_object, "tags", problems=problems, used=used)
    if whole is not None:
        return _counted(whole, problems)
    merged: dict[str, Mapping[str, int]] = {}
    for item in items:
        frequency = item.get("tag_frequency") if isinstance(item, dict) else None
        if isinstance(frequency, dict):
            for folder, counts in _counted(frequency, problems).items():
                merged.setdefault(folder, counts)
    return merged


def _counted(frequency: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, int]]:
    """The counts, checked one by one; what is no count is left out with a problem."""
    counted: dict[str, dict[str, int]] = {}
    for folder, tags in frequency.items():
        counts = counted.setdefault(clean.text(folder), {})
        for tag, value in object_or_empty(tags, "tags", problems).items():
            count = take(_count, value, "tags", problems)
            if count is not None:
                counts[clean.text(tag)] = count
    return counted


def _count(value: object) -> int:
    count = clean.integer(value)
    if count is None or count < 0:
        raise UnreadableError(OUT_OF_RANGE, f"{clean.quote(value)} is no count")
    return count
