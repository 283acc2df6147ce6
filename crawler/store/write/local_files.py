"""Store local files. Each is a model with one version and one file.

The three ids are the same negative number, counted down in the order in which files are found. The
path, size and time of a file are in `local_files`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

import sqlalchemy as sa

from crawler.decode import clean
from crawler.model import File, FileHashes, LocalFile, LocalResult, Model, Outcome, Version
from crawler.store.schema.tables import local_files, loras, models, versions
from crawler.store.write.catalogue import store_page
from crawler.store.write.results import store_results
from crawler.store.write.upserts import slices, upsert

#: The column `site` of these files.
SITE = "local"

#: The walk that the models belong to.
WALK = "scan"

#: Digits of AutoV3 (the SHA-256 of the weights) and of AutoV2 (the SHA-256 of the file).
AUTOV3_DIGITS, AUTOV2_DIGITS = 12, 10

#: Outcomes without a reading of the file: the next scan reads it again.
_UNREAD = frozenset({Outcome.FAILED, Outcome.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """A file that an earlier scan stored.

    Attributes:
        path: As in `LocalFile.stored_path`.
        mtime_ns: As in `LocalFile`.
        hashed: Whether its SHA-256 is stored.
        gone: Whether it was marked as gone.
    """

    file_id: int
    path: str
    size_bytes: int
    mtime_ns: int | None
    outcome: Outcome
    hashed: bool
    gone: bool

    def still_holds(self, file: LocalFile, *, with_hash: bool) -> bool:
        """Whether the file needs no reading: same size and time, read before, hashed if wanted."""
        return (
            self.mtime_ns is not None
            and (self.mtime_ns, self.size_bytes) == (file.mtime_ns, file.size_bytes)
            and self.outcome not in _UNREAD
            and (self.hashed or not with_hash)
        )


def known_files(connection: sa.Connection) -> dict[str, KnownFile]:
    """Every file that a scan has stored, by path."""
    statement = sa.select(
        local_files.c.file_id,
        local_files.c.path,
        local_files.c.size_bytes,
        local_files.c.mtime_ns,
        loras.c.outcome,
        loras.c.sha256.is_not(None).label("hashed"),
        loras.c.gone_at.is_not(None).label("gone"),
    ).join(loras, loras.c.file_id == local_files.c.file_id)
    return {
        row.path: KnownFile(
            file_id=row.file_id,
            path=row.path,
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
            outcome=Outcome(row.outcome),
            hashed=bool(row.hashed),
            gone=bool(row.gone),
        )
        for row in connection.execute(statement)
    }


def next_local_id(connection: sa.Connection) -> int:
    """A negative id below all stored ids. All ids below it are free too."""
    columns = (loras.c.file_id, versions.c.version_id, models.c.model_id)
    lowest = [connection.execute(sa.select(sa.func.min(column))).scalar() for column in columns]
    return min([0, *(int(number) for number in lowest if number is not None)]) - 1


def store_local(connection: sa.Connection, read: Sequence[LocalResult], *, now: datetime) -> None:
    """Store files that were read, in the caller's transaction. None of them stays pending.

    A known file is updated. If it could not be read, what its header said stays.
    """
    if not read:
        return
    store_page(
        connection,
        [_model(one) for one in read],
        site=SITE,
        origin=SITE,
        walk=WALK,
        pass_number=1,
        cursors={},
        now=now,
    )
    ids = [one.result.target.file_id for one in read]
    unsaid = sa.update(loras).values(version_name=None, model_tags=None, trained_words=None)
    for some in slices(ids):
        connection.execute(unsaid.where(loras.c.file_id.in_(some)))
    upsert(
        connection,
        local_files,
        [
            {
                "file_id": one.result.target.file_id,
                "path": one.file.stored_path,
                "size_bytes": one.file.size_bytes,
                "mtime_ns": one.file.mtime_ns,
                "claimed_weights": one.claimed_weights,
                "matched_file_id": None,
                "matched_by": None,
            }
            for one in read
        ],
    )
    store_results(connection, [one.result for one in read])


def store_hashes(connection: sa.Connection, hashes: Mapping[int, FileHashes]) -> None:
    """Add the hashes of stored files, by file id."""
    for file_id, found in hashes.items():
        own = sa.update(loras).where(loras.c.file_id == file_id)
        connection.execute(own.values(_hash_columns(found)))


def mark_seen(connection: sa.Connection, file_ids: Collection[int], *, now: datetime) -> None:
    """Record that files still exist, unchanged."""
    for ids in slices(list(file_ids)):
        for table, key in ((models, models.c.model_id), (versions, versions.c.version_id)):
            found = sa.update(table).where(key.in_(ids))
            connection.execute(found.values(last_seen_at=now, gone_at=None))
        back = loras.c.file_id.in_(ids) & loras.c.gone_at.is_not(None)
        connection.execute(sa.update(loras).where(back).values(gone_at=None))


def mark_missing(connection: sa.Connection, file_ids: Collection[int], *, now: datetime) -> None:
    """Mark files that no longer exist. What their headers said stays."""
    for ids in slices(list(file_ids)):
        for table, key in (
            (models, models.c.model_id),
            (versions, versions.c.version_id),
            (loras, loras.c.file_id),
        ):
            connection.execute(sa.update(table).where(key.in_(ids)).values(gone_at=now))


def _model(one: LocalResult) -> Model:
    path = PurePath(one.file.path)
    number = one.result.target.file_id
    file = File(
        file_id=number,
        name=clean.text(path.name),
        size_bytes=one.file.size_bytes,
        is_primary=True,
        **(_hash_columns(one.hashes) if one.hashes else {}),
    )
    version = Version(version_id=number, name="", files=(file,), body={})
    return Model(model_id=number, name=clean.text(path.stem), versions=(version,), body={})


def _hash_columns(hashes: FileHashes) -> dict[str, str | None]:
    weights = hashes.weights
    return {
        "sha256": hashes.sha256,
        "autov2": hashes.sha256[:AUTOV2_DIGITS],
        "autov3": weights[:AUTOV3_DIGITS] if weights else None,
    }
