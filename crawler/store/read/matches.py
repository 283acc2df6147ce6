"""Files on this machine and crawled files that are the same: by their bytes, or by a claim that fits."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from crawler.store.schema.tables import headers, local_files, loras, models
from crawler.store.write.local_files import AUTOV3_DIGITS, SITE
from crawler.store.write.upserts import slices

#: Bytes by which a size may differ that the site has rounded from KiB.
_ROUNDING = 1024

#: What a file here is told of the crawled one. Downloads and likes are those of the page, not of a
#: copy: no sum counts them twice.
_TOLD = (
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

#: Bytes behind the header, None where the header is not stored or the file's length is unknown.
_WEIGHT_BYTES = (headers.c.file_bytes - headers.c.length).label("weight_bytes")

_OWN = (
    sa.select(
        local_files,
        loras.c.sha256,
        loras.c.autov3,
        models.c.name,
        headers.c.length.label("header_bytes"),
        _WEIGHT_BYTES,
        *(loras.c[name] for name in _TOLD),
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

#: The columns are those of the rows that it is executed with.
_DESCRIBE = sa.update(loras).where(loras.c.file_id == sa.bindparam("own_id"))


class MatchedBy(StrEnum):
    """What shows that two files are the same, the surest first."""

    #: Every byte.
    SHA256 = "sha256"
    #: Every byte behind the header, hashed here: the metadata may have been edited.
    AUTOV3 = "autov3"
    #: The hash of the weights that the header claims, and as many bytes of weights.
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Matches:
    """What came of matching.

    Attributes:
        by: By the id of the file here, what shows the match; files without one are left out.
        changed: Rows of `loras` that say something else now.
    """

    by: Mapping[int, MatchedBy]
    changed: int


@dataclass(frozen=True, slots=True)
class _Match:
    crawled_id: int
    by: MatchedBy


def match_local_files(connection: sa.Connection) -> Matches:
    """Find the crawled file of every file on this machine and copy what the site says of it.

    Of several the surest one is taken, then the one with the smallest id, which was uploaded first.
    A file that no longer has one is called by its own name again.
    """
    own = connection.execute(_OWN).all()
    found = _found(connection, own)
    told_by = _told(connection, {match.crawled_id for match in found.values()})
    matched: list[dict[str, Any]] = []
    described: list[dict[str, Any]] = []
    for row in own:
        match = found.get(row.file_id)
        pair = (match.crawled_id, match.by.value) if match else (None, None)
        if pair != (row.matched_file_id, row.matched_by):
            matched.append({"own_id": row.file_id, "other_id": pair[0], "shown_by": pair[1]})
        plain: dict[str, Any] = dict.fromkeys(_TOLD) | {"model_name": row.name}
        told = told_by[match.crawled_id] if match else plain
        if any(told[name] != getattr(row, name) for name in _TOLD):
            described.append({"own_id": row.file_id} | told)
    if matched:
        connection.execute(_MATCH, matched)
    if described:
        connection.execute(_DESCRIBE, described)
    return Matches({file_id: match.by for file_id, match in found.items()}, len(described))


def to_be_hashed(connection: sa.Connection, file_ids: Collection[int]) -> dict[int, int | None]:
    """Files of which only their bytes can tell that they are crawled ones.

    Those are as long as a crawled file of known SHA-256, have not been hashed, and claim no hash that
    fits. Equal lengths are rare among different files, since headers differ in length as well.

    Args:
        connection: Any.
        file_ids: The files in question.

    Returns:
        Their ids, and how many bytes their headers are long, None without a sound one.
    """
    asked = set(file_ids)
    own = connection.execute(_OWN.where(loras.c.sha256.is_(None))).all()
    known = _found(connection, own)
    open_ones = [row for row in own if row.file_id in asked and row.file_id not in known]
    lengths = _crawled_lengths(connection, {row.size_bytes for row in open_ones})
    return {row.file_id: row.header_bytes for row in open_ones if row.size_bytes in lengths}


def _crawled_lengths(connection: sa.Connection, lengths: Collection[int]) -> set[int]:
    """Which of these lengths in bytes a crawled file has."""
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
    """The hash of the weights as it was found, else as the header claims it."""
    claimed = row.claimed_weights
    return row.autov3 or (claimed[:AUTOV3_DIGITS] if claimed else None)


def _ways(
    row: sa.Row[Any], same_file: Sequence[sa.Row[Any]], same_weights: Sequence[sa.Row[Any]]
) -> Iterator[_Match]:
    """The crawled files that a file is, the surest first."""
    for crawled in same_file:
        yield _Match(crawled.file_id, MatchedBy.SHA256)
    for crawled in same_weights:
        if row.autov3:
            yield _Match(crawled.file_id, MatchedBy.AUTOV3)
        elif _as_long(row, crawled):
            yield _Match(crawled.file_id, MatchedBy.HEADER)


def _as_long(row: sa.Row[Any], crawled: sa.Row[Any]) -> bool:
    """Whether a claimed hash can be true: who changes weights and keeps the metadata leaves it there.

    The weights are as long as those of the crawled file, or the whole file is where its header has
    not been read.
    """
    if row.weight_bytes is not None and crawled.weight_bytes is not None:
        return bool(row.weight_bytes == crawled.weight_bytes)
    if crawled.size_bytes is None:
        return False
    return bool(abs(row.size_bytes - crawled.size_bytes) < _ROUNDING)


def _crawled(
    connection: sa.Connection, column: str, hashes: Collection[str]
) -> dict[str | None, list[sa.Row[Any]]]:
    """Crawled files by a hash, the smallest id first."""
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


def _told(connection: sa.Connection, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    statement = sa.select(loras.c.file_id, *(loras.c[name] for name in _TOLD))
    told: dict[int, dict[str, Any]] = {}
    for some in slices(sorted(ids)):
        for row in connection.execute(statement.where(loras.c.file_id.in_(some))).mappings():
            told[row["file_id"]] = {name: row[name] for name in _TOLD}
    return told
