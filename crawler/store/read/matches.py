"""Match local files with crawled ones: by a hash of their bytes, or by a plausible hash in the header."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from crawler.store.schema.tables import headers, local_files, loras, models
from crawler.store.write.local_files import AUTOV3_DIGITS, SITE
from crawler.store.write.upserts import slices

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


class MatchedBy(StrEnum):
    """What shows that two files are the same, the most reliable first."""

    #: The hash of the whole file.
    SHA256 = "sha256"
    #: The hash of everything after the header: the metadata may have been edited.
    AUTOV3 = "autov3"
    #: The hash of the weights that the header claims, and the same number of bytes of weights.
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Matches:
    """The result of matching.

    Attributes:
        by: Id of a local file -> what shows its match; files without a match are left out.
        changed: Number of rows of `loras` that were changed.
    """

    by: Mapping[int, MatchedBy]
    changed: int


@dataclass(frozen=True, slots=True)
class _Match:
    crawled_id: int
    by: MatchedBy


def match_local_files(connection: sa.Connection) -> Matches:
    """Find the crawled file of every local file and copy what the site says about it.

    Of several matches the most reliable one is taken, then the one with the smallest id, which was
    uploaded first. A file without a match any more gets its own name back.
    """
    own = connection.execute(_OWN).all()
    found = _found(connection, own)
    copied_from = _copied(connection, {match.crawled_id for match in found.values()})
    matched: list[dict[str, Any]] = []
    described: list[dict[str, Any]] = []
    for row in own:
        match = found.get(row.file_id)
        pair = (match.crawled_id, match.by.value) if match else (None, None)
        if pair != (row.matched_file_id, row.matched_by):
            matched.append({"own_id": row.file_id, "other_id": pair[0], "shown_by": pair[1]})
        plain: dict[str, Any] = dict.fromkeys(_COPIED) | {"model_name": row.name}
        copied = copied_from[match.crawled_id] if match else plain
        if any(copied[name] != getattr(row, name) for name in _COPIED):
            described.append({"own_id": row.file_id} | copied)
    if matched:
        connection.execute(_MATCH, matched)
    if described:
        connection.execute(_DESCRIBE, described)
    return Matches({file_id: match.by for file_id, match in found.items()}, len(described))


def to_be_hashed(connection: sa.Connection, file_ids: Collection[int]) -> dict[int, int | None]:
    """The local files that must be hashed to find out whether they are crawled ones.

    These are as long as a crawled file of known SHA-256, have not been hashed, and have no plausible
    hash in the header. Different files of equal length are rare, since their headers differ too.

    Args:
        connection: To read from.
        file_ids: The local files to consider.

    Returns:
        Their ids, each with the length of its header in bytes, None without a sound header.
    """
    asked = set(file_ids)
    own = connection.execute(_OWN.where(loras.c.sha256.is_(None))).all()
    known = _found(connection, own)
    open_ones = [row for row in own if row.file_id in asked and row.file_id not in known]
    lengths = _crawled_lengths(connection, {row.size_bytes for row in open_ones})
    return {row.file_id: row.header_bytes for row in open_ones if row.size_bytes in lengths}


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


def _found(connection: sa.Connection, own: Sequence[sa.Row[Any]]) -> dict[int, _Match]:
    by_sha256 = _crawled(connection, "sha256", {row.sha256 for row in own if row.sha256})
    weights = {autov3 for row in own if (autov3 := _autov3(row))}
    by_autov3 = _crawled(connection, "autov3", weights)
    found: dict[int, _Match] = {}
    for row in own:
        ways = _ways(row, by_sha256.get(row.sha256, []), by_autov3.get(_autov3(row), []))
        if (match := next(ways, None)) is not None:
            found[row.file_id] = match
    return found


def _autov3(row: sa.Row[Any]) -> str | None:
    """The computed hash of the weights, or else the one that the header claims."""
    claimed = row.claimed_weights
    return row.autov3 or (claimed[:AUTOV3_DIGITS] if claimed else None)


def _ways(
    row: sa.Row[Any], same_file: Sequence[sa.Row[Any]], same_weights: Sequence[sa.Row[Any]]
) -> Iterator[_Match]:
    """The crawled files that match a local file, the most reliable match first."""
    for crawled in same_file:
        yield _Match(crawled.file_id, MatchedBy.SHA256)
    for crawled in same_weights:
        if row.autov3:
            yield _Match(crawled.file_id, MatchedBy.AUTOV3)
        elif _as_long(row, crawled):
            yield _Match(crawled.file_id, MatchedBy.HEADER)


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
