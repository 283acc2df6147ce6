"""Give the tags that an older version stored the ids that this one gives them."""

from collections.abc import Callable

import sqlalchemy as sa

from crawler.store.connect.db_errors import translated
from crawler.store.schema.tables import file_tags
from crawler.store.write.tags import store_tags
from crawler.store.write.upserts import insert_plain

#: Files in one transaction.
BATCH = 100

#: Files after which the progress is told.
TOLD_EVERY = 20_000

_TAGS = sa.table("old_tags", sa.column("tag_id", sa.Integer), sa.column("name", sa.Text))
_FILE_TAGS = sa.table("old_file_tags", *(sa.column(one.name) for one in file_tags.columns))


def move_tags(engine: sa.Engine, tell: Callable[[str], None]) -> None:
    """Copy the tags of every file to the new tables.

    Each batch is a transaction, in the order of file ids, so a run that was stopped or killed is
    continued by the next one.

    Args:
        engine: Of a database of revision 0010.
        tell: Takes a sentence on the progress.

    Raises:
        DatabaseError, StoppedError: As in `translated`.
    """
    with translated(engine.url), engine.connect() as connection:
        last = connection.scalar(sa.select(sa.func.max(file_tags.c.file_id)))
    done = 0
    while True:
        with translated(engine.url), engine.begin() as connection:
            moved = _move_batch(connection, -(2**63) if last is None else last)
        if not moved:
            return
        last = moved[-1]
        done += len(moved)
        if done % TOLD_EVERY < len(moved):
            tell(f"gave tags shorter ids: {done:,} files")


def _move_batch(connection: sa.Connection, last: int) -> list[int]:
    """Copy the tags of the files behind `last`; returns their ids, ascending."""
    files = sa.select(_FILE_TAGS.c.file_id).distinct().where(_FILE_TAGS.c.file_id > last)
    ids = list(connection.scalars(files.order_by(_FILE_TAGS.c.file_id).limit(BATCH)))
    if ids:
        old = _FILE_TAGS.c
        rows = sa.select(old.file_id, old.directory_number, _TAGS.c.name, old["count"])
        rows = rows.join(_TAGS, _TAGS.c.tag_id == old.tag_id)
        found = connection.execute(rows.where(old.file_id.between(ids[0], ids[-1]))).all()
        numbers = store_tags(connection, (row.name for row in found))
        new = [(file_id, number, numbers[name], n) for file_id, number, name, n in found]
        insert_plain(connection, file_tags, sorted(new))
    return ids
