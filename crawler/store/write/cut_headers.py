"""Cut the headers that an older version stored whole, so that each tensor list is stored once."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crawler.decode.tensors.facts import KnownLists
from crawler.errors import DatabaseError, HeaderError
from crawler.safetensors.reader import parse_header
from crawler.store.connect.db_errors import translated
from crawler.store.read.headers import unpacked
from crawler.store.schema.tables import headers
from crawler.store.write.headers import cut_columns, insert_lists

if TYPE_CHECKING:
    from crawler.model import TensorList

#: Headers in one transaction.
BATCH = 64

#: Headers after which the progress is told.
TOLD_EVERY = 20_000

_CUT = sa.update(headers).where(headers.c.file_id == sa.bindparam("cut_id"))


def cut_headers(engine: sa.Engine, tell: Callable[[str], None]) -> None:
    """Cut every stored header that is written as usual.

    Each batch is a transaction, so a run that was stopped or killed is continued by the next one. A
    header that is whole or damaged stays as it is.

    Args:
        engine: Of a database of revision 0006.
        tell: Takes a sentence on the progress.

    Raises:
        DatabaseError, StoppedError: As in `translated`.
    """
    whole = sa.select(headers.c.file_id, headers.c.data).where(headers.c.list_digest.is_(None))
    with translated(engine.url), engine.connect() as connection:
        total = connection.scalar(sa.select(sa.func.count()).select_from(whole.subquery()))
    lists = KnownLists()
    done, last = 0, -(2**63)
    while True:
        with translated(engine.url), engine.begin() as connection:
            batch = whole.where(headers.c.file_id > last).order_by(headers.c.file_id).limit(BATCH)
            rows = connection.execute(batch).all()
            _cut_batch(connection, [(row.file_id, row.data) for row in rows], lists)
        if not rows:
            return
        last = rows[-1].file_id
        done += len(rows)
        if done % TOLD_EVERY < len(rows) or done == total:
            tell(f"stored tensor lists once: {done:,} of {total:,} headers")


def _cut_batch(
    connection: sa.Connection, rows: Sequence[tuple[int, bytes]], lists: KnownLists
) -> None:
    found: dict[bytes, tuple[bytes, TensorList]] = {}
    changed = []
    for file_id, data in rows:
        try:
            header = unpacked(data, file_id)
            parsed = parse_header(header, known=lists.body_bytes)
        except (DatabaseError, HeaderError):
            continue
        if parsed.tensor_list is not None:
            lists.facts(parsed)
            found[parsed.tensor_list.digest] = header, parsed.tensor_list
            changed.append({"cut_id": file_id} | cut_columns(header, parsed.tensor_list))
    insert_lists(connection, found)
    if changed:
        connection.execute(_CUT, changed)
