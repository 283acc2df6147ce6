"""Store headers: what is a file's own with each file, and each tensor list once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import zstandard

from crawler.decode.recipe import DECODER_VERSION
from crawler.errors import DatabaseError
from crawler.model import Outcome, Result, TensorList
from crawler.model.header import LENGTH_BYTES
from crawler.model.int64 import INT64
from crawler.model.outcome import FROM_BYTES
from crawler.safetensors.split import cut
from crawler.store.read.headers import rows_of, whole
from crawler.store.schema.tables import headers, loras, old_headers, tensor_lists
from crawler.store.write.upserts import insert_new, slices, upsert

#: zstd's level. It packs 182 KB of header into 16 KB in 0.3 ms; higher levels save little.
ZSTD_LEVEL = 3


def store_headers(
    connection: sa.Connection, read: Sequence[Result], *, again: Collection[int]
) -> None:
    """Store the headers of files, in the caller's transaction. Replaced ones go to `old_headers`.

    Args:
        connection: In a transaction.
        read: The results of files that were read.
        again: The ids of those that have a header already.
    """
    new = {one.target.file_id: one for one in read if one.target.file_id in again}
    _keep_old_headers(connection, new)
    insert_lists(
        connection,
        {one.tensor_list.digest: (one.header, one.tensor_list) for one in read if one.tensor_list},
    )
    upsert(connection, headers, [_header_row(result) for result in read])


def insert_lists(
    connection: sa.Connection, lists: Mapping[bytes, tuple[bytes, TensorList]]
) -> None:
    """Store the tensor lists that are not stored yet: by digest, a header and where it has the list."""
    new = missing_lists(connection, lists)
    insert_written_lists(connection, {digest: cut(*lists[digest])[1] for digest in new})


def missing_lists(connection: sa.Connection, digests: Collection[bytes]) -> set[bytes]:
    """Those of the tensor lists, by digest, that are not stored."""
    known: set[bytes] = set()
    for some in slices(list(digests)):
        found = sa.select(tensor_lists.c.digest).where(tensor_lists.c.digest.in_(some))
        known.update(connection.scalars(found))
    return {*digests} - known


def insert_written_lists(connection: sa.Connection, lists: Mapping[bytes, bytes]) -> None:
    """Store tensor lists, by digest, unless they are stored already."""
    # Always in the same order, so that two writers cannot deadlock.
    rows = [
        {"digest": digest, "length": len(written), "data": packed(written)}
        for digest, written in sorted(lists.items())
    ]
    insert_new(connection, tensor_lists, rows)


def _header_row(result: Result) -> dict[str, Any]:
    return {
        "file_id": result.target.file_id,
        "length": header_length(result.header),
        "file_bytes": result.file_bytes,
        "decoder_version": DECODER_VERSION,
        **cut_columns(result.header, result.tensor_list),
    }


def header_length(header: bytes) -> int | None:
    """The length of the JSON from a header's first 8 bytes; None if it has fewer, or beyond 64 bits."""
    length = int.from_bytes(header[:LENGTH_BYTES], "little")
    return length if len(header) >= LENGTH_BYTES and length in INT64 else None


def cut_columns(header: bytes, found: TensorList | None) -> dict[str, Any]:
    """The columns of `headers` for a header that is stored apart from its list; None: whole."""
    if found is None:
        return {"data": packed(header), "list_digest": None, "list_start": None}
    own, _ = cut(header, found)
    return {"data": packed(own), "list_digest": found.digest, "list_start": found.start}


def packed(data: bytes) -> bytes:
    """The bytes, compressed."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)


def _keep_old_headers(connection: sa.Connection, new: Mapping[int, Result]) -> None:
    """Copy stored headers to `old_headers`, as a whole, before other bytes replace them."""
    rows = []
    for ids in slices(list(new)):
        for row in rows_of(connection, ids):
            old = _replaced(row, new[row.file_id])
            if old is not None:
                rows.append(
                    {
                        "file_id": row.file_id,
                        "length": row.length,
                        "data": packed(old),
                        "file_bytes": row.file_bytes,
                        "replaced_at": new[row.file_id].fetched_at,
                    }
                )
    if not rows:
        return
    count = sa.select(old_headers.c.file_id, sa.func.count()).group_by(old_headers.c.file_id)
    count = count.where(old_headers.c.file_id.in_([row["file_id"] for row in rows]))
    number: dict[int, int] = dict(iter(connection.execute(count)))
    connection.execute(
        sa.insert(old_headers),
        [row | {"number": number.get(row["file_id"], 0) + 1} for row in rows],
    )


def _replaced(row: sa.Row[Any], result: Result) -> bytes | None:
    """The stored header if another one replaces it. None also when it is damaged."""
    try:
        old = whole(row)
    except DatabaseError:
        return None
    return None if old == result.header else old


def mark_damaged(connection: sa.Connection, file_ids: Collection[int]) -> None:
    """Make files `failed` whose stored header is damaged; what else is known of them stays.

    `sync --retry-failed` and `scan` then read them again.
    """
    failed = sa.update(loras).where(loras.c.outcome.in_(FROM_BYTES))
    failed = failed.values(outcome=Outcome.FAILED, reason="the stored header is damaged")
    for ids in slices(sorted(file_ids)):
        connection.execute(failed.where(loras.c.file_id.in_(ids)))


def forget_lists(connection: sa.Connection, digests: Collection[bytes]) -> None:
    """Remove damaged tensor lists, so that the next file that has one stores it anew."""
    for some in slices(sorted(digests)):
        connection.execute(sa.delete(tensor_lists).where(tensor_lists.c.digest.in_(some)))


def forget_unused_lists(connection: sa.Connection, digests: Collection[bytes]) -> None:
    """Remove those of the tensor lists, by digest, that no header has."""
    used = sa.exists().where(headers.c.list_digest == tensor_lists.c.digest)
    for some in slices(sorted(digests)):
        unused = sa.delete(tensor_lists).where(tensor_lists.c.digest.in_(some), ~used)
        connection.execute(unused)
