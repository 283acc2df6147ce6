"""What a REF on the command line points at: a LoRA of the database, or a file on this machine."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.decode.verdict import verdict_of
from crawler.errors import SiteError, UsageError
from crawler.model import Decoded, Outcome
from crawler.model.outcome import READ
from crawler.model.site import lacks_scheme
from crawler.settings import api_key
from crawler.sources.disk import read_beginning, refused_by_library

if TYPE_CHECKING:
    from crawler.cli.pages.lora_view import Sheet
    from crawler.decode.verdict import Verdict

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
        judged = verdict_of(beginning.prefix, beginning.file_bytes)
        if judged.outcome in READ:
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
    from crawler.sources.urls import read_url

    key = api_key()
    settings = HttpSettings(api_url=api_url, api_key=Secret(key) if key else None)
    try:
        fetched = anyio.run(read_url, text, settings)
    except SiteError as error:
        return Reading(text, Outcome.FAILED, str(error))
    if fetched.refusal is not None:
        return Reading(text, fetched.refusal, fetched.reason)
    judged = verdict_of(fetched.prefix, fetched.file_bytes)
    return Reading(text, judged.outcome, judged.reason, judged.decoded, fetched.file_bytes)


#: How a REF is explained wherever one is asked for.
REF_HELP = (
    "A file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:…, autov3:…, "
    "a page or download of Civitai, or a path."
)

#: A reference to the database, even where a file of such a name lies in the folder.
_STORED = re.compile(
    r"[0-9]+|(file|model|version|sha256|autov2|autov3):.*|https?://.*",
    re.IGNORECASE | re.DOTALL,
)


def is_stored(ref: str) -> bool:
    """Whether it is asked of the database; else it is a path, and needs none."""
    return _STORED.fullmatch(ref) is not None or lacks_scheme(ref)


def read_sheet(ref: str, where: str) -> "Sheet":
    """Everything known of the one LoRA that is meant.

    Args:
        ref: As it was typed.
        where: The database, as `--db` takes it.

    Raises:
        UsageError: It points at nothing, or at a file whose header is not sound.
        DatabaseError: The database cannot be read.
    """
    if not is_stored(ref):
        from crawler.cli.pages.lora_view import page_of

        return page_of(_read_sound(ref))
    from crawler.cli.pages.lora_view import sheet_of_page
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.read.loras import lora
    from crawler.store.read.refs import find_file

    engine = open_for_reading(where)
    try:
        with translated(engine.url), engine.connect() as connection:
            return sheet_of_page(lora(connection, find_file(connection, ref)))
    finally:
        engine.dispose()


def read_decoded(ref: str, where: str) -> tuple[str, "Decoded"]:
    """What a person calls the LoRA that is meant, and its header, decoded now.

    Args:
        ref: As it was typed.
        where: The database, as `--db` takes it.

    Raises:
        UsageError: It points at nothing, or there is no sound header.
        DatabaseError: The database cannot be read, or what it has of the header is damaged.
    """
    found: Reading | Verdict
    if is_stored(ref):
        title, found = _judge_stored(ref, where)
    else:
        title, found = Path(ref).name, _read_sound(ref)
    if found.decoded is None:
        why = f"{found.outcome}: {found.reason}" if found.reason else str(found.outcome)
        raise UsageError(f"{ref}: the header of this file was not read: {why}")
    return title, found.decoded


def _judge_stored(ref: str, where: str) -> "tuple[str, Verdict]":
    """The title of a stored LoRA and its header judged anew; how it ended where there is none."""
    from crawler.cli.pages.lora_view import sheet_of_page
    from crawler.decode.verdict import Verdict, verdict_of
    from crawler.model import Outcome
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.read.headers import stored_header
    from crawler.store.read.loras import lora
    from crawler.store.read.refs import find_file

    engine = open_for_reading(where)
    try:
        with translated(engine.url), engine.connect() as connection:
            file_id = find_file(connection, ref)
            sheet = sheet_of_page(lora(connection, file_id))
            outcome = Outcome(sheet["outcome"])
            if outcome not in READ:
                return sheet.title, Verdict(outcome, sheet["reason"] or "", None)
            return sheet.title, verdict_of(stored_header(connection, file_id), None)
    finally:
        engine.dispose()


def _read_sound(ref: str) -> "Reading":

    reading = read_path(ref)
    if reading.outcome not in READ:
        known = "" if Path(ref).exists() else "; REF is an id, a hash, an address or a path"
        raise UsageError(f"{ref}: {reading.outcome}: {reading.reason}{known}")
    return reading
