"""Stored headers, to be decoded again by a newer decoder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.verdict import Judgement
from crawler.model import Outcome
from crawler.model.outcome import FROM_BYTES
from crawler.store.schema.tables import headers, loras
from crawler.store.write.results import replace_parts, training_columns
from crawler.store.write.upserts import slices

#: The columns are those of the rows that it is executed with.
_AGAIN = sa.update(loras).where(loras.c.file_id == sa.bindparam("again_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHeader:
    """A header as it is stored.

    Attributes:
        data: Compressed, as `reads.unpacked` takes it.
        file_bytes: The file's true length, None when no server told it.
    """

    file_id: int
    data: bytes
    file_bytes: int | None


def headers_to_decode(connection: sa.Connection, *, everything: bool) -> list[int]:
    """The files whose headers an older decoder read, or all with a header, by id."""
    statement = sa.select(headers.c.file_id).order_by(headers.c.file_id)
    if not everything:
        statement = statement.where(headers.c.decoder_version < DECODER_VERSION)
    return list(connection.execute(statement).scalars())


def read_headers(connection: sa.Connection, file_ids: Sequence[int]) -> list[StoredHeader]:
    """The stored headers of these files, by id; those that have none are left out."""
    statement = sa.select(headers.c.file_id, headers.c.data, headers.c.file_bytes)
    return [
        StoredHeader(file_id=row.file_id, data=row.data, file_bytes=row.file_bytes)
        for ids in slices(file_ids)
        for row in connection.execute(
            statement.where(headers.c.file_id.in_(ids)).order_by(headers.c.file_id)
        )
    ]


def store_again(
    connection: sa.Connection, judged: Mapping[int, Judgement]
) -> Counter[tuple[Outcome, Outcome]]:
    """Store what headers say now, in the caller's transaction.

    Nothing else of a file changes: not how often it was asked for, and no outcome that is not the
    header's.

    Returns:
        How many files changed their outcome, by the old and the new one.
    """
    changed: Counter[tuple[Outcome, Outcome]] = Counter()
    rows = []
    for ids in slices(list(judged)):
        found = sa.select(loras.c.file_id, loras.c.outcome, loras.c.reason)
        for row in connection.execute(found.where(loras.c.file_id.in_(ids))):
            one = judged[row.file_id]
            ending = {"outcome": row.outcome, "reason": row.reason}
            if row.outcome in FROM_BYTES:
                ending = {"outcome": one.outcome, "reason": one.reason or None}
                changed[Outcome(row.outcome), one.outcome] += row.outcome != one.outcome
            rows.append({"again_id": row.file_id} | ending | training_columns(one.decoded))
        current = sa.update(headers).values(decoder_version=DECODER_VERSION)
        connection.execute(current.where(headers.c.file_id.in_(ids)))
    if rows:
        connection.execute(_AGAIN, rows)
    replace_parts(connection, {file_id: one.decoded for file_id, one in judged.items()})
    return +changed
