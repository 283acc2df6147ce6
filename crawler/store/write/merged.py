"""Merge what another database knows of the site into this one. The values are checked already.

Whoever saw a model, version or file later is right about it; in a tie this database is. The outcome of
a file and all that its header says are not merged: they are this database's own.
"""

import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model import File, Model, Outcome, Target, Version
from crawler.model.outcome import FROM_BYTES
from crawler.store.read.headers import rows_of, unpacked, whole
from crawler.store.schema.tables import (
    loras,
    models,
    old_headers,
    stat_history,
    versions,
)
from crawler.store.write.catalogue import (
    REFRESHED,
    Listed,
    beginning,
    description,
    has_hope,
    is_replaced,
    likes_per_month_of,
    new_row,
)
from crawler.store.write.headers import header_length, packed
from crawler.store.write.upserts import insert_new, slices, update_rows, upsert

#: The site of all files that are merged.
_SITE = "civitai"

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
    before = _by_id(connection, key, *times, ids=[row[key.name] for row in rows])
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
    found = _by_id(connection, versions.c.version_id, versions.c.last_seen_at, ids=list(seen_at))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    """A file as another database knows it.

    Attributes:
        version_id: Its version, where it is listed.
        gone_at: When it was found to be no longer listed.
        is_latest: No later view of the version is known than the other database's.
    """

    file: File
    version_id: int
    gone_at: datetime | None
    is_latest: bool


@dataclass(slots=True)
class MergedFiles(Merged):
    """What a batch of files changed.

    Attributes:
        unread: The files whose header is missing here, and whose bytes the other database lists as
            this one does.
    """

    unread: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Home:
    """A version with its model, and when each was seen last."""

    model: Model
    version: Version
    model_seen_at: datetime
    seen_at: datetime


