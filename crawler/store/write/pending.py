"""Find the files to fetch, and the headers that are stored already under another file id."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model import HeaderBytes, Outcome, Target
from crawler.model.outcome import FROM_BYTES, READ
from crawler.store.read.headers import rows_of, whole
from crawler.store.schema.tables import crawls, headers, loras, walk_models
from crawler.store.write.upserts import slices

#: Outcomes that a retry may change: failures of the network, 404, which Civitai also answers when its
#: storage is in trouble, and a missing login.
FAILURES = (Outcome.FAILED, Outcome.NOT_FOUND, Outcome.LOGIN_REQUIRED)

#: Outcomes that the site, a creator or a purchase may change.
REFUSALS = (Outcome.FORBIDDEN, Outcome.DOWNLOADS_DISABLED, Outcome.ARCHIVED)

#: A file is deferred for an hour at most. A later time comes from a wrong clock and is ignored.
LONGEST_DEFERRAL = timedelta(days=1)

#: Rows that are in memory at once where there may be a million.
_READ_AT_ONCE = 10_000

_AGAIN = {"outcome": Outcome.PENDING, "reason": None, "next_try_at": None}

#: The files whose bytes may be copied. Made once, since every column is copied with the table.
_OTHER = loras.alias()


def take_pending(
    connection: sa.Connection,
    *,
    walk: str | None,
    now: datetime,
    limit: int,
    exclude: Collection[int] = (),
    among: Collection[int] | None = None,
) -> list[Target]:
    """Files to fetch: those never begun by id, then the others, the least tried first.

    Args:
        connection: May be a reader's.
        walk: Only files of models that this walk has listed; None for all files.
        now: Files deferred beyond this time are left out.
        limit: Most files.
        exclude: Ids to leave out, such as files in flight.
        among: Only these files; None for all.
    """
    columns = (
        *(loras.c.file_id, loras.c.version_id, loras.c.file_name, loras.c.base_model),
        *(loras.c.size_bytes, loras.c.sha256, loras.c.attempts),
        *(loras.c.next_try_at, loras.c.reason),
    )
    # An IN list for `exclude` could grow too long, so as many more rows are read.
    statement = sa.select(*columns).where(_pending(walk)).limit(limit + len(exclude))
    if among is not None:
        statement = statement.where(loras.c.file_id.in_(among))
    new = sa.and_(loras.c.attempts == 0, loras.c.next_try_at.is_(None))
    others = statement.where(~new, _is_due(now))
    found: list[Target] = []
    # Two queries: the first follows the index. One query would sort every pending file.
    for query in (
        statement.where(new).order_by(loras.c.file_id),
        others.order_by(loras.c.attempts, loras.c.next_try_at, loras.c.file_id),
    ):
        if len(found) < limit:
            found += [
                Target(
                    file_id=row.file_id,
                    version_id=row.version_id,
                    file_name=row.file_name or "",
                    base_model=row.base_model,
                    size_bytes=row.size_bytes,
                    sha256=row.sha256,
                    deferred=row.next_try_at is not None and row.reason is not None,
                    attempts=row.attempts,
                )
                for row in connection.execute(query)
                if row.file_id not in exclude
            ]
    return found[:limit]


def begin_attempts(connection: sa.Connection, *, file_ids: Collection[int], now: datetime) -> None:
    """Store that files are about to be requested, in the caller's transaction.

    If the process is killed meanwhile, the next run requests new files first. So it does not pay for
    the same files again and again, and a file that ends the process does not keep it from the others.
    """
    statement = sa.update(loras).where(loras.c.file_id.in_(file_ids))
    connection.execute(statement.values(next_try_at=now))


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
        statement = statement.where(_is_due(now))
    return connection.execute(statement).scalar_one()


def pending_files(
    connection: sa.Connection, *, walk: str | None, model_ids: Sequence[int] | None = None
) -> Iterator[tuple[int, str | None]]:
    """The ids and the SHA-256 of pending files; those with the same SHA-256 follow each other.

    They are read as they are taken, since there may be a million.

    Args:
        connection: May be a reader's.
        walk: Only files of models that this walk has listed; None for all files.
        model_ids: Only files of these models.
    """
    statement = sa.select(loras.c.file_id, loras.c.sha256).where(_pending(walk))
    statement = statement.order_by(loras.c.sha256, loras.c.file_id)
    if model_ids is not None:
        statement = statement.where(loras.c.model_id.in_(model_ids))
    statement = statement.execution_options(yield_per=_READ_AT_ONCE)
    for row in connection.execute(statement):
        yield row.file_id, row.sha256


def still_pending(
    connection: sa.Connection, file_ids: Collection[int], *, begun_since: datetime | None = None
) -> set[int]:
    """Those of these files that are pending.

    Args:
        connection: May be a reader's.
        file_ids: The files.
        begun_since: Only files that have been requested since then.
    """
    statement = sa.select(loras.c.file_id).where(_pending(None), loras.c.file_id.in_(file_ids))
    if begun_since is not None:
        statement = statement.where(loras.c.next_try_at >= begun_since)
    return {*connection.execute(statement).scalars()}


def give_up(connection: sa.Connection, file_ids: Collection[int], reason: str) -> None:
    """Make pending files `failed`, in the caller's transaction."""
    failed = sa.update(loras).where(_pending(None), loras.c.file_id.in_(file_ids))
    connection.execute(failed.values(outcome=Outcome.FAILED, reason=reason, next_try_at=None))


