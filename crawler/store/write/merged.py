"""Merge what another database knows of the site into this one. The values are checked already.

Whoever saw a model, version or file later is right about it; in a tie this database is.
`merged_files` does the same for files.
"""

import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.store.read.headers import rows_of, unpacked, whole
from crawler.store.schema.tables import loras, models, old_headers, stat_history, versions
from crawler.store.write.headers import header_length, packed
from crawler.store.write.upserts import insert_new, slices, update_rows, upsert

_Row = Mapping[str, Any]


@dataclass(slots=True)
class Merged:
    """What a batch of rows changed.

    Attributes:
        orphans: The keys of rows that were left out, since what they belong to is not stored.
    """

    new: int = 0
    changed: int = 0
    orphans: list[int] = field(default_factory=list)


def merge_models(connection: sa.Connection, rows: Sequence[_Row]) -> Merged:
    """Merge rows of `models`, in the caller's transaction."""
    return _merge_listed(connection, models, rows)


def merge_versions(connection: sa.Connection, rows: Sequence[_Row]) -> Merged:
    """Merge rows of `versions`, in the caller's transaction."""
    stored = _stored(connection, models.c.model_id, {row["model_id"] for row in rows})
    found = _merge_listed(connection, versions, [row for row in rows if row["model_id"] in stored])
    found.orphans = [row["version_id"] for row in rows if row["model_id"] not in stored]
    return found


def _merge_listed(connection: sa.Connection, table: sa.Table, rows: Sequence[_Row]) -> Merged:
    (key,) = table.primary_key.columns
    times = (table.c.first_seen_at, table.c.last_seen_at, table.c.gone_at)
    before = locked_rows(connection, key, *times, ids=[row[key.name] for row in rows])
    found = Merged()
    replacing: list[_Row] = []
    touching: list[_Row] = []
    for row in rows:
        stored = before.get(row[key.name])
        if stored is None:
            replacing.append(row)
            found.new += 1
            continue
        merged = {
            "first_seen_at": min(row["first_seen_at"], stored.first_seen_at),
            "last_seen_at": max(row["last_seen_at"], stored.last_seen_at),
            "gone_at": _gone_at(row, stored),
        }
        if row["last_seen_at"] > stored.last_seen_at:
            replacing.append({**row, **merged})
            found.changed += 1
        elif merged != {name: getattr(stored, name) for name in merged}:
            touching.append({key.name: row[key.name], **merged})
            found.changed += 1
    upsert(connection, table, replacing)
    update_rows(connection, table, touching)
    return found


def _gone_at(row: _Row, stored: sa.Row[Any]) -> datetime | None:
    """When something was found to be gone, according to whoever looked later."""
    theirs = max(row["last_seen_at"], row["gone_at"] or row["last_seen_at"])
    ours = max(stored.last_seen_at, stored.gone_at or stored.last_seen_at)
    gone_at: datetime | None = row["gone_at"] if theirs > ours else stored.gone_at
    return gone_at


def seen_last(connection: sa.Connection, seen_at: Mapping[int, datetime]) -> Collection[int]:
    """The versions, by id with the time when the other database saw them, that it saw last.

    It did if this database has no later time, after `merge_versions`.
    """
    of_version = versions.c
    found = locked_rows(
        connection, of_version.version_id, of_version.last_seen_at, ids=list(seen_at)
    )
    return [number for number, row in found.items() if seen_at[number] >= row.last_seen_at]


def merge_statistics(connection: sa.Connection, rows: Sequence[_Row]) -> Merged:
    """Add rows of `stat_history` that are not there yet, in the caller's transaction."""
    ids = {row["model_id"] for row in rows}
    stored = _stored(connection, models.c.model_id, ids)
    known: set[tuple[int, datetime]] = set()
    times = sa.select(stat_history.c.model_id, stat_history.c.seen_at)
    for some in slices(sorted(ids)):
        known.update(
            tuple(row) for row in connection.execute(times.where(stat_history.c.model_id.in_(some)))
        )
    new = [
        row
        for row in rows
        if row["model_id"] in stored and (row["model_id"], row["seen_at"]) not in known
    ]
    insert_new(connection, stat_history, new)
    return Merged(len(new), 0, [row["model_id"] for row in rows if row["model_id"] not in stored])


