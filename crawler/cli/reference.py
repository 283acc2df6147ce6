"""What a REF on the command line points at: a LoRA of the database, or a file on this machine."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.cli.inputs import Reading
    from crawler.cli.pages.lora_view import Sheet
    from crawler.decode.verdict import Judgement
    from crawler.model import Decoded

#: How a REF is explained wherever one is asked for.
REF_HELP = (
    "A file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:…, autov3:…, "
    "a page or download of Civitai, or a path."
)

#: A reference to the database, even where a file of such a name lies in the folder.
_STORED = re.compile(
    r"[0-9]+|(file|model|version|sha256|autov2|autov3):.*|https?://.*"
    r"|(www\.)?civitai\.(com|red|green)/.*",
    re.IGNORECASE | re.DOTALL,
)


def is_stored(ref: str) -> bool:
    """Whether it is asked of the database; else it is a path, and needs none."""
    return _STORED.fullmatch(ref) is not None


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
        from crawler.cli.pages.data import page_of

        return page_of(_read_sound(ref))
    from crawler.cli.pages.stored import sheet_of_page
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.read.loras import find_file, lora

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
    found: Reading | Judgement
    if is_stored(ref):
        title, found = _judge_stored(ref, where)
    else:
        title, found = Path(ref).name, _read_sound(ref)
    if found.decoded is None:
        why = f"{found.outcome}: {found.reason}" if found.reason else str(found.outcome)
        raise UsageError(f"{ref}: the header of this file was not read: {why}")
    return title, found.decoded


def _judge_stored(ref: str, where: str) -> "tuple[str, Judgement]":
    """The title of a stored LoRA and its header judged anew; how it ended where there is none."""
    from crawler.cli.pages.stored import sheet_of_page
    from crawler.decode.verdict import Judgement, judge
    from crawler.model import Outcome
    from crawler.store.connect.database import open_for_reading, translated
    from crawler.store.read.loras import find_file, lora, stored_header

    engine = open_for_reading(where)
    try:
        with translated(engine.url), engine.connect() as connection:
            file_id = find_file(connection, ref)
            sheet = sheet_of_page(lora(connection, file_id))
            outcome = Outcome(sheet["outcome"])
            if outcome not in {Outcome.DECODED, Outcome.NO_METADATA}:
                return sheet.title, Judgement(outcome, sheet["reason"] or "", None)
            return sheet.title, judge(stored_header(connection, file_id), None)
    finally:
        engine.dispose()


def _read_sound(ref: str) -> "Reading":
    from crawler.cli.inputs import SOUND, read_path

    reading = read_path(ref)
    if reading.outcome not in SOUND:
        known = "" if Path(ref).exists() else "; REF is an id, a hash, an address or a path"
        raise UsageError(f"{ref}: {reading.outcome}: {reading.reason}{known}")
    return reading
