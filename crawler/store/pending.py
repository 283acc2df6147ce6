"""Which files are still to be fetched."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from crawler.model import Outcome, Target
from crawler.store.tables import loras, walk_models

#: Outcomes that a person may want to try again: the network's, and a 404, which Civitai also answers
#: when its storage is in trouble.
RETRIED = (Outcome.FAILED, Outcome.NOT_FOUND)


def take_pending(
    connection: sa.Connection,
    *,
    walk: str | None,
    now: datetime,
    limit: int,
    exclude: Collection[int] = (),
) -> list[Target]:
    """Files to fetch, by id.

    Args:
        connection: May be a reader's.
        walk: Only of models that this walk has met; None for all.
        now: Files that must wait beyond it are left out.
        limit: How many at most.
        exclude: Ids to leave out, as those in flight.
    """
    statement = (
        sa.select(
            loras.c.file_id,
            loras.c.version_id,
            loras.c.file_name,
            loras.c.base_model,
            loras.c.size_bytes,
        )
        .where(_pending(walk), _due(now))
        .order_by(loras.c.file_id)
        # An IN list has a limit; so many rows more do the same.
        .limit(limit + len(exclude))
    )
    rows = [row for row in connection.execute(statement) if row.file_id not in exclude]
    return [
        Target(
            file_id=row.file_id,
            version_id=row.version_id,
            file_name=row.file_name or "",
            base_model=row.base_model,
            size_bytes=row.size_bytes,
        )
        for row in rows[:limit]
    ]


def count_pending(
    connection: sa.Connection, *, walk: str | None = None, now: datetime | None = None
) -> int:
    """How many files are pending.

    Args:
        connection: May be a reader's.
        walk: Only of models that this walk has met; None for all.
        now: Only those that need not wait beyond it; None counts these too.
    """
    statement = sa.select(sa.func.count()).select_from(loras).where(_pending(walk))
    if now is not None:
        statement = statement.where(_due(now))
    return connection.execute(statement).scalar_one()


def retry_failed(connection: sa.Connection, *, walk: str | None) -> int:
    """Make `failed` and `not_found` files pending again, of one walk or all; returns how many."""
    statement = sa.update(loras).where(loras.c.outcome.in_(RETRIED))
    if walk is not None:
        statement = statement.where(_met_by(walk))
    changed = statement.values(outcome=Outcome.PENDING, next_try_at=None)
    return connection.execute(changed).rowcount


def _pending(walk: str | None) -> sa.ColumnElement[bool]:
    pending = loras.c.outcome == Outcome.PENDING
    return pending if walk is None else sa.and_(pending, _met_by(walk))


def _due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(loras.c.next_try_at.is_(None), loras.c.next_try_at <= now)


def _met_by(walk: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(walk_models.c.walk == walk, walk_models.c.model_id == loras.c.model_id)
