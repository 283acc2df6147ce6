"""Store what a site lists: models, versions, and their files as pending."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model import File, Model, Outcome, Version
from crawler.model.catalogue import CursorState
from crawler.safetensors.sniff import why_not_safetensors
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.store.schema.types import UtcTime
from crawler.store.write.crawls import store_cursors
from crawler.store.write.upserts import as_row, insert_new, slices, upsert

#: Characters of a base model's name. Longer names are stored as NULL, because PostgreSQL cannot index
#: a text of 2,700 bytes. Real names have at most 25.
MAX_BASE_MODEL = 200

#: The form of a hash. Anything else that a site calls a hash is stored as NULL.
_HASH = re.compile("[0-9A-Fa-f]{1,64}")

#: Outcomes that depend on the version, not on the bytes. A replaced file keeps them.
_REFUSALS = frozenset(
    {
        Outcome.LOGIN_REQUIRED,
        Outcome.EARLY_ACCESS,
        Outcome.DOWNLOADS_DISABLED,
        Outcome.FORBIDDEN,
        Outcome.ARCHIVED,
    }
)

#: Civitai's type of files with weights.
_WEIGHTS_TYPE = "Model"


@dataclass(frozen=True, slots=True)
class Stored:
    """The changes by a page.

    Attributes:
        new: New files, by their first outcome.
        replaced: Known files that are pending again because the site lists other bytes.
    """

    new: Counter[Outcome]
    replaced: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file with the version and model that list it."""

    model: Model
    version: Version
    file: File


def store_page(
    connection: sa.Connection,
    models: Sequence[Model],
    *,
    site: str,
    origin: str,
    walk: str,
    pass_number: int,
    cursors: Mapping[str, CursorState],
    primary_only: bool = False,
    now: datetime,
) -> Stored:
    """Store a page of a walk with its cursors, in the caller's transaction.

    A known file keeps its outcome and its header; only the site's data about it is updated. It is
    pending again if it was replaced: the site lists another SHA-256 or size. It is gone if its version
    no longer lists it. A file of several versions stays with the version that listed it first.

    Args:
        connection: The database.
        models: In the order of the list. May be empty, and may contain a model twice.
        site: `civitai` or `local`.
        origin: The URL of the API; the URLs of model pages begin with it.
        walk: The key of the walk.
        pass_number: The current pass of the walk.
        cursors: Where the walk continues after this page, by maturity pass.
        primary_only: Store new files only if the site offers them first.
        now: When the page was listed.
    """
    distinct = list({model.model_id: model for model in models}.values())
    moved = _moved_statistics(connection, distinct, now)
    seen = {"first_seen_at": now, "last_seen_at": now, "gone_at": None}
    model_rows = [as_row(model, "versions") | {"site": site} | seen for model in distinct]
    upsert(connection, tables.models, model_rows, keep=("first_seen_at",))
    upsert(connection, tables.stat_history, moved)
    version_rows = {
        version.version_id: as_row(version, "files") | {"model_id": model.model_id} | seen
        for model in distinct
        for version in model.versions
    }
    upsert(connection, tables.versions, list(version_rows.values()), keep=("first_seen_at",))
    stored = _store_files(connection, distinct, site, origin, primary_only=primary_only)
    _mark_dropped_files(connection, distinct, now)
    listed = [{"walk": walk, "model_id": model.model_id, "lap": pass_number} for model in distinct]
    upsert(connection, tables.walk_models, listed)
    store_cursors(connection, walk, cursors, now)
    return stored


def _moved_statistics(
    connection: sa.Connection, models: Sequence[Model], now: datetime
) -> list[dict[str, Any]]:
    """A row of `stat_history` for each model whose numbers changed.

    A new model without numbers, such as a local file, gets no row.
    """
    table = tables.models
    numbers = sa.select(table.c.model_id, table.c.downloads, table.c.likes)
    before: dict[int, tuple[int | None, int | None]] = {}
    for ids in slices([model.model_id for model in models]):
        for row in connection.execute(numbers.where(table.c.model_id.in_(ids))):
            before[row.model_id] = (row.downloads, row.likes)
    return [
        {
            "model_id": model.model_id,
            "seen_at": now,
            "downloads": model.downloads,
            "likes": model.likes,
        }
        for model in models
        if before.get(model.model_id, (None, None)) != (model.downloads, model.likes)
    ]


def _store_files(
    connection: sa.Connection,
    models: Sequence[Model],
    site: str,
    origin: str,
    *,
    primary_only: bool,
) -> Stored:
    """Insert the new files and update the site's data about the others.

    New and replaced files are pending, or `not_safetensors` if their name says so.
    """
    by_file: dict[int, list[_Listed]] = {}
    versions = [(model, version) for model in models for version in model.versions]
    for model, version in versions:
        for file in version.files:
            by_file.setdefault(file.file_id, []).append(_Listed(model, version, file))
    before = _stored(connection, list(by_file))
    offered = _offered_first(models)
    new: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    replaced: list[dict[str, Any]] = []
    for file_id, places in by_file.items():
        if file_id in before:
            # A known file stays with its version, even if other versions list it too.
            stored = before[file_id]
            home = [place for place in places if place.version.version_id == stored.version_id]
            for place in home[-1:]:
                known.append({"known_id": file_id} | _description(place, origin))
                if _is_replaced(stored, place.file):
                    replaced.append({"replaced_id": file_id} | _beginning(place.file))
        elif not primary_only or file_id in offered:
            new.append(_new_row(places[0], site, origin))
    insert_new(connection, loras, new)
    if known:
        connection.execute(_REFRESH, known)
    if replaced:
        connection.execute(_REPLACE, replaced)
    return Stored(
        new=Counter(row["outcome"] for row in new),
        replaced=sum(row["outcome"] is Outcome.PENDING for row in replaced),
    )


