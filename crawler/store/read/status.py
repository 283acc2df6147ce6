"""The state of a database: files by outcome, pending files, and the cost of all runs."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.store.connect.url import db_option
from crawler.store.read.fleet import FleetState, fleet_state
from crawler.store.schema.tables import (
    crawls,
    headers,
    indexes_on,
    local_files,
    loras,
    metadata,
    models,
    versions,
    workers,
)
from crawler.store.schema.views import VIEWS
from crawler.store.write.crawls import filled_from
from crawler.store.write.pending import count_pending
from crawler.store.write.upserts import slices

#: Most reasons that are listed; some quote a value, so there may be any number of them.
MAX_REASONS = 50

#: The outcomes that have reasons worth counting. Named one by one, so that the index on `outcome` finds
#: their files: of a million files nearly all were read.
_UNREAD = tuple(outcome for outcome in Outcome if outcome not in READ)

#: Missing tables, columns, indexes and views that a message names.
MAX_MISSING = 5

#: The condition for files that are no scanned copies: a local file with a page is a copy of that page's.
ORIGINALS = "site != 'local' or page_url is null"

#: Rows of `crawls` in memory at once; a database may have a hundred thousand.
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """One run of a crawl.

    Attributes:
        origin: The API, or `local`.
        finished_at: None while it runs or if it was killed, like `ending` and `summary`.
        ending: `done`, or why it stopped.
        summary: Its counts, by name.
        keyed: Whether an API key was sent; None without an API.
        go_on_at: When the site accepts requests again; None if the site did not say.
    """

    crawl_id: int
    origin: str
    walk: str
    started_at: datetime
    finished_at: datetime | None
    ending: str | None
    summary: Mapping[str, Any] | None
    keyed: bool | None
    go_on_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of a database.

    Attributes:
        gone: Files that are no longer listed.
        outcomes: Number of files by outcome, without zeros.
        reasons: Number of files that were not read by outcome and reason, the most frequent first, at
            most MAX_REASONS.
        due: Pending files that can be fetched now.
        waiting: Pending files that were deferred.
        go_on_at: When the first deferred file is due; None if there is none.
        closed_until: When the site accepts requests again; None if it does now.
        free_at: When the next early access ends; None if no end is known.
        origin: The API that the models are from; None before the first.
        crawls: Number of runs.
        last_crawl: The latest run; None before the first.
        fleet: What the workers share and do; None if there never was one.
        spent: The sums of all numbers in the summaries of all runs, by name, such as `bytes_read`, and of
            workers that run or were killed.
    """

    models: int
    versions: int
    files: int
    headers: int
    gone: int
    outcomes: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    due: int
    waiting: int
    go_on_at: datetime | None
    closed_until: datetime | None
    free_at: datetime | None
    origin: str | None
    crawls: int
    last_crawl: Crawl | None
    fleet: FleetState | None
    spent: Mapping[str, float]


def scanned_copies(connection: sa.Connection) -> int:
    """How many scanned files have the same bytes or weights as a crawled one."""
    copies = local_files.c.matched_file_id.is_not(None)
    return connection.execute(
        sa.select(sa.func.count()).select_from(local_files).where(copies)
    ).scalar_one()


def status(connection: sa.Connection, now: datetime) -> Status:
    """The state of this database at the time `now`, which is aware."""
    by_outcome = sa.select(loras.c.outcome, sa.func.count()).group_by(loras.c.outcome)
    outcomes: dict[str, int] = dict(sorted(connection.execute(by_outcome).all()))
    pending = outcomes.get(Outcome.PENDING, 0)
    due = count_pending(connection, now=now)
    last = _last_crawl(connection)
    last_online = _last_crawl(connection, crawls.c.keyed.is_not(None))
    until = None if last_online is None else last_online.go_on_at
    return Status(
        models=_rows(connection, models),
        versions=_rows(connection, versions),
        files=sum(outcomes.values()),
        headers=_rows(connection, headers),
        gone=_rows(connection, loras, loras.c.gone_at.is_not(None)),
        outcomes=outcomes,
        reasons=_reasons(connection),
        due=due,
        waiting=pending - due,
        go_on_at=_first(connection, Outcome.PENDING, loras.c.next_try_at, now),
        closed_until=until if until is not None and until > now else None,
        free_at=_first(connection, Outcome.EARLY_ACCESS, loras.c.early_access_until, now),
        origin=filled_from(connection),
        crawls=_rows(connection, crawls),
        last_crawl=last,
        fleet=fleet_state(connection, now),
        spent=_spent(connection),
    )