def retry_failed(connection: sa.Connection, *, walk: str | None, refused: bool = False) -> int:
    """Make files pending again that ended without being read; returns their number.

    These are FAILURES, early access without a known end, and files whose bytes may not be their own.

    Args:
        connection: In the caller's transaction.
        walk: Only files of models that this walk has listed; None for all files.
        refused: Also REFUSALS.
    """
    outcomes = FAILURES + REFUSALS if refused else FAILURES
    without_end = sa.and_(
        loras.c.outcome == Outcome.EARLY_ACCESS, loras.c.early_access_until.is_(None)
    )
    doubtful = sa.and_(
        loras.c.outcome.in_(FROM_BYTES - READ),
        sa.exists().where(headers.c.file_id == loras.c.file_id, ~_has_listed_length(loras)),
    )
    ended = sa.or_(loras.c.outcome.in_(outcomes), without_end, doubtful)
    statement = sa.update(loras).where(ended)
    if walk is not None:
        statement = statement.where(_listed_by(walk))
    return connection.execute(statement.values(_AGAIN)).rowcount


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
    return connection.execute(sa.update(loras).where(over).values(_AGAIN)).rowcount


def _pending(walk: str | None) -> sa.ColumnElement[bool]:
    pending = loras.c.outcome == Outcome.PENDING
    return pending if walk is None else sa.and_(pending, _listed_by(walk))


def _listed_by(walk: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(walk_models.c.walk == walk, walk_models.c.model_id == loras.c.model_id)


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    until = loras.c.next_try_at
    return sa.or_(until.is_(None), until <= now, until > now + LONGEST_DEFERRAL)


def _has_listed_length(file: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether bytes without a sound header are the file's own and not an answer of the storage host.

    The file then has the length that the site lists, and does not begin with zeros.
    """
    same = sa.and_(headers.c.file_bytes == file.c.size_bytes, headers.c.length != 0)
    return sa.func.coalesce(same, sa.false())


def find_copies(connection: sa.Connection, targets: Sequence[Target]) -> dict[int, int]:
    """For files whose SHA-256 and size equal those of a file already read, the id of the latter, by id."""
    same = sa.and_(
        _OTHER.c.sha256 == loras.c.sha256,
        _OTHER.c.size_bytes == loras.c.size_bytes,
        _OTHER.c.file_id != loras.c.file_id,
    )
    # A CASE, because SQLite would look for OR and IN in the index on `outcome`, and walk every file read.
    has_bytes = sa.case(
        (_OTHER.c.outcome.in_(READ), sa.true()),
        (_OTHER.c.outcome.in_(FROM_BYTES), _has_listed_length(_OTHER)),
        else_=sa.false(),
    )
    statement = (
        sa.select(loras.c.file_id, sa.func.min(_OTHER.c.file_id))
        .join(_OTHER, same)
        .join(headers, headers.c.file_id == _OTHER.c.file_id)
        .where(has_bytes)
        .group_by(loras.c.file_id)
    )
    return {
        file_id: other_id
        for ids in slices([target.file_id for target in targets if target.sha256])
        for file_id, other_id in connection.execute(statement.where(loras.c.file_id.in_(ids)))
    }


def copied_bytes(connection: sa.Connection, file_id: int) -> HeaderBytes | None:
    """The stored first bytes of a file; None if they are damaged."""
    (row,) = rows_of(connection, [file_id])
    try:
        return HeaderBytes(whole(row), row.file_bytes)
    except DatabaseError:
        return None
