"""Read stored headers: the first bytes of each file, unchanged."""

import sqlalchemy as sa
import zstandard

from crawler.errors import DatabaseError, UsageError
from crawler.model.outcome import READ
from crawler.store.schema import tables
from crawler.store.schema.tables import loras

#: Most bytes of a header: the limit of the safetensors format, and 8 bytes of length.
MAX_HEADER_BYTES = 100_000_000 + 8

#: The size of the first request is based on this many of the latest headers.
HEADER_SAMPLE = 20_000


def stored_header(connection: sa.Connection, file_id: int) -> bytes:
    """The header of a file, byte for byte, with the 8 bytes of its length.

    Raises:
        UsageError: No header of this file is stored.
        DatabaseError: The stored header is damaged.
    """
    table = tables.headers
    data = connection.execute(sa.select(table.c.data).where(table.c.file_id == file_id)).scalar()
    if data is None:
        raise UsageError(f"no header of file {file_id} is stored in this database")
    return unpacked(data, file_id)


def unpacked(data: bytes, file_id: int) -> bytes:
    """The bytes of a header, from the compressed column `data`.

    Raises:
        DatabaseError: The stored header is damaged.
    """
    try:
        if zstandard.frame_content_size(data) > MAX_HEADER_BYTES:
            raise DatabaseError(f"the stored header of file {file_id} is longer than any valid one")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_HEADER_BYTES)
    except zstandard.ZstdError as error:
        raise DatabaseError(f"the stored header of file {file_id} is damaged: {error}") from error


def header_lengths(connection: sa.Connection) -> dict[str | None, tuple[int, ...]]:
    """The lengths of headers in bytes, ascending, by base model; of at most HEADER_SAMPLE files."""
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
