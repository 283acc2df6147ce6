"""Store local files, and match them with crawled ones.

A local file is a model with one version and one file. The three ids are the same negative number,
counted down in the order in which files are found. The path, size and time of a file are in
`local_files`. Two files match by a hash of their bytes, or by a plausible hash in the header.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import sqlalchemy as sa

from crawler.decode import clean
from crawler.model import File, FileHashes, LocalFile, LocalResult, Model, Outcome, Version
from crawler.store.schema.tables import headers, local_files, loras, models, versions
from crawler.store.write.catalogue import store_page
from crawler.store.write.results import store_results
from crawler.store.write.upserts import slices, upsert

#: The column `site` of these files.
SITE = "local"

#: The walk that the models belong to.
WALK = "scan"

#: Digits of AutoV3 (the SHA-256 of the weights) and of AutoV2 (the SHA-256 of the file).
AUTOV3_DIGITS, AUTOV2_DIGITS = 12, 10

#: Outcomes of files that were not read: the next scan tries again.
_UNREAD = frozenset({Outcome.FAILED, Outcome.PENDING})

#: The site rounds sizes to KiB: they may differ by less than this many bytes.
_ROUNDING = 1024

#: Columns that a local file takes from the crawled one. Downloads and likes are not among them, so that
#: sums do not count them twice.
_COPIED = (
    "page_url",
    "model_name",
    "version_name",
    "creator",
    "model_type",
    "base_model",
    "model_tags",
    "trained_words",
    "nsfw",
    "nsfw_level",
    "published_at",
)

#: Bytes after the header; NULL where no header is stored or the length of the file is unknown.
_WEIGHT_BYTES = (headers.c.file_bytes - headers.c.length).label("weight_bytes")

_OWN = (
    sa.select(
        local_files,
        loras.c.sha256,
        loras.c.autov3,
        models.c.name,
        headers.c.length.label("header_bytes"),
        _WEIGHT_BYTES,
        *(loras.c[name] for name in _COPIED),
    )
    .join(loras, loras.c.file_id == local_files.c.file_id)
    .join(models, models.c.model_id == loras.c.model_id)
    .outerjoin(headers, headers.c.file_id == local_files.c.file_id)
)

_MATCH = (
    sa.update(local_files)
    .where(local_files.c.file_id == sa.bindparam("own_id"))
    .values(matched_file_id=sa.bindparam("other_id"), matched_by=sa.bindparam("shown_by"))
)

#: It sets the columns of the rows that it is executed with.
_DESCRIBE = sa.update(loras).where(loras.c.file_id == sa.bindparam("own_id"))


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


class MatchedBy(StrEnum):
    """The proofs that two files are the same, the most reliable first."""

    #: The hash of the whole file.
    SHA256 = "sha256"
    #: The hash of everything after the header: the metadata may have been edited.
    AUTOV3 = "autov3"
    #: The hash of the weights that the header claims, and the same length of the weights in bytes.
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Matches:
    """The result of matching.

    Attributes:
        by: Id of a local file -> the proof; files without a match are left out.
        changed: Number of rows of `loras` that were changed.
    """

    by: Mapping[int, MatchedBy]
    changed: int


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
        row["path"]: KnownFile(**row | {"outcome": Outcome(row["outcome"])})
        for row in map(dict, connection.execute(statement).mappings())
    }


def next_local_id(connection: sa.Connection) -> int:
    """A negative id below all stored ids. All ids below it are free too."""
    columns = (loras.c.file_id, versions.c.version_id, models.c.model_id)
    lowest = [connection.execute(sa.select(sa.func.min(column))).scalar() for column in columns]
    return min(0, *(number or 0 for number in lowest)) - 1


def store_local(connection: sa.Connection, read: Sequence[LocalResult], *, now: datetime) -> None:
    """Store files that were read, in the caller's transaction. None of them stays pending.

    A known file is updated. If it could not be read, the values from its header stay.
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
    # Only the site gives these.
    cleared = sa.update(loras).values(version_name=None, model_tags=None, trained_words=None)
    for some in slices(ids):
        connection.execute(cleared.where(loras.c.file_id.in_(some)))
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
    """Mark files that no longer exist. The values from their headers stay."""
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


def _hash_columns(hashes: FileHashes) -> dict[str, Any]:
    weights = hashes.weights
    return {
        "sha256": hashes.sha256,
        "autov2": hashes.sha256[:AUTOV2_DIGITS],
        "autov3": weights[:AUTOV3_DIGITS] if weights else None,
    }


