"""What a site lists, stored: models, versions, and their files as pending."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model import Model, Version
from crawler.model.walk import CursorState
from crawler.store.schema import tables
from crawler.store.write.files import Stored, store_files
from crawler.store.write.upserts import slices, upsert


def store_page(
    connection: sa.Connection,
    models: Sequence[Model],
    *,
    site: str,
    origin: str,
    walk: str,
    lap: int,
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
        lap: The lap of the walk in which it met them.
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
    met = [{"walk": walk, "model_id": model.model_id, "lap": lap} for model in distinct]
    upsert(connection, tables.walk_models, met)
    _store_cursors(connection, walk, cursors, now)
    return stored


def _store_cursors(
    connection: sa.Connection, walk: str, cursors: Mapping[str, CursorState], now: datetime
) -> None:
    rows = [
        {
            "walk": walk,
            "maturity": maturity,
            "cursor": state.cursor,
            "lap": state.lap,
            "ended": state.ended,
            "updated_at": now,
            "lap_began_at": state.began_at,
            "refreshing": state.refreshing,
        }
        for maturity, state in cursors.items()
    ]
    upsert(connection, tables.cursors, rows)


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
