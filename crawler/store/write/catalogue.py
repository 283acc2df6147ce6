"""Store what a site lists: models, versions, and their files as pending."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crawler.model import File, Model, Outcome, Version
from crawler.model.catalogue import CursorState, likes_per_month
from crawler.model.outcome import FROM_BYTES
from crawler.model.site import page_url
from crawler.safetensors.sniff import why_not_safetensors
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.store.write.crawls import store_cursors
from crawler.store.write.removed_models import is_believed
from crawler.store.write.upserts import as_row, insert_new, slices, update_rows, upsert

#: Characters of the name of a base model or a creator. Longer names are stored as NULL, because
#: PostgreSQL cannot index a text of 2,700 bytes. Real names are far shorter.
MAX_NAME = 200

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

#: Civitai's types of files that are no LoRA: what belongs to it, and parts of its base model. Unknown
#: types are read, as a new type may be a LoRA.
OTHER_TYPES = frozenset(
    (
        *(
            "Training Data",
            "Config",
            "Archive",
            "Workflow",
            "VAE",
            "Text Encoder",
            "Vision Encoder",
        ),
        *("CLIPVision", "UNet", "Diffusion Model", "ControlNet", "Upscaler"),
    )
)


@dataclass(frozen=True, slots=True)
class Stored:
    """The changes by a page.

    Attributes:
        new: New files, by their first outcome.
        replaced: Known files that are pending again because the site lists other bytes.
        reopened: Known files that were not read, and are pending again because they moved to another
            version.
        dropped: Files marked as gone, because their versions no longer list them.
        doubted: Files that their versions no longer list, too many on one page to be credible.
    """

    new: Counter[Outcome]
    replaced: int
    reopened: int
    dropped: int = 0
    doubted: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A file with the version and model that list it, and the likes per month of the model."""

    model: Model
    version: Version
    file: File
    monthly: float | None


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
    no longer lists it, unless more than half of a page's files are. If another version lists it, it
    moves there, and is pending again if it was not read. A file of several versions belongs to the one
    that its download URL names.

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
        version.version_id: as_row(version, "files", "is_gated")
        | {"model_id": model.model_id}
        | seen
        for model in distinct
        for version in model.versions
    }
    upsert(connection, tables.versions, list(version_rows.values()), keep=("first_seen_at",))
    listed_at = {model.model_id: now for model in distinct}
    monthly = likes_per_month_of(connection, distinct, listed_at)
    stored = _store_files(connection, distinct, monthly, site, origin, primary_only=primary_only)
    dropped, doubted = _mark_dropped_files(connection, distinct, now)
    listed = [{"walk": walk, "model_id": model.model_id, "lap": pass_number} for model in distinct]
    upsert(connection, tables.walk_models, listed)
    store_cursors(connection, walk, cursors, now)
    return replace(stored, dropped=dropped, doubted=doubted)


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


def likes_per_month_of(
    connection: sa.Connection, models: Sequence[Model], listed_at: Mapping[int, datetime]
) -> dict[int, float | None]:
    """The likes per month of each model, from the first of its stored versions to when it was listed.

    Days are counted by their dates, so that two listings on one day give the same.
    """
    table = tables.versions
    first = sa.select(table.c.model_id, sa.func.min(table.c.published_at)).group_by(
        table.c.model_id
    )
    ages: dict[int, timedelta] = {}
    for ids in slices([model.model_id for model in models]):
        for model_id, since in connection.execute(first.where(table.c.model_id.in_(ids))):
            if since is not None:
                ages[model_id] = listed_at[model_id].date() - since.date()
    return {
        model.model_id: likes_per_month(model.likes, ages.get(model.model_id)) for model in models
    }


def _store_files(
    connection: sa.Connection,
    models: Sequence[Model],
    monthly: Mapping[int, float | None],
    site: str,
    origin: str,
    *,
    primary_only: bool,
) -> Stored:
    """Insert the new files and update the site's data about the others.

    New and replaced files are pending, or `not_safetensors` if they are never requested.
    """
    by_file: dict[int, list[Listed]] = {}
    versions = [(model, version) for model in models for version in model.versions]
    for model, version in versions:
        for file in version.files:
            place = Listed(model, version, file, monthly[model.model_id])
            by_file.setdefault(file.file_id, []).append(place)
    before = _stored(connection, list(by_file))
    offered = _offered_first(models)
    new: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    pending: Counter[bool] = Counter()
    for file_id, places in by_file.items():
        stored = before.get(file_id)
        home = _home(places, stored)
        if stored is None or home is None:
            if home is not None and (not primary_only or file_id in offered):
                new.append(new_row(home, site, origin))
            continue
        known.append({"file_id": file_id} | description(home, origin))
        replaced = is_replaced(stored, home.file)
        if replaced or has_hope(stored, home):
            begun = beginning(home.file)
            again.append({"file_id": file_id, "next_try_at": None} | begun)
            pending[replaced] += begun["outcome"] is Outcome.PENDING
    insert_new(connection, loras, new)
    update_rows(connection, loras, known, REFRESHED)
    update_rows(connection, loras, again)
    return Stored(
        new=Counter(row["outcome"] for row in new),
        replaced=pending[True],
        reopened=pending[False],
    )