def match_local_files(connection: sa.Connection) -> Matches:
    """Find the crawled file of every local file and copy the site's data about it.

    Of several matches the most reliable one is taken, then the one with the smallest id, which was
    uploaded first. A file that no longer matches gets its own name back.
    """
    own = connection.execute(_OWN).all()
    found = _matches(connection, own)
    copied_from = _copied(connection, {crawled_id for crawled_id, _ in found.values()})
    matched: list[dict[str, Any]] = []
    described: list[dict[str, Any]] = []
    for row in own:
        crawled_id, by = found.get(row.file_id, (None, None))
        if (crawled_id, by) != (row.matched_file_id, row.matched_by):
            matched.append({"own_id": row.file_id, "other_id": crawled_id, "shown_by": by})
        plain: dict[str, Any] = dict.fromkeys(_COPIED) | {"model_name": row.name}
        copied = plain if crawled_id is None else copied_from[crawled_id]
        if any(copied[name] != getattr(row, name) for name in _COPIED):
            described.append({"own_id": row.file_id} | copied)
    if matched:
        connection.execute(_MATCH, matched)
    if described:
        connection.execute(_DESCRIBE, described)
    return Matches({file_id: by for file_id, (_, by) in found.items()}, len(described))


def to_be_hashed(connection: sa.Connection, file_ids: Collection[int]) -> dict[int, int | None]:
    """The local files among `file_ids` that must be hashed to find out whether they are crawled ones.

    These are as long as a crawled file of known SHA-256, have not been hashed, and have no plausible
    hash in the header. Different files of equal length are rare, since their headers differ too.

    Returns:
        Their ids, each with the length of its header in bytes, None without a sound header.
    """
    own = connection.execute(_OWN.where(loras.c.sha256.is_(None))).all()
    matched = _matches(connection, own)
    unmatched = [row for row in own if row.file_id in file_ids and row.file_id not in matched]
    lengths = _crawled_lengths(connection, {row.size_bytes for row in unmatched})
    return {row.file_id: row.header_bytes for row in unmatched if row.size_bytes in lengths}


def _crawled_lengths(connection: sa.Connection, lengths: Collection[int]) -> set[int]:
    """The lengths, in bytes, among these that some crawled file has."""
    known = (loras.c.site != SITE) & loras.c.sha256.is_not(None)
    listed = sa.select(loras.c.size_bytes).where(known)
    read = (
        sa.select(headers.c.file_bytes)
        .join(loras, loras.c.file_id == headers.c.file_id)
        .where(known)
    )
    found: set[int] = set()
    for some in slices(sorted(lengths)):
        found.update(connection.scalars(listed.where(loras.c.size_bytes.in_(some))))
        found.update(connection.scalars(read.where(headers.c.file_bytes.in_(some))))
    return found


def _matches(
    connection: sa.Connection, own: Sequence[sa.Row[Any]]
) -> dict[int, tuple[int, MatchedBy]]:
    """The id of the best matching crawled file and the proof, by the id of the local file."""
    by_sha256 = _crawled(connection, "sha256", {row.sha256 for row in own if row.sha256})
    weights = {
        row.file_id: row.autov3 or (row.claimed_weights or "")[:AUTOV3_DIGITS] for row in own
    }
    by_autov3 = _crawled(connection, "autov3", {autov3 for autov3 in weights.values() if autov3})
    found: dict[int, tuple[int, MatchedBy]] = {}
    for row in own:
        if same_file := by_sha256.get(row.sha256):
            found[row.file_id] = (same_file[0].file_id, MatchedBy.SHA256)
            continue
        by = MatchedBy.AUTOV3 if row.autov3 else MatchedBy.HEADER
        for crawled in by_autov3.get(weights[row.file_id], []):
            if by is MatchedBy.AUTOV3 or _as_long(row, crawled):
                found[row.file_id] = (crawled.file_id, by)
                break
    return found


def _as_long(row: sa.Row[Any], crawled: sa.Row[Any]) -> bool:
    """Whether a claimed hash is plausible: it stays in the metadata when the weights are changed.

    The weights must be as long as those of the crawled file, or, where its header has not been read,
    the whole files must be equally long.
    """
    if row.weight_bytes is not None and crawled.weight_bytes is not None:
        return bool(row.weight_bytes == crawled.weight_bytes)
    if crawled.size_bytes is None:
        return False
    return bool(abs(row.size_bytes - crawled.size_bytes) < _ROUNDING)


def _crawled(
    connection: sa.Connection, column: str, hashes: Collection[str]
) -> dict[str | None, list[sa.Row[Any]]]:
    """Crawled files by the value of a hash column, the smallest id first."""
    statement: sa.Select[Any] = (
        sa.select(loras.c.file_id, loras.c.size_bytes, loras.c[column].label("key"), _WEIGHT_BYTES)
        .outerjoin(headers, headers.c.file_id == loras.c.file_id)
        .where(loras.c.site != SITE)
        .order_by(loras.c.file_id)
    )
    found: dict[str | None, list[sa.Row[Any]]] = {}
    for some in slices(sorted(hashes)):
        for row in connection.execute(statement.where(loras.c[column].in_(some))):
            found.setdefault(row.key, []).append(row)
    return found


def _copied(connection: sa.Connection, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    statement = sa.select(loras.c.file_id, *(loras.c[name] for name in _COPIED))
    copied: dict[int, dict[str, Any]] = {}
    for some in slices(sorted(ids)):
        for row in connection.execute(statement.where(loras.c.file_id.in_(some))).mappings():
            copied[row["file_id"]] = {name: row[name] for name in _COPIED}
    return copied
