"""The rows of a crawl itself: its entry in `crawls`, its cursors, and the models that it listed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.catalogue import CursorState
from crawler.store.schema.tables import crawls, cursors, models, walk_models
from crawler.store.write.upserts import upsert

#: The origin of a scan of local files. Every database accepts it.
LOCAL = "local"


def begin_crawl(
    connection: sa.Connection,
    *,
    origin: str,
    walk: str,
    now: datetime,
    has_api_key: bool | None = None,
) -> int:
    """Record that a crawl begins, in the caller's transaction; returns its number.

    Args:
        connection: The database.
        origin: The URL of the API, or LOCAL.
        walk: The key of the walk.
        now: When it begins.
        has_api_key: Whether an API key is sent; None when there is no API.

    Raises:
        UsageError: The database was filled from another API.
    """
    known = None if origin == LOCAL else filled_from(connection)
    if known is not None and known != origin:
        raise UsageError(
            f"this database was filled from {known} and does not accept files from {origin};"
            " choose another database with --db"
        )
    row = sa.insert(crawls).values(origin=origin, walk=walk, started_at=now, keyed=has_api_key)
    return int(connection.execute(row.returning(crawls.c.crawl_id)).scalar_one())


def filled_from(connection: sa.Connection) -> str | None:
    """The API that the stored models come from; None before the first model.

    A crawl with a mistyped URL stores no model, so the latest crawl of a database with models counts.
    """
    has_models = sa.exists().where(models.c.site != LOCAL)
    latest = (
        sa.select(crawls.c.origin)
        .where(crawls.c.origin != LOCAL, has_models)
        .order_by(crawls.c.crawl_id.desc())
        .limit(1)
    )
    return connection.execute(latest).scalar()


def finish_crawl(
    connection: sa.Connection,
    crawl_id: int,
    *,
    ending: str,
    summary: Mapping[str, Any],
    now: datetime,
    go_on_at: datetime | None = None,
) -> None:
    """Record how a crawl ended: `done` or why it stopped, its counts, and when it may go on."""
    connection.execute(
        sa.update(crawls)
        .where(crawls.c.crawl_id == crawl_id)
        .values(ending=printable(ending), summary=summary, finished_at=now, go_on_at=go_on_at)
    )


def printable(text: str) -> str:
    """Text that controls no terminal, since it may quote an answer of the site."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def read_cursors(connection: sa.Connection, walk: str) -> dict[str, CursorState]:
    """Where each maturity pass of a walk continues; empty before its first page."""
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


def store_cursors(
    connection: sa.Connection, walk: str, states: Mapping[str, CursorState], now: datetime
) -> None:
    """Store where each maturity pass of a walk continues, in the caller's transaction."""
    rows = [
        {
            "walk": walk,
            "maturity": maturity,
            "cursor": state.cursor,
            "lap": state.pass_number,
            "ended": state.ended,
            "updated_at": now,
            "lap_began_at": state.began_at,
            "refreshing": state.refreshing,
        }
        for maturity, state in states.items()
    ]
    upsert(connection, cursors, rows)


def walk_model_ids(connection: sa.Connection, walk: str, pass_number: int) -> set[int]:
    """The models that a walk has listed in this pass."""
    listed = sa.select(walk_models.c.model_id).where(
        walk_models.c.walk == walk, walk_models.c.lap == pass_number
    )
    return set(connection.execute(listed).scalars())
