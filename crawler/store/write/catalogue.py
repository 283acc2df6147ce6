"""What a site lists, stored: models, versions, and their files as pending."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from crawler.store.write.removed_models import mark_dropped_files
from crawler.store.write.upserts import insert_new, slices, upsert

#: Characters of a base model's name, or `loras` leaves it out: PostgreSQL cannot index a text of
#: 2,700 bytes. Real ones have 25 at most.
MAX_BASE_MODEL = 200

#: What may be indexed as a hash; `loras` leaves out anything else that a site calls one.
_HASH = re.compile("[0-9A-Fa-f]{1,64}")

#: Outcomes that are the version's and not the bytes': a file that is replaced keeps them.
_REFUSALS = frozenset(
    {
        Outcome.LOGIN_REQUIRED,
        Outcome.EARLY_ACCESS,
        Outcome.DOWNLOADS_DISABLED,
        Outcome.FORBIDDEN,
        Outcome.ARCHIVED,
    }
)

#: The type of the files that hold weights, as Civitai names it.
_WEIGHTS_TYPE = "Model"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a page brought.

    Attributes:
        new: Files that were not known before, by the outcome that they begin with.
        replaced: Known files with other bytes than before that are pending again.
    """

    new: Counter[Outcome]
    replaced: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file where it was listed."""

    model: Model
    version: Version
    file: File


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of a file that is listed again."""

    version_id: int
    outcome: str
    sha256: str | None
    size_bytes: int | None


def store_files(
    connection: sa.Connection,
    models: Sequence[Model],
    *,
    site: str,
    origin: str,
    primary_only: bool,
    now: datetime,
) -> Stored:
    """Insert the files that are new and bring up to date what the site says of the others.

    New and replaced ones are pending, or `not_safetensors` where the name says so.

    Args:
        connection: In the caller's transaction.
        models: Stored already.
        site: As in `store_page`.
        origin: As in `store_page`.
        primary_only: As in `store_page`.
        now: When they were listed.
    """
    by_file: dict[int, list[_Listed]] = {}
    for listed in _files(models):
        by_file.setdefault(listed.file.file_id, []).append(listed)
    before = _stored(connection, list(by_file))
    offered = _offered_first(models)
    new: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    replaced: list[dict[str, Any]] = []
    for file_id, places in by_file.items():
        if file_id in before:
            # Listed under other versions only, it is not described: it stays where it is.
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
    mark_dropped_files(connection, models, by_file.keys(), now)
    return Stored(
        new=Counter(row["outcome"] for row in new),
        replaced=sum(row["outcome"] is Outcome.PENDING for row in replaced),
    )


#: The end of early access is kept where a list no longer tells it.
_REFRESH = (
    sa.update(loras)
    .where(loras.c.file_id == sa.bindparam("known_id"))
    .values(
        early_access_until=sa.func.coalesce(
            sa.bindparam("listed_early_access", type_=UtcTime()), loras.c.early_access_until
        )
    )
)


#: The columns are those of the rows that it is executed with.
_REPLACE = (
    sa.update(loras).where(loras.c.file_id == sa.bindparam("replaced_id")).values(next_try_at=None)
)


def _files(models: Sequence[Model]) -> Iterator[_Listed]:
    for model in models:
        for version in model.versions:
            for file in version.files:
                yield _Listed(model, version, file)


def _stored(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, _Known]:
    """What is known of every one of these files that is stored."""
    columns = (loras.c.version_id, loras.c.outcome, loras.c.sha256, loras.c.size_bytes)
    return {
        file_id: _Known(*known)
        for ids in slices(file_ids)
        for file_id, *known in connection.execute(
            sa.select(loras.c.file_id, *columns).where(loras.c.file_id.in_(ids))
        )
    }


def _is_replaced(stored: _Known, file: File) -> bool:
    """Whether the site lists other bytes under an id than it did; a hash says more than a size."""
    if stored.outcome == Outcome.PENDING or stored.outcome in _REFUSALS:
        return False
    sha256 = _hash(file.sha256)
    if stored.sha256 is not None and sha256 is not None:
        return stored.sha256 != sha256
    if stored.size_bytes is not None and file.size_bytes is not None:
        return stored.size_bytes != file.size_bytes
    return False