#: A known end of early access stays if the list no longer gives one.
_REFRESH = (
    sa.update(loras)
    .where(loras.c.file_id == sa.bindparam("known_id"))
    .values(
        early_access_until=sa.func.coalesce(
            sa.bindparam("listed_early_access", type_=UtcTime()), loras.c.early_access_until
        )
    )
)


#: The rows that it is executed with give the other columns.
_REPLACE = (
    sa.update(loras).where(loras.c.file_id == sa.bindparam("replaced_id")).values(next_try_at=None)
)


def _stored(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """The stored ones among these files, by id."""
    names = ("file_id", "version_id", "outcome", "sha256", "size_bytes")
    statement = sa.select(*(loras.c[name] for name in names))
    return {
        row.file_id: row
        for ids in slices(file_ids)
        for row in connection.execute(statement.where(loras.c.file_id.in_(ids)))
    }


def _is_replaced(stored: sa.Row[Any], file: File) -> bool:
    """Whether the site now lists other bytes: another hash, or another size if a hash is missing."""
    if stored.outcome == Outcome.PENDING or stored.outcome in _REFUSALS:
        return False
    sha256 = _hash(file.sha256)
    if stored.sha256 is not None and sha256 is not None:
        return bool(stored.sha256 != sha256)
    known_sizes = stored.size_bytes is not None and file.size_bytes is not None
    return bool(known_sizes and stored.size_bytes != file.size_bytes)


def _offered_first(models: Sequence[Model]) -> set[int]:
    """One file of each version: its primary file, or else its first file with weights."""
    offered: set[int] = set()
    for model in models:
        for version in model.versions:
            primary = [file for file in version.files if file.is_primary]
            weights = [file for file in version.files if file.type == _WEIGHTS_TYPE]
            offered |= {file.file_id for file in (primary or weights)[:1]}
    return offered


def _new_row(place: _Listed, site: str, origin: str) -> dict[str, Any]:
    row = _description(place, origin)
    row["early_access_until"] = row.pop("listed_early_access")
    keys = {"file_id": place.file.file_id, "version_id": place.version.version_id}
    return row | keys | {"site": site, "attempts": 0} | _beginning(place.file)


def _beginning(file: File) -> dict[str, Any]:
    """The columns `outcome` and `reason` of a file before it is read."""
    reason = why_not_safetensors(file.name, file.format)
    return {"outcome": Outcome.NOT_SAFETENSORS if reason else Outcome.PENDING, "reason": reason}


def _description(place: _Listed, origin: str) -> dict[str, Any]:
    """The columns with values from the site."""
    model, version, file = place.model, place.version, place.file
    base_model = version.base_model
    page = f"/models/{model.model_id}?modelVersionId={version.version_id}"
    return {
        "model_id": model.model_id,
        # Local files have no page.
        "page_url": f"{origin}{page}" if origin.startswith("http") else None,
        "model_name": model.name,
        "version_name": version.name,
        "creator": model.creator,
        "model_type": model.type,
        "base_model": base_model if base_model and len(base_model) <= MAX_BASE_MODEL else None,
        "model_tags": model.tags,
        "trained_words": version.trained_words,
        "nsfw": model.nsfw,
        "nsfw_level": model.nsfw_level,
        "published_at": version.published_at,
        "listed_early_access": version.early_access_until,
        "downloads": model.downloads,
        "likes": model.likes,
        "file_name": file.name,
        "is_primary": file.is_primary,
        "size_bytes": file.size_bytes,
        "sha256": _hash(file.sha256),
        "autov2": _hash(file.autov2),
        "autov3": _hash(file.autov3),
        "gone_at": None,
    }


def _hash(value: str | None) -> str | None:
    return value.upper() if value and _HASH.fullmatch(value) else None


def _mark_dropped_files(connection: sa.Connection, models: Sequence[Model], now: datetime) -> None:
    """Mark the files that their versions no longer list.

    Versions listed without any file are skipped: the site leaves out the files of archived models.
    """
    versions = [version for model in models for version in model.versions if version.files]
    listed = {file.file_id for version in versions for file in version.files}
    stored = sa.select(loras.c.file_id).where(loras.c.gone_at.is_(None))
    gone = [
        file_id
        for ids in slices([version.version_id for version in versions])
        for file_id in connection.execute(stored.where(loras.c.version_id.in_(ids))).scalars()
        if file_id not in listed
    ]
    for ids in slices(gone):
        connection.execute(sa.update(loras).where(loras.c.file_id.in_(ids)).values(gone_at=now))
