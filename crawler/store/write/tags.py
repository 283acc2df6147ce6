"""Store the names of tags, each once."""

import hashlib
import zlib
from collections.abc import Collection, Iterable
from itertools import count

import sqlalchemy as sa

from crawler.store.schema.tables import tags
from crawler.store.write.upserts import insert_plain

#: Ids below this take three bytes on SQLite, others below the second limit four.
_SHORT, _LONG = 2**23, 2**31


def tag_id(name: str, attempt: int = 0) -> int:
    """The id of a tag: a hash of its name.

    Args:
        name: Of the tag.
        attempt: How many other ids of this name belong to other names. With a million tags that is
            so for one in ten.
    """
    if attempt == 0:
        return zlib.crc32(name.encode()) % _SHORT
    digest = hashlib.blake2b(f"{attempt} {name}".encode(), digest_size=8).digest()
    return _SHORT + int.from_bytes(digest) % (_LONG - _SHORT)


def store_tags(connection: sa.Connection, names: Iterable[str]) -> dict[str, int]:
    """Store the tags that are new, in the caller's transaction; returns the ids of all by name.

    A name gets the first of its ids that no other name has. No tag is ever removed, so it is found
    there again.
    """
    found: dict[str, int] = {}
    left = sorted(set(names))
    for attempt in count():
        if not left:
            break
        ids = {name: tag_id(name, attempt) for name in left}
        stored = _names(connection, ids.values())
        new = {number: name for name, number in reversed(ids.items()) if number not in stored}
        if new:
            # Always in the same order, so that two writers of PostgreSQL cannot deadlock. The other
            # one may have stored another name under the same id.
            insert_plain(connection, tags, sorted(new.items()))
            is_file = connection.dialect.name == "sqlite"
            stored |= new if is_file else _names(connection, new)
        found |= {name: number for name, number in ids.items() if stored[number] == name}
        left = [name for name in left if name not in found]
    return found


def _names(connection: sa.Connection, ids: Collection[int]) -> dict[int, str]:
    """The stored names of these ids."""
    rows = sa.select(tags.c.tag_id, tags.c.name)
    # As one value: a list of thousands takes PostgreSQL three times as long.
    if connection.dialect.name == "postgresql":
        rows = rows.where(
            tags.c.tag_id == sa.any_(sa.bindparam("ids", [*ids], sa.ARRAY(sa.BigInteger)))
        )
    else:
        json = sa.func.json_each(sa.bindparam("ids", str([*ids])))
        rows = rows.where(tags.c.tag_id.in_(sa.select(json.table_valued("value"))))
    return dict(connection.execute(rows).all())
