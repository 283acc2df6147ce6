"""Inputs of commands: a LoRA in the database, a file on this machine, or a file at a URL."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.reading import Reading
from crawler.cli.options import read_connection
from crawler.errors import DatabaseError, HeaderError, SiteError, UsageError
from crawler.model import Decoded, Outcome
from crawler.model.outcome import READ
from crawler.model.site import lacks_scheme

if TYPE_CHECKING:
    from crawler.answers.lora import LoraView

REF_HELP = (
    "A file id, model:ID, version:ID, name:WORDS, ten or more digits of a hash, "
    "a Civitai page or download URL, or a path."
)

Ref = Annotated[str, typer.Argument(metavar="REF", help=REF_HELP, show_default=False)]

_URL = re.compile(r"https?://", re.IGNORECASE)

#: A reference to the database, even if a file of that name exists.
_STORED = re.compile(
    r"[0-9]+|[0-9a-f]{10,64}|(file|model|version|name|sha256|autov2|autov3):.*|https?://.*",
    re.IGNORECASE | re.DOTALL,
)


def read_inputs(
    inputs: Iterable[str], *, api_url: str, key: Callable[[], str | None]
) -> Iterator[Reading]:
    """Read the headers one after the other. An input that cannot be read gets an outcome too.

    Args:
        inputs: Paths, and URLs that start with http.
        api_url: The API for pages and downloads of the site.
        key: Returns the API key; called once for all URLs.
    """
    known = cache(key)
    for text in inputs:
        if _URL.match(text):
            yield _read_url(text, api_url=api_url, key=known())
        else:
            yield _read_path(text)


def _read_path(text: str) -> Reading:
    """Read the header of a local file. The safetensors library is asked about what we refuse."""
    from crawler.decode.verdict import verdict_of
    from crawler.sources.disk import read_beginning, refused_by_library

    path = Path(text)
    try:
        beginning = read_beginning(path)
        judged = verdict_of(beginning.prefix, beginning.file_bytes)
        reason = judged.reason
        if judged.outcome is Outcome.BAD_HEADER:
            # It imports numpy, which takes longer than everything else.
            reason += f" (safetensors library: {refused_by_library(path) or 'sound'})"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        return Reading(text, Outcome.FAILED, reason[:1].lower() + reason[1:])
    return Reading(text, judged.outcome, reason, judged.decoded, beginning.file_bytes)


def _read_url(text: str, *, api_url: str, key: str | None) -> Reading:
    """Read the header of a remote file; only the header is downloaded."""
    import anyio

    from crawler.decode.verdict import verdict_of
    from crawler.http import BRIEF_WAITS, HttpSettings, Secret
    from crawler.sources.urls import read_url

    secret = None if key is None else Secret(key)
    settings = HttpSettings(api_url=api_url, api_key=secret, waits=BRIEF_WAITS)
    try:
        fetched = anyio.run(read_url, text, settings)
    except SiteError as error:
        return Reading(text, Outcome.FAILED, ". ".join(str(error).splitlines()))
    if fetched.refusal is not None:
        return Reading(text, fetched.refusal, fetched.reason)
    judged = verdict_of(fetched.prefix, fetched.file_bytes)
    return Reading(text, judged.outcome, judged.reason, judged.decoded, fetched.file_bytes)


def is_stored(ref: str) -> bool:
    """Whether a REF is looked up in the database; otherwise it is a path."""
    return _STORED.fullmatch(ref) is not None or lacks_scheme(ref)


def read_lora(ref: str, db: str | None, *, beside_others: bool = False) -> "LoraView":
    """Everything that is known about the LoRA that a REF names.

    Args:
        ref: As given.
        db: The database that `--db` names.
        beside_others: Compare a path with the LoRAs of its base model, where there is a database.

    Raises:
        UsageError: The REF matches nothing, or a file whose header is not sound.
        DatabaseError: The database cannot be read.
    """
    from crawler.answers.lora import stored_lora, view_of_file

    if not is_stored(ref):
        view = view_of_file(_read_sound(ref))
        return _beside_others(view, db) if beside_others else view
    with read_connection(db) as connection:
        return stored_lora(connection, ref)


def _beside_others(view: "LoraView", db: str | None) -> "LoraView":
    """A file beside the LoRAs of its likely base model; as it is without a database that can be read."""
    from crawler.answers.lora import compared
    from crawler.store.read.loras import statistics_of
    from crawler.store.stats.similar import likely_base_model

    try:
        with read_connection(db) as connection:
            likely = likely_base_model(connection, view.row)
            base, told_by = likely or (None, "")
            view = compared(view, base or "", statistics_of(connection, base))
    except DatabaseError:
        return view
    return replace(view, told_by=told_by) if view.compared_with == base else view


def read_decoded(ref: str, db: str | None) -> tuple[str, Decoded]:
    """The title of the LoRA that a REF names, and its header, decoded now.

    Raises:
        UsageError: The REF matches nothing, or the header was not read or is not sound.
        DatabaseError: The database cannot be read, or its copy of the header is damaged.
    """
    if is_stored(ref):
        from crawler.answers.recipe import stored_decoded

        with read_connection(db) as connection:
            return stored_decoded(connection, ref)
    found = _read_sound(ref)
    assert found.decoded is not None  # noqa: S101 - of a sound header
    return Path(ref).name, found.decoded


def read_header(ref: str, db: str | None) -> bytes:
    """The header of the file that a REF names, byte for byte, with the 8 bytes of its length.

    Raises:
        UsageError: The REF matches nothing, a file without a header, or a file that cannot be read.
        DatabaseError: The database cannot be read, or its copy of the header is damaged.
    """
    if is_stored(ref):
        from crawler.store.read.headers import stored_header
        from crawler.store.read.loras import find_file

        with read_connection(db) as connection:
            return stored_header(connection, find_file(connection, ref))
    from crawler.safetensors.reader import needed_bytes
    from crawler.sources.disk import read_beginning

    try:
        beginning = read_beginning(Path(ref))
        needed = needed_bytes(beginning.prefix, file_bytes=beginning.file_bytes)
    except HeaderError as error:
        raise UsageError(f"{ref}: {error.detail}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{ref}: {reason.lower()}") from error
    return beginning.prefix[:needed]


def _read_sound(ref: str) -> Reading:
    reading = _read_path(ref)
    if reading.outcome not in READ:
        hint = (
            ""
            if os.path.exists(ref)  # noqa: PTH110 - Path.exists may raise
            else f"; for a model of the database write name:{ref} or its id"
        )
        raise UsageError(f"{ref}: {reading.outcome}: {reading.reason}{hint}")
    return reading