def outcomes_of(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, Outcome]:
    """The outcomes of these files; files that are not stored are left out."""
    found: dict[int, Outcome] = {}
    for ids in slices(file_ids):
        rows = connection.execute(
            sa.select(loras.c.file_id, loras.c.outcome).where(loras.c.file_id.in_(ids))
        )
        found |= {file_id: Outcome(outcome) for file_id, outcome in rows}
    return found


def check_tables(connection: sa.Connection) -> None:
    """Make sure that every table and column is there.

    Raises:
        DatabaseError: Some are missing; the message names them.
    """
    inspector = sa.inspect(connection)
    here = set(inspector.get_table_names())
    missing = metadata.tables.keys() - here
    for name in metadata.tables.keys() & here:
        columns = {column["name"] for column in inspector.get_columns(name)}
        missing |= {f"{name}.{one}" for one in {*metadata.tables[name].c.keys()} - columns}
    if missing:
        raise DatabaseError(f"the database lacks {_shown(missing)}; restore it from a backup")


def missing_derived(connection: sa.Connection) -> set[str]:
    """The indexes and views that are missing in a database with all tables, in words."""
    inspector = sa.inspect(connection)
    here = {f"view {name}" for name in inspector.get_view_names()}
    wanted = {f"view {view.name}" for view in VIEWS}
    for name, table in metadata.tables.items():
        here |= {f"index {index['name']}" for index in inspector.get_indexes(name)}
        indexes = indexes_on(table, connection.dialect.name)
        wanted |= {f"index {index.name}" for index in indexes}
    return wanted - here


def check_derived(connection: sa.Connection) -> None:
    """Make sure that every index and view is there, in a database with all tables.

    Raises:
        DatabaseError: Some are missing; the message names them and the command that makes them.
    """
    if missing := missing_derived(connection):
        raise DatabaseError(
            f"the database lacks {_shown(missing)}"
            f"\nmake what is missing: lora-crawl db upgrade{db_option(connection.engine.url)}"
        )


def check_pages(connection: sa.Connection) -> None:
    """Make sure that every page of an SQLite file is sound; PostgreSQL checks its own.

    Raises:
        DatabaseError: One is damaged.
    """
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise DatabaseError(f"the database is damaged: {found}; restore it from a backup")


def _shown(missing: AbstractSet[str]) -> str:
    more = len(missing) - MAX_MISSING
    return ", ".join(sorted(missing)[:MAX_MISSING]) + (f" and {more} more" if more > 0 else "")


def table_counts(connection: sa.Connection) -> dict[str, int]:
    """The number of rows of each table, by name."""
    return {name: _rows(connection, table) for name, table in sorted(metadata.tables.items())}


def _last_crawl(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Crawl | None:
    statement = sa.select(crawls).where(*conditions).order_by(crawls.c.crawl_id.desc()).limit(1)
    row = connection.execute(statement).mappings().first()
    return None if row is None else Crawl(**row)


def _first(
    connection: sa.Connection, outcome: Outcome, column: sa.Column[datetime], now: datetime
) -> datetime | None:
    """The earliest future time in this column among the files with this outcome."""
    statement = sa.select(sa.func.min(column)).where(loras.c.outcome == outcome, column > now)
    return connection.execute(statement).scalar()


def _rows(connection: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    counted = sa.select(sa.func.count()).select_from(table).where(*conditions)
    return connection.execute(counted).scalar_one()


def _reasons(connection: sa.Connection) -> dict[tuple[str, str], int]:
    counted = sa.func.count().label("files")
    statement = (
        sa.select(loras.c.outcome, loras.c.reason, counted)
        .where(loras.c.outcome.in_(_UNREAD), loras.c.reason.is_not(None))
        .group_by(loras.c.outcome, loras.c.reason)
        .order_by(counted.desc(), loras.c.outcome, loras.c.reason)
        .limit(MAX_REASONS)
    )
    return {(outcome, reason): files for outcome, reason, files in connection.execute(statement)}


def _spent(connection: sa.Connection) -> dict[str, float]:
    """The sums. A worker that runs or was killed has no summary; what it has stored of itself counts."""
    spent: dict[str, float] = {}
    summaries = sa.select(crawls.c.summary).execution_options(yield_per=_BATCH)
    for summary in connection.execute(summaries).scalars():
        for name, value in (summary or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                spent[name] = spent.get(name, 0) + value
    sums = sa.select(sa.func.sum(workers.c.files), sa.func.sum(workers.c.downloads))
    found = connection.execute(sums.where(workers.c.ended_at.is_(None))).one()
    for name, value in zip(("files_ended", "counted_downloads"), found, strict=True):
        if value:
            spent[name] = spent.get(name, 0) + int(value)
    return spent
