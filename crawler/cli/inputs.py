"""What `inspect` and `show` are given to read without a database: paths and addresses."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crawler.decode.verdict import judge
from crawler.errors import SiteError
from crawler.model import Decoded, Outcome
from crawler.settings import api_key
from crawler.sources.disk import read_beginning, refused_by_library

#: Outcomes of a file whose header is sound.
SOUND = frozenset({Outcome.DECODED, Outcome.NO_METADATA})

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one input.

    Attributes:
        input: As it was given.
        reason: Why the outcome is not `decoded`, in words; else empty.
        decoded: None unless the header is sound.
        file_bytes: The length of the file, None when it is not known.
    """

    input: str
    outcome: Outcome
    reason: str
    decoded: Decoded | None = None
    file_bytes: int | None = None


def is_address(text: str) -> bool:
    """Whether an input is an address on the net rather than a path."""
    return _ADDRESS.match(text) is not None


def read_inputs(inputs: Iterable[str], *, api_url: str) -> Iterator[Reading]:
    """Read the headers one after the other; what cannot be read has an outcome and a reason too.

    Args:
        inputs: Paths, and addresses that begin with http.
        api_url: The API that pages and downloads of the site are asked of.
    """
    for text in inputs:
        yield read_address(text, api_url=api_url) if is_address(text) else read_path(text)


def read_path(text: str) -> Reading:
    """Read the header of a file on this machine.

    A whole file is at hand here, so the library that the format is made by has the last word.
    """
    path = Path(text)
    refused = None
    try:
        beginning = read_beginning(path)
        judged = judge(beginning.prefix, beginning.file_bytes)
        if judged.outcome in SOUND:
            refused = refused_by_library(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        return Reading(text, Outcome.FAILED, reason[:1].lower() + reason[1:])
    if refused is not None:
        reason = f"the safetensors library refuses it: {refused}"
        return Reading(text, Outcome.BAD_HEADER, reason, None, beginning.file_bytes)
    return Reading(text, judged.outcome, judged.reason, judged.decoded, beginning.file_bytes)


def read_address(text: str, *, api_url: str) -> Reading:
    """Read the header of a file on the net; nothing else of it travels."""
    import anyio

    from crawler.http import HttpSettings, Secret
    from crawler.sources.urls import read_address as fetch

    key = api_key()
    settings = HttpSettings(api_url=api_url, api_key=Secret(key) if key else None)
    try:
        fetched = anyio.run(fetch, text, settings)
    except SiteError as error:
        return Reading(text, Outcome.FAILED, str(error))
    if fetched.refusal is not None:
        return Reading(text, fetched.refusal, fetched.reason)
    judged = judge(fetched.prefix, fetched.file_bytes)
    return Reading(text, judged.outcome, judged.reason, judged.decoded, fetched.file_bytes)
