"""The files of listed models, stored in `loras`: new ones to be fetched, known ones described anew."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import File, Model, Outcome, Version
from crawler.store.file_names import why_not_safetensors
from crawler.store.tables import loras
from crawler.store.types import UtcTime
from crawler.store.upserts import insert_new, slices

#: Characters of a base model's name, or `loras` leaves it out: PostgreSQL cannot index a text of
#: 2,700 bytes. Real ones have 25 at most.
MAX_BASE_MODEL = 200

#: What may be indexed as a hash; `loras` leaves out anything else that a site calls one.
_HASH = re.compile("[0-9A-Fa-f]{1,64}")

#: The type of the files that hold weights, as Civitai names it.
_WEIGHTS_TYPE = "Model"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file where it was listed."""

    model: Model
    version: Version
    file: File


def store_files(
    connection: sa.Connection,
    models: Sequence[Model],
    *,
    site: str,
    origin: str,
    primary_only: bool,
) -> Counter[Outcome]:
    """Insert the files that are new and bring up to date what the site says of the others.

    New ones are pending, or `not_safetensors` where the name says so.

    Args:
        connection: In the caller's transaction.
        models: Stored already.
        site: As in `store_page`.
        origin: As in `store_page`.
        primary_only: As in `store_page`.

    Returns:
        How many files were new, by the outcome that they begin with.
    """
    by_file: dict[int, list[_Listed]] = {}
    for listed in _files(models):
        by_file.setdefault(listed.file.file_id, []).append(listed)
    homes = _versions_of(connection, list(by_file))
    offered = _offered_first(models)
    new: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for file_id, places in by_file.items():
        if file_id in homes:
            # Listed under other versions only, it is not described: it stays where it is.
            home = [place for place in places if place.version.version_id == homes[file_id]]
            known += [{"known_id": file_id} | _description(place, origin) for place in home[-1:]]
        elif not primary_only or file_id in offered:
            new.append(_new_row(places[0], site, origin))
    insert_new(connection, loras, new)
    if known:
        connection.execute(_REFRESH, known)
    return Counter(row["outcome"] for row in new)


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


def _files(models: Sequence[Model]) -> Iterator[_Listed]:
    for model in models:
        for version in model.versions:
            for file in version.files:
                yield _Listed(model, version, file)


def _versions_of(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, int]:
    """The version of every one of these files that is stored."""
    homes: dict[int, int] = {}
    for ids in slices(file_ids):
        rows = connection.execute(
            sa.select(loras.c.file_id, loras.c.version_id).where(loras.c.file_id.in_(ids))
        )
        homes |= dict(rows.all())
    return homes


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
    reason = why_not_safetensors(place.file.name, place.file.format)
    return row | {
        "file_id": place.file.file_id,
        "version_id": place.version.version_id,
        "site": site,
        "early_access_until": row.pop("listed_early_access"),
        "outcome": Outcome.NOT_SAFETENSORS if reason else Outcome.PENDING,
        "reason": reason,
        "attempts": 0,
    }


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
