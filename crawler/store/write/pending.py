"""Find the files to fetch, and the headers that are stored already under another file id."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model import HeaderBytes, Outcome, Target
from crawler.model.outcome import FROM_BYTES
from crawler.store.read.headers import unpacked
from crawler.store.schema.tables import crawls, headers, loras, walk_models
from crawler.store.write.upserts import slices

#: Outcomes that a retry may change: failures of the network, and 404, which Civitai also answers when
#: its storage is in trouble.
RETRIED = (Outcome.FAILED, Outcome.NOT_FOUND)


def take_pending(
    connection: sa.Connection,
    *,
    walk: str | None,
    now: datetime,
    limit: int,
    exclude: Collection[int] = (),
) -> list[Target]:
    """Files to fetch, by id. Deferred files come only when there are no others.

    Args:
        connection: May be a reader's.
        walk: Only files of models that this walk has listed; None for all files.
        now: Files deferred beyond this time are left out.
        limit: Most files.
        exclude: Ids to leave out, such as files in flight.
    """
    statement = sa.select(
        loras.c.file_id,
        loras.c.version_id,
        loras.c.file_name,
        loras.c.base_model,
        loras.c.size_bytes,
        loras.c.sha256,
        loras.c.next_try_at,
        loras.c.attempts,
    ).where(_pending(walk))
    # An IN list for `exclude` could grow too long, so as many more rows are read.
    statement = statement.order_by(loras.c.file_id).limit(limit + len(exclude))
    deferred = loras.c.next_try_at.is_not(None)
    found: list[Target] = []
    # Two queries, which both follow the index. One query would sort every pending file.
    for kind in (~deferred, deferred & (loras.c.next_try_at <= now)):
        if len(found) < limit:
            found += [
                Target(
                    file_id=row.file_id,
                    version_id=row.version_id,
                    file_name=row.file_name or "",
                    base_model=row.base_model,
                    size_bytes=row.size_bytes,
                    sha256=row.sha256,
                    deferred=row.next_try_at is not None,
                    attempts=row.attempts,
                )
                for row in connection.execute(statement.where(kind))
                if row.file_id not in exclude
            ]
    return found[:limit]


def count_pending(
    connection: sa.Connection, *, walk: str | None = None, now: datetime | None = None
) -> int:
    """How many files are pending.

    Args:
        connection: May be a reader's.
        walk: Only files of models that this walk has listed; None for all files.
        now: Files deferred beyond this time are left out; None counts them too.
    """
    statement = sa.select(sa.func.count()).select_from(loras).where(_pending(walk))
    if now is not None:
        due = sa.or_(loras.c.next_try_at.is_(None), loras.c.next_try_at <= now)
        statement = statement.where(due)
    return connection.execute(statement).scalar_one()


def retry_failed(connection: sa.Connection, *, walk: str | None, has_api_key: bool = False) -> int:
    """Make failed files pending again; returns their number.

    Args:
        connection: In the caller's transaction.
        walk: Only files of models that this walk has listed; None for all files.
        has_api_key: Also retry `login_required`, whatever key was sent before.
    """
    retried = (*RETRIED, Outcome.LOGIN_REQUIRED) if has_api_key else RETRIED
    without_end = sa.and_(
        loras.c.outcome == Outcome.EARLY_ACCESS, loras.c.early_access_until.is_(None)
    )
    statement = sa.update(loras).where(sa.or_(loras.c.outcome.in_(retried), without_end))
    if walk is not None:
        statement = statement.where(_listed_by(walk))
    changed = statement.values(outcome=Outcome.PENDING, next_try_at=None)
    return connection.execute(changed).rowcount


def reopen(connection: sa.Connection, *, now: datetime, has_api_key: bool) -> int:
    """Make files pending again whose refusal may have ended; returns their number.

    These are early access that has ended, and `login_required` if a key is sent now and the last run
    sent none.

    Args:
        connection: In the caller's transaction, before `begin_crawl`.
        now: The current time.
        has_api_key: Whether this run sends an API key.
    """
    over = sa.and_(loras.c.outcome == Outcome.EARLY_ACCESS, loras.c.early_access_until <= now)
    last_keyed = (
        sa.select(crawls.c.keyed)
        .where(crawls.c.keyed.is_not(None))
        .order_by(crawls.c.crawl_id.desc())
        .limit(1)
    )
    if has_api_key and not connection.execute(last_keyed).scalar():
        over = sa.or_(over, loras.c.outcome == Outcome.LOGIN_REQUIRED)
    changed = sa.update(loras).where(over).values(outcome=Outcome.PENDING, next_try_at=None)
    return connection.execute(changed).rowcount


def _pending(walk: str | None) -> sa.ColumnElement[bool]:
    pending = loras.c.outcome == Outcome.PENDING
    return pending if walk is None else sa.and_(pending, _listed_by(walk))


def _listed_by(walk: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(walk_models.c.walk == walk, walk_models.c.model_id == loras.c.model_id)


def known_bytes(connection: sa.Connection, targets: Sequence[Target]) -> dict[int, HeaderBytes]:
    """The first bytes of files whose SHA-256 and size equal those of a file already read, by id.

    Damaged headers are left out.
    """
    other = loras.alias()
    same = sa.and_(
        other.c.sha256 == loras.c.sha256,
        other.c.size_bytes == loras.c.size_bytes,
        other.c.file_id != loras.c.file_id,
        other.c.outcome.in_(FROM_BYTES),
    )
    first = (
        sa.select(loras.c.file_id, sa.func.min(other.c.file_id).label("other_id"))
        .join(other, same)
        .join(headers, headers.c.file_id == other.c.file_id)
        .group_by(loras.c.file_id)
    )
    found: dict[int, HeaderBytes] = {}
    for ids in slices([target.file_id for target in targets if target.sha256]):
        pairs = first.where(loras.c.file_id.in_(ids)).subquery()
        statement = sa.select(pairs, headers.c.data, headers.c.file_bytes).join(
            headers, headers.c.file_id == pairs.c.other_id
        )
        for row in connection.execute(statement):
            try:
                prefix = unpacked(row.data, row.other_id)
            except DatabaseError:
                continue
            found[row.file_id] = HeaderBytes(prefix, row.file_bytes)
    return found
