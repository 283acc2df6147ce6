"""Read stored headers: the first bytes of each file, unchanged."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import zstandard

from crawler.errors import DatabaseError, UsageError
from crawler.model.outcome import READ
from crawler.safetensors.split import joined
from crawler.store.schema.tables import headers, loras, tensor_lists

#: Most bytes of a header: the limit of the safetensors format, and 8 bytes of length.
MAX_HEADER_BYTES = 100_000_000 + 8

#: The size of the first request is based on this many of the latest headers.
HEADER_SAMPLE = 20_000

#: What to do about a damaged header.
_REPAIR = "find all damaged headers: lora-crawl redecode --all; it says how to read them again"

_WITH_LISTS = sa.select(headers, tensor_lists.c.data.label("list_data")).outerjoin(
    tensor_lists, tensor_lists.c.digest == headers.c.list_digest
)


def stored_header(connection: sa.Connection, file_id: int) -> bytes:
    """The header of a file, byte for byte, with the 8 bytes of its length.

    Raises:
        UsageError: No header of this file is stored.
        DatabaseError: The stored header is damaged.
    """
    row = connection.execute(_WITH_LISTS.where(headers.c.file_id == file_id)).one_or_none()
    if row is None:
        raise UsageError(f"no header of file {file_id} is stored in this database")
    return whole(row)


def rows_of(connection: sa.Connection, file_ids: Sequence[int]) -> Iterator[sa.Row[Any]]:
    """The stored headers of these files, for `whole`. Files without one are left out."""
    yield from connection.execute(_WITH_LISTS.where(headers.c.file_id.in_(file_ids)))


def whole(row: sa.Row[Any]) -> bytes:
    """A header put together from its row and its tensor list.

    Raises:
        DatabaseError: The stored header or its list is damaged, or the list is missing.
    """
    own = unpacked(row.data, row.file_id)
    if row.list_digest is None:
        return own
    return joined(own, row.list_start, unpacked_list(row.list_data, row.list_digest))


def unpacked(data: bytes, file_id: int, most: int = MAX_HEADER_BYTES) -> bytes:
    """The bytes of a header, from the compressed column `data`.

    Raises:
        DatabaseError: The stored header is damaged, or longer than `most` bytes.
    """
    return _decompressed(data, f"the stored header of file {file_id}", most)


def unpacked_list(data: bytes | None, digest: bytes, most: int = MAX_HEADER_BYTES) -> bytes:
    """The bytes of a tensor list, from the compressed column `data`; None if there is no such row.

    Raises:
        DatabaseError: The list is missing or damaged, or longer than `most` bytes.
    """
    what = f"the stored tensor list {digest.hex()[:16]}…"
    if data is None:
        raise DatabaseError(f"{what} is missing\n{_REPAIR}")
    found = _decompressed(data, what, most)
    if hashlib.sha256(found).digest() != digest:
        raise DatabaseError(f"{what} is damaged: its digest is another one\n{_REPAIR}")
    return found


def _decompressed(data: bytes, what: str, most: int) -> bytes:
    try:
        if zstandard.frame_content_size(data) > most:
            raise DatabaseError(f"{what} is longer than {most:,} bytes")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
    except zstandard.ZstdError as error:
        raise DatabaseError(f"{what} is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """A stored header, for the order in which headers are decoded again.

    Attributes:
        digest: The digest of its tensor list; None if the header is stored as a whole.
        size: Bytes of what is stored for this file alone.
        list_size: Bytes of the list.
    """

    digest: bytes | None
    file_id: int
    size: int
    list_size: int


@dataclass(frozen=True, slots=True)
class StoredHeader:
    """A stored header without its tensor list.

    Attributes:
        data: The bytes, compressed with zstd.
        list_start: Where the list belongs; None if the header is stored as a whole.
        file_bytes: The length of the whole file; None if no server gave it.
    """

    file_id: int
    data: bytes
    list_digest: bytes | None
    list_start: int | None
    file_bytes: int | None


def count_headers(connection: sa.Connection, *, below: int | None) -> int:
    """How many headers are stored.

    Args:
        connection: May be a reader's.
        below: Only those that an older decoder than this version decoded; None for all.
    """
    statement = sa.select(sa.func.count()).select_from(headers)
    if below is not None:
        statement = statement.where(headers.c.decoder_version < below)
    return connection.execute(statement).scalar_one()


def header_keys(
    connection: sa.Connection, *, after: HeaderKey | None, below: int | None, limit: int
) -> list[HeaderKey]:
    """The next headers in the order of their lists: whole ones by file id, then list by list.

    Args:
        connection: May be a reader's.
        after: The last one of the page before; None to begin.
        below: As in `count_headers`.
        limit: Most headers.
    """
    digest, file_id, start = headers.c.list_digest, headers.c.file_id, headers.c.list_start
    own = sa.case((headers.c.length <= MAX_HEADER_BYTES, headers.c.length), else_=0)
    statement = (
        sa.select(digest, file_id, sa.func.coalesce(start, own), tensor_lists.c.length)
        .outerjoin(tensor_lists, tensor_lists.c.digest == digest)
        .order_by(digest, file_id)
        .limit(limit)
    )
    if below is not None:
        # As a sum, it does not lead a database away from the index that has the order.
        statement = statement.where(headers.c.decoder_version + 0 < below)
    found: list[HeaderKey] = []
    if after is None or after.digest is None:
        wholes = statement.where(digest.is_(None))
        if after is not None:
            wholes = wholes.where(file_id > after.file_id)
        found = [HeaderKey(*row[:3], 0) for row in connection.execute(wholes)]
        after = None
    if found:
        return found
    lists = statement.where(digest.is_not(None))
    if after is not None:
        lists = lists.where(sa.tuple_(digest, file_id) > sa.tuple_(after.digest, after.file_id))
    return [HeaderKey(*row[:3], row[3] or 0) for row in connection.execute(lists)]


def stored_headers(connection: sa.Connection, file_ids: Sequence[int]) -> list[StoredHeader]:
    """The stored headers of these files, without their lists, by id."""
    columns = (headers.c.data, headers.c.list_digest, headers.c.list_start, headers.c.file_bytes)
    statement = sa.select(headers.c.file_id, *columns).where(headers.c.file_id.in_(file_ids))
    return [StoredHeader(*row) for row in connection.execute(statement.order_by(headers.c.file_id))]


def stored_lists(connection: sa.Connection, digests: Sequence[bytes]) -> dict[bytes, bytes | None]:
    """The tensor lists of these digests, compressed; None for a missing one."""
    statement = sa.select(tensor_lists.c.digest, tensor_lists.c.data)
    found = connection.execute(statement.where(tensor_lists.c.digest.in_(digests)))
    return dict.fromkeys(digests) | dict(iter(found))


def header_lengths(connection: sa.Connection) -> dict[str | None, tuple[int, ...]]:
    """The lengths of headers in bytes, ascending, by base model; of at most HEADER_SAMPLE files."""
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