def locked_rows(
    connection: sa.Connection, key: sa.Column[Any], *columns: sa.Column[Any], ids: Sequence[int]
) -> dict[int, sa.Row[Any]]:
    """The stored rows of these ids, which nobody else changes before the end of the transaction."""
    others = [column for column in columns if column is not key]
    # In one order, as all do that write many rows, so that two of them cannot deadlock.
    statement = sa.select(key, *others).order_by(key).with_for_update()
    return {
        row[0]: row
        for some in slices(ids)
        for row in connection.execute(statement.where(key.in_(some)))
    }


def _stored(connection: sa.Connection, key: sa.Column[Any], ids: Collection[int]) -> set[int]:
    """Those of the ids that are stored."""
    return {*locked_rows(connection, key, ids=sorted(ids))}


@dataclass(frozen=True, slots=True)
class OldHeader:
    """An earlier header of a file.

    Attributes:
        header: The bytes.
        file_bytes: The length of the file, None when unknown.
    """

    file_id: int
    header: bytes
    file_bytes: int | None
    replaced_at: datetime


def version_bodies(connection: sa.Connection, version_ids: Collection[int]) -> list[dict[str, Any]]:
    """What the site said of these versions; those without it are left out."""
    statement = sa.select(versions.c.body).where(versions.c.body.is_not(None))
    return [
        body
        for some in slices(sorted(version_ids))
        for body in connection.scalars(statement.where(versions.c.version_id.in_(some)))
    ]


def merge_old_headers(connection: sa.Connection, found: Sequence[OldHeader]) -> Merged:
    """Add earlier headers of files that this database does not have, in the caller's transaction."""
    ids = sorted({one.file_id for one in found})
    stored = _stored(connection, loras.c.file_id, ids)
    known = _known_headers(connection, ids)
    numbers = sa.select(old_headers.c.file_id, sa.func.max(old_headers.c.number))
    numbers = numbers.group_by(old_headers.c.file_id)
    last: dict[int, int] = {}
    for some in slices(ids):
        last |= dict(iter(connection.execute(numbers.where(old_headers.c.file_id.in_(some)))))
    rows = []
    for one in found:
        digest = hashlib.sha256(one.header).digest()
        if one.file_id not in stored or (one.file_id, digest) in known:
            continue
        known.add((one.file_id, digest))
        last[one.file_id] = last.get(one.file_id, 0) + 1
        rows.append(
            {
                "file_id": one.file_id,
                "number": last[one.file_id],
                "length": header_length(one.header),
                "data": packed(one.header),
                "file_bytes": one.file_bytes,
                "replaced_at": one.replaced_at,
            }
        )
    insert_new(connection, old_headers, rows)
    return Merged(len(rows), 0, [one.file_id for one in found if one.file_id not in stored])


def _known_headers(connection: sa.Connection, ids: Sequence[int]) -> set[tuple[int, bytes]]:
    """The digests of the headers that these files have or had; damaged ones are left out."""
    known: set[tuple[int, bytes]] = set()

    def add(file_id: int, header: bytes) -> None:
        known.add((file_id, hashlib.sha256(header).digest()))

    old = sa.select(old_headers.c.file_id, old_headers.c.data)
    for some in slices(ids):
        for row in connection.execute(old.where(old_headers.c.file_id.in_(some))):
            with contextlib.suppress(DatabaseError):
                add(row.file_id, unpacked(row.data, row.file_id))
        for current in rows_of(connection, some):
            with contextlib.suppress(DatabaseError):
                add(current.file_id, whole(current))
    return known