def merge_files(
    connection: sa.Connection, found: Sequence[SeenFile], *, origin: str
) -> MergedFiles:
    """Merge files, after their models and versions, in the caller's transaction.

    New files begin as in a sync, and so do files that the other database saw last with other bytes or
    in another version.
    """
    merged = MergedFiles()
    before = _by_id(connection, loras.c.file_id, *loras.c, ids=[one.file.file_id for one in found])
    ids = {one.version_id for one in found} | {row.version_id for row in before.values()}
    homes = _homes(connection, sorted(ids))
    monthly = likes_per_month_of(
        connection,
        [home.model for home in homes.values()],
        {home.model.model_id: home.model_seen_at for home in homes.values()},
    )
    new: list[_Row] = []
    changes: list[_Change] = []
    for one in found:
        file_id, home = one.file.file_id, homes.get(one.version_id)
        if home is None:
            merged.orphans.append(file_id)
            continue
        stored = before.get(file_id)
        listed = Listed(home.model, home.version, one.file, monthly[home.model.model_id])
        if stored is None:
            new.append(new_row(listed, _SITE, origin) | {"gone_at": one.gone_at})
            is_unread = new[-1]["outcome"] is Outcome.PENDING
        else:
            changes.append(_change(one, stored, listed, homes, origin))
            is_unread = changes[-1].is_unread
        if is_unread:
            merged.unread.add(file_id)
    insert_new(connection, loras, new)
    known = [change.described for change in changes if change.described]
    moved = [change.moved for change in changes if change.moved]
    again = [change.again for change in changes if change.again]
    update_rows(connection, loras, known, REFRESHED)
    update_rows(connection, loras, moved)
    update_rows(connection, loras, again)
    merged.new, merged.changed = len(new), len(known) + len(moved)
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What becomes of a known file: rows with the columns that change; empty for no change.

    Attributes:
        described: What the site says of it.
        moved: When it was found to be gone.
        again: Its first outcome.
        is_unread: As in `MergedFiles.unread`.
    """

    described: _Row = field(default_factory=dict)
    moved: _Row = field(default_factory=dict)
    again: _Row = field(default_factory=dict)
    is_unread: bool


def _change(
    one: SeenFile, stored: sa.Row[Any], listed: Listed, homes: Mapping[int, _Home], origin: str
) -> _Change:
    file_id, home = stored.file_id, homes[stored.version_id]
    is_unread = stored.outcome not in FROM_BYTES
    is_latest = one.is_latest and (
        one.version_id == stored.version_id or homes[one.version_id].seen_at > home.seen_at
    )
    gone_at = _file_gone_at(one, stored, home, is_latest=is_latest)
    if not is_latest:
        moved = {"file_id": file_id, "gone_at": gone_at} if gone_at != stored.gone_at else {}
        return _Change(moved=moved, is_unread=is_unread and _same_bytes(stored, one.file))
    row = description(listed, origin) | {"gone_at": gone_at}
    described = {"file_id": file_id} | row if _differs(row, stored) else {}
    if not (is_replaced(stored, one.file) or has_hope(stored, listed)):
        return _Change(described=described, is_unread=is_unread)
    begun = beginning(one.file)
    return _Change(
        described=described,
        again={"file_id": file_id, "next_try_at": None} | begun,
        is_unread=begun["outcome"] is Outcome.PENDING,
    )


def _homes(connection: sa.Connection, version_ids: Sequence[int]) -> dict[int, _Home]:
    """The stored versions of these ids, with their models, without what descriptions do not need."""
    of_model = ("name", "type", "creator", "tags", "nsfw", "nsfw_level", "downloads", "likes")
    of_version = ("name", "base_model", "published_at", "early_access_until", "trained_words")
    statement = sa.select(
        versions.c.version_id,
        versions.c.model_id,
        versions.c.last_seen_at,
        models.c.last_seen_at.label("model_seen_at"),
        *(models.c[name].label(f"model_{name}") for name in of_model),
        *(versions.c[name] for name in of_version),
    ).join(models, models.c.model_id == versions.c.model_id)
    homes: dict[int, _Home] = {}
    for ids in slices(version_ids):
        for row in connection.execute(statement.where(versions.c.version_id.in_(ids))):
            given = {name: getattr(row, f"model_{name}") for name in of_model}
            model = Model(model_id=row.model_id, body={}, **given)
            own = {name: getattr(row, name) for name in of_version}
            # Whether it is open to everybody is not stored; the next sync finds out.
            version = Version(version_id=row.version_id, is_gated=True, body={}, **own)
            homes[row.version_id] = _Home(model, version, row.model_seen_at, row.last_seen_at)
    return homes


def _file_gone_at(
    one: SeenFile, stored: sa.Row[Any], home: _Home, *, is_latest: bool
) -> datetime | None:
    """As `_gone_at`. A file is seen with its version, so that there is a tie after a first import."""
    theirs = one.gone_at or home.seen_at
    ours: datetime = max(stored.gone_at or home.seen_at, home.seen_at)
    if is_latest:
        return one.gone_at if max(theirs, home.seen_at) >= ours else stored.gone_at
    return one.gone_at if one.gone_at is not None and one.gone_at > ours else stored.gone_at


def _same_bytes(stored: sa.Row[Any], file: File) -> bool:
    """Whether the other database lists the same bytes: the same hash, or size where one is missing."""
    if stored.sha256 is not None and file.sha256 is not None:
        return bool(stored.sha256 == file.sha256)
    known = stored.size_bytes is not None and file.size_bytes is not None
    return not known or bool(stored.size_bytes == file.size_bytes)


def _differs(row: _Row, stored: sa.Row[Any]) -> bool:
    """Whether a description says something else than what is stored."""
    # A known end of early access stays.
    kept = () if row["early_access_until"] else ("early_access_until",)
    return any(getattr(stored, name) != value for name, value in row.items() if name not in kept)


def _by_id(
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
    return {*_by_id(connection, key, ids=sorted(ids))}


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


def unread_targets(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, Target]:
    """The files of these ids that have not been read, perhaps meanwhile by a worker."""
    names = ("file_id", "version_id", "file_name", "base_model", "size_bytes", "sha256", "outcome")
    found = _by_id(connection, *(loras.c[name] for name in names), ids=file_ids)
    return {
        file_id: Target(
            file_id=file_id,
            version_id=row.version_id,
            file_name=row.file_name or "",
            base_model=row.base_model,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
        )
        for file_id, row in found.items()
        if row.outcome not in FROM_BYTES
    }


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