def _home(places: Sequence[Listed], stored: sa.Row[Any] | None) -> Listed | None:
    """Where a file belongs; None for a known file whose version is not among the places.

    That is the version that its download URL names. A version may also list the file of another one.
    """
    known = None if stored is None else stored.version_id
    named = [place for place in places if place.file.version_id == place.version.version_id]
    for place in reversed(named or places):
        if place.version.version_id == known:
            return place
    stays = known is not None and any(place.file.version_id == known for place in places)
    return None if stays and not named else (named or places)[0]


def has_hope(stored: sa.Row[Any], place: Listed) -> bool:
    """Whether a known file without other bytes begins again.

    It does if it was not read and another version lists it now, which may give it; if it was in early
    access without a known end and is listed as open; and if it is pending but not to be requested.
    """
    if stored.outcome == Outcome.PENDING:
        return why_not_requested(place.file) is not None
    if stored.outcome == Outcome.EARLY_ACCESS and stored.early_access_until is None:
        return not place.version.is_gated
    moved = stored.version_id != place.version.version_id
    return moved and stored.outcome not in FROM_BYTES


#: A known end of early access stays if the list no longer gives one.
REFRESHED = (("early_access_until", lambda old, listed: sa.func.coalesce(listed, old)),)


def _stored(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """The stored ones among these files, by id. Nobody else changes them before the page is stored."""
    names = ("file_id", "version_id", "outcome", "early_access_until", "sha256", "size_bytes")
    statement = sa.select(*(loras.c[name] for name in names))
    statement = statement.order_by(loras.c.file_id).with_for_update()
    return {
        row.file_id: row
        for ids in slices(file_ids)
        for row in connection.execute(statement.where(loras.c.file_id.in_(ids)))
    }


def is_replaced(stored: sa.Row[Any], file: File) -> bool:
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


def new_row(place: Listed, site: str, origin: str) -> dict[str, Any]:
    """The row of a file that was not known before it was listed."""
    row = description(place, origin)
    begun = {"file_id": place.file.file_id, "site": site, "attempts": 0}
    return row | begun | beginning(place.file)


def beginning(file: File) -> dict[str, Any]:
    """The columns `outcome` and `reason` of a file before it is read."""
    reason = why_not_requested(file)
    return {"outcome": Outcome.NOT_SAFETENSORS if reason else Outcome.PENDING, "reason": reason}


def why_not_requested(file: File) -> str | None:
    """Why a file is recorded but never requested, in words; None if it is."""
    reason = why_not_safetensors(file.name, file.format)
    if reason is None and file.type in OTHER_TYPES:
        return f"no LoRA: the site calls its type {file.type}"
    return reason


def _indexable(name: str | None) -> str | None:
    return name if name is None or len(name) <= MAX_NAME else None


def description(place: Listed, origin: str) -> dict[str, Any]:
    """The columns with values from the site."""
    model, version, file = place.model, place.version, place.file
    base_model = version.base_model
    page = page_url(
        origin,
        model.model_id,
        version.version_id,
        nsfw=model.nsfw,
        nsfw_level=model.nsfw_level,
    )
    return {
        "version_id": version.version_id,
        "model_id": model.model_id,
        "page_url": page,
        "model_name": model.name,
        "version_name": version.name,
        "creator": _indexable(model.creator),
        "model_type": model.type,
        "base_model": _indexable(base_model or None),
        "model_tags": model.tags,
        "trained_words": version.trained_words,
        "nsfw": model.nsfw,
        "nsfw_level": model.nsfw_level,
        "published_at": version.published_at,
        "early_access_until": version.early_access_until,
        "downloads": model.downloads,
        "likes": model.likes,
        "likes_per_month": place.monthly,
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


def _mark_dropped_files(
    connection: sa.Connection, models: Sequence[Model], now: datetime
) -> tuple[int, int]:
    """Mark the files that their versions no longer list; returns how many are, and how many are not.

    If most of the page's files are missing, that is taken for a fault of the site, and nothing is
    marked. Versions listed without any file are skipped: the site leaves out the files of archived
    models.
    """
    versions = [version for model in models for version in model.versions if version.files]
    listed = {file.file_id for version in versions for file in version.files}
    stored = sa.select(loras.c.file_id).where(loras.c.gone_at.is_(None))
    known = [
        file_id
        for ids in slices([version.version_id for version in versions])
        for file_id in connection.execute(stored.where(loras.c.version_id.in_(ids))).scalars()
    ]
    gone = [file_id for file_id in known if file_id not in listed]
    if not is_believed(len(gone), len(known)):
        return 0, len(gone)
    for ids in slices(gone):
        connection.execute(sa.update(loras).where(loras.c.file_id.in_(ids)).values(gone_at=now))
    return len(gone), 0
