"""The form of an export: a folder with a file for each table, a dataset card, and a manifest."""

from datetime import datetime

import msgspec

#: The version of the form. Programs refuse an export with a later one.
FORMAT = 1

#: Written last: an export without it is not whole.
MANIFEST = "lora-crawl.json"

#: The dataset card, as the Hugging Face Hub shows it.
CARD = "README.md"

#: The last line of a new card. An export that replaces it keeps what a person wrote below.
CARD_END = "<!-- lora-crawl export replaces all above this line and keeps what is below -->"


def file_of(table: str) -> str:
    """The name of the file with a table."""
    return f"{table}.parquet"


class TableFile(msgspec.Struct, frozen=True):
    """A file with a table; `sha256` is that of the file, in hex."""

    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `lora-crawl.json` says.

    Attributes:
        format: FORMAT.
        revision: That of the tables, as of a database.
        program: The version of lora-crawl.
        decoder_version: The version of the decoder, which made what the headers are decoded to.
        origin: The URL of the API that the files are from; None without any files.
        made_at: When the export was finished, in UTC.
        where: The conditions on the files, as typed, which hold together; empty for all files.
        state: Tells states of the database apart, and choices of files.
        tables: The file of each table, by the name of the table.
    """

    format: int
    revision: str
    program: str
    decoder_version: int
    origin: str | None
    made_at: datetime
    where: tuple[str, ...]
    state: str
    tables: dict[str, TableFile]
