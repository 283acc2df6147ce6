"""Everything a crawl writes, each piece inside a transaction of the caller.

Times are handed in, aware and in UTC: the same calls give the same rows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from crawler.errors import UsageError
from crawler.model.catalogue import CursorState
from crawler.store.schema.tables import crawls, cursors, models, walk_models
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.catalogue import store_page
from crawler.store.write.known_bytes import known_contents
from crawler.store.write.pending import count_pending, reopen, retry_failed, take_pending
from crawler.store.write.removed_models import missed, note_gone, note_vanished
from crawler.store.write.results import store_results, tag_id

__all__ = [
    "LOCAL",
    "Connection",
    "begin_crawl",
    "count_pending",
    "count_walk_models",
    "finish_crawl",
    "known_contents",
    "missed",
    "note_gone",
    "note_vanished",
    "read_cursors",
    "refresh_statistics",
    "reopen",
    "retry_failed",
    "store_page",
    "store_results",
    "tag_id",
    "take_pending",
    "walk_model_ids",
]

#: The origin of files on this machine, which any database takes in.
LOCAL = "local"


def begin_crawl(
    connection: Connection,
    *,
    origin: str,
    walk: str,
    now: datetime,
    has_api_key: bool | None = None,
) -> int:
    """Note that a crawl of `origin`, an API in one spelling or LOCAL, begins; returns its number.

    Args:
        connection: In the caller's transaction.
        origin: What is crawled.
        walk: The key of the walk.
        now: When it begins.
        has_api_key: Whether an API key is sent; None where there is no API.

    Raises:
        UsageError: The database was filled from another API.
    """
    filled_from = None if origin == LOCAL else _filled_from(connection)
    if filled_from is not None and filled_from != origin:
        raise UsageError(
            f"this database was filled from {filled_from} and takes nothing from {origin};"
            " give another one with --db"
        )
    row = sa.insert(crawls).values(origin=origin, walk=walk, started_at=now, keyed=has_api_key)
    return int(connection.execute(row.returning(crawls.c.crawl_id)).scalar_one())


def _filled_from(connection: Connection) -> str | None:
    """The API that models were stored from, None before the first model.

    An address that was mistyped has left a crawl behind and no model, so the latest one counts.
    """
    listed = sa.exists().where(models.c.site != LOCAL)
    latest = (
        sa.select(crawls.c.origin)
        .where(crawls.c.origin != LOCAL, listed)
        .order_by(crawls.c.crawl_id.desc())
        .limit(1)
    )
    return connection.execute(latest).scalar()


def finish_crawl(
    connection: Connection,
    crawl_id: int,
    *,
    ending: str,
    summary: Mapping[str, Any],
    now: datetime,
    go_on_at: datetime | None = None,
) -> None:
    """Note how a crawl ended: `done` or why it stopped, its counts, and when it may go on."""
    connection.execute(
        sa.update(crawls)
        .where(crawls.c.crawl_id == crawl_id)
        .values(ending=ending, summary=summary, finished_at=now, go_on_at=go_on_at)
    )


def read_cursors(connection: Connection, walk: str) -> dict[str, CursorState]:
    """Where each maturity pass of a walk goes on; empty before its first page."""
    rows = connection.execute(
        sa.select(cursors).where(cursors.c.walk == walk).order_by(cursors.c.maturity)
    )
    return {
        row.maturity: CursorState(
            cursor=row.cursor,
            pass_number=row.lap,
            ended=row.ended,
            began_at=row.lap_began_at,
            refreshing=bool(row.refreshing),
        )
        for row in rows
    }


def walk_model_ids(connection: Connection, walk: str, pass_number: int) -> set[int]:
    """The models that a walk has met in this pass."""
    return set(connection.execute(_met(walk, pass_number)).scalars())


def count_walk_models(connection: Connection, walk: str, pass_number: int) -> int:
    """How many models a walk has met in this pass."""
    met = _met(walk, pass_number).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(met)).scalar_one()


def _met(walk: str, pass_number: int) -> sa.Select[int]:
    return sa.select(walk_models.c.model_id).where(
        walk_models.c.walk == walk, walk_models.c.lap == pass_number
    )
