"""Headers that need not be fetched: the same bytes are known under another id."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model import Target
from crawler.model.outcome import FROM_BYTES
from crawler.store.read.headers import unpacked
from crawler.store.schema.tables import headers, loras
from crawler.store.write.upserts import slices


@dataclass(frozen=True, slots=True)
class KnownContent:
    """The beginning of a file, as it was read under another id.

    Attributes:
        prefix: As `Result.header`.
        file_bytes: The file's true length, None when no server told it.
    """

    prefix: bytes
    file_bytes: int | None


def known_contents(connection: sa.Connection, targets: Sequence[Target]) -> dict[int, KnownContent]:
    """What is known of these files because another one has the same SHA-256 and size; by file id.

    A stored header that is damaged is left out.
    """
    other = loras.alias()
    same = sa.and_(
        other.c.sha256 == loras.c.sha256,
        other.c.size_bytes == loras.c.size_bytes,
        other.c.file_id != loras.c.file_id,
        other.c.outcome.in_(FROM_BYTES),
    )
    first = (
        sa.select(loras.c.file_id, sa.func.min(other.c.file_id).label("other_id"))
        .join(other, same)
        .join(headers, headers.c.file_id == other.c.file_id)
        .group_by(loras.c.file_id)
    )
    found: dict[int, KnownContent] = {}
    for ids in slices([target.file_id for target in targets if target.sha256]):
        pairs = first.where(loras.c.file_id.in_(ids)).subquery()
        statement = sa.select(pairs, headers.c.data, headers.c.file_bytes).join(
            headers, headers.c.file_id == pairs.c.other_id
        )
        for row in connection.execute(statement):
            try:
                prefix = unpacked(row.data, row.other_id)
            except DatabaseError:
                continue
            found[row.file_id] = KnownContent(prefix, row.file_bytes)
    return found
