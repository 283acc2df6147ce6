"""Merge the files that another database knows into this one, after their models and versions.

What the site says of a file follows whoever saw its version last. Its outcome and all that its header
says are not merged: they are this database's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model import File, Model, Outcome, Target, Version
from crawler.model.outcome import FROM_BYTES
from crawler.store.schema.tables import loras, models, versions
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
from crawler.store.write.merged import Merged, locked_rows
from crawler.store.write.upserts import insert_new, slices, update_rows

#: The site of all files that are merged.
_SITE = "civitai"

_Row = Mapping[str, Any]


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
    file_ids = [one.file.file_id for one in found]
    before = locked_rows(connection, loras.c.file_id, *loras.c, ids=file_ids)
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


def unread_targets(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, Target]:
    """The files of these ids that have not been read, perhaps meanwhile by a worker."""
    names = ("file_id", "version_id", "file_name", "base_model", "size_bytes", "sha256", "outcome")
    found = locked_rows(connection, *(loras.c[name] for name in names), ids=file_ids)
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
