"""Stored headers: the bytes that were read from the beginning of each file, as they came."""

import sqlalchemy as sa
import zstandard

from crawler.errors import DatabaseError, UsageError
from crawler.model.outcome import READ
from crawler.store.schema import tables
from crawler.store.schema.tables import loras

#: Bytes of a header at most: what the format allows, and its length in front.
MAX_HEADER_BYTES = 100_000_000 + 8

#: Headers looked at to size the first request, the latest ones.
HEADER_SAMPLE = 20_000


def stored_header(connection: sa.Connection, file_id: int) -> bytes:
    """The bytes that were read of a file: the length of the header and the header, as they came.

    Raises:
        UsageError: No header of this file is stored.
        DatabaseError: What is stored is damaged.
    """
    table = tables.headers
    data = connection.execute(sa.select(table.c.data).where(table.c.file_id == file_id)).scalar()
    if data is None:
        raise UsageError(f"no header of file {file_id} is stored in this database")
    return unpacked(data, file_id)


def unpacked(data: bytes, file_id: int) -> bytes:
    """The bytes of a header as they came, from the column `data`.

    Raises:
        DatabaseError: What is stored is damaged.
    """
    try:
        if zstandard.frame_content_size(data) > MAX_HEADER_BYTES:
            raise DatabaseError(f"the stored header of file {file_id} is longer than any can be")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_HEADER_BYTES)
    except zstandard.ZstdError as error:
        raise DatabaseError(f"the stored header of file {file_id} is damaged: {error}") from error


def header_lengths(connection: sa.Connection) -> dict[str | None, tuple[int, ...]]:
    """How long the headers of each base model are, in bytes: of HEADER_SAMPLE files at most."""
    headers = tables.headers
    sample = (
        sa.select(headers.c.file_id, headers.c.length)
        .where(headers.c.length.is_not(None))
        .order_by(headers.c.file_id.desc())
        .limit(HEADER_SAMPLE)
        .subquery()
    )
    statement = (
        sa.select(loras.c.base_model, sample.c.length)
        .join(sample, sample.c.file_id == loras.c.file_id)
        .where(loras.c.outcome.in_(READ))
    )
    lengths: dict[str | None, list[int]] = {}
    for base_model, length in connection.execute(statement):
        lengths.setdefault(base_model, []).append(length)
    return {base_model: tuple(sorted(found)) for base_model, found in lengths.items()}