def _offered_first(models: Sequence[Model]) -> set[int]:
    """One file of each version: the primary one, else the first that holds weights."""
    offered: set[int] = set()
    for model in models:
        for version in model.versions:
            primary = [file for file in version.files if file.is_primary]
            weights = [file for file in version.files if file.type == _WEIGHTS_TYPE]
            offered |= {file.file_id for file in (primary or weights)[:1]}
    return offered


def _new_row(place: _Listed, site: str, origin: str) -> dict[str, Any]:
    row = _description(place, origin)
    return row | {
        "file_id": place.file.file_id,
        "version_id": place.version.version_id,
        "site": site,
        "early_access_until": row.pop("listed_early_access"),
        "attempts": 0,
    } | _beginning(place.file)  # fmt: skip


def _beginning(file: File) -> dict[str, Any]:
    """How a file stands before anything of it was read."""
    reason = why_not_safetensors(file.name, file.format)
    return {"outcome": Outcome.NOT_SAFETENSORS if reason else Outcome.PENDING, "reason": reason}


def _description(place: _Listed, origin: str) -> dict[str, Any]:
    """What the site says of a file, as columns."""
    model, version, file = place.model, place.version, place.file
    base_model = version.base_model
    page = f"/models/{model.model_id}?modelVersionId={version.version_id}"
    return {
        "model_id": model.model_id,
        # What lies on this machine has no page.
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
    """Store a piece of a walk; the caller's transaction makes it one with its cursors.

    A file that is known keeps its outcome and what its header said; what the site says of it is
    brought up to date. One that was replaced, whose SHA-256 or size is another, is pending again. One
    that its version no longer has is gone. A file that is listed under several versions stays with
    the one that first brought it.

    Args:
        connection: In the caller's transaction.
        models: In the order of the list; may be empty, and may name one twice.
        site: `civitai` or `local`.
        origin: The API's address, with which the address of a model's page begins.
        walk: The key of the walk, under which its cursors and the models it met are kept.
        pass_number: The pass of the walk in which it met them.
        cursors: By maturity pass; true once this is stored.
        primary_only: Leave out new files that the site does not offer first.
        now: When they were listed.

    Returns:
        How many files were new, and how many replaced.
    """
    distinct = list({model.model_id: model for model in models}.values())
    moved = _moved_statistics(connection, distinct, now)
    seen = {"first_seen_at": now, "last_seen_at": now, "gone_at": None}
    model_rows = [_model_row(model) | {"site": site} | seen for model in distinct]
    upsert(connection, tables.models, model_rows, keep=("first_seen_at",))
    upsert(connection, tables.stat_history, moved)
    version_rows = {
        version.version_id: _version_row(model, version) | seen
        for model in distinct
        for version in model.versions
    }
    upsert(connection, tables.versions, list(version_rows.values()), keep=("first_seen_at",))
    stored = store_files(
        connection, distinct, site=site, origin=origin, primary_only=primary_only, now=now
    )
    met = [{"walk": walk, "model_id": model.model_id, "lap": pass_number} for model in distinct]
    upsert(connection, tables.walk_models, met)
    store_cursors(connection, walk, cursors, now)
    return stored


def _moved_statistics(
    connection: sa.Connection, models: Sequence[Model], now: datetime
) -> list[dict[str, Any]]:
    """A row of history for every model whose numbers differ from those that are stored.

    A model that shows no numbers, as a local one, begins without a row.
    """
    table = tables.models
    before: dict[int, tuple[int | None, int | None]] = {}
    for ids in slices([model.model_id for model in models]):
        rows = connection.execute(
            sa.select(table.c.model_id, table.c.downloads, table.c.likes).where(
                table.c.model_id.in_(ids)
            )
        )
        before |= {model_id: (downloads, likes) for model_id, downloads, likes in rows}
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


def _model_row(model: Model) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "name": model.name,
        "type": model.type,
        "creator": model.creator,
        "tags": model.tags,
        "nsfw": model.nsfw,
        "nsfw_level": model.nsfw_level,
        "downloads": model.downloads,
        "likes": model.likes,
        "mode": model.mode,
        "body": model.body,
    }


def _version_row(model: Model, version: Version) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "model_id": model.model_id,
        "name": version.name,
        "base_model": version.base_model,
        "published_at": version.published_at,
        "early_access_until": version.early_access_until,
        "trained_words": version.trained_words,
        "nsfw_level": version.nsfw_level,
        "downloads": version.downloads,
        "likes": version.likes,
        "body": version.body,
    }
