"""How a crawl stands: what is done, what is left, what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.store.schema.tables import crawls, headers, loras, metadata, models, versions
from crawler.store.write.pending import count_pending
from crawler.store.write.upserts import slices

#: Reasons that are told apart; some of them quote what was met, and there is no end to them.
MAX_REASONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """One run of a crawl.

    Attributes:
        origin: The API, or `local`.
        finished_at: None while it runs, or when it was killed; so are `ending` and `summary`.
        ending: `done`, or why it stopped.
        summary: Its counts, by name.
        keyed: Whether an API key was sent; None where there is no API.
        go_on_at: When the site takes requests again, None when it said nothing of that.
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
    """How a crawl stands.

    Attributes:
        outcomes: Files by outcome, the outcomes that there are.
        reasons: Files by outcome and reason, the most frequent first, MAX_REASONS at most.
        due: Pending files that can be fetched now.
        waiting: Pending files that must wait.
        go_on_at: When the first of those that wait is due, None when none waits.
        closed_until: When the site that turned the last run away takes requests again, None when it
            did not or that is over.
        free_at: When the next early access ends, None when none is known to.
        crawls: How many runs there were.
        last_crawl: The latest run, None before the first.
        spent: Every number in the summaries of all runs, added up by name, as `bytes_read`.
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
    crawls: int
    last_crawl: Crawl | None
    spent: Mapping[str, float]


def status(connection: sa.Connection, now: datetime) -> Status:
    """How the crawl of this database stands at a time."""
    counted = sa.func.count()
    outcomes = _counts(connection, sa.select(loras.c.outcome, counted).group_by(loras.c.outcome))
    pending = outcomes.get(Outcome.PENDING, 0)
    due = count_pending(connection, now=now)
    runs = [
        Crawl(**row)
        for row in connection.execute(sa.select(crawls).order_by(crawls.c.crawl_id)).mappings()
    ]
    return Status(
        models=_rows(connection, models),
        versions=_rows(connection, versions),
        files=sum(outcomes.values()),
        headers=_rows(connection, headers),
        gone=connection.execute(sa.select(sa.func.count(loras.c.gone_at))).scalar_one(),
        outcomes=outcomes,
        reasons=_reasons(connection),
        due=due,
        waiting=pending - due,
        go_on_at=_first(connection, Outcome.PENDING, loras.c.next_try_at, now),
        closed_until=_closed_until(runs, now),
        free_at=_first(connection, Outcome.EARLY_ACCESS, loras.c.early_access_until, now),
        crawls=len(runs),
        last_crawl=runs[-1] if runs else None,
        spent=_added_up(runs),
    )


def outcomes_of(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, Outcome]:
    """The outcomes of those of these files that are stored."""
    found: dict[int, Outcome] = {}
    for ids in slices(file_ids):
        rows = connection.execute(
            sa.select(loras.c.file_id, loras.c.outcome).where(loras.c.file_id.in_(ids))
        )
        found |= {file_id: Outcome(outcome) for file_id, outcome in rows}
    return found


def table_counts(connection: sa.Connection) -> dict[str, int]:
    """How many rows each table has, by name."""
    return {
        name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for name, table in sorted(metadata.tables.items())
    }


def _closed_until(runs: list[Crawl], now: datetime) -> datetime | None:
    last = next((run for run in reversed(runs) if run.keyed is not None), None)
    until = None if last is None else last.go_on_at
    return until if until is not None and until > now else None


def _first(
    connection: sa.Connection, outcome: Outcome, column: sa.Column[datetime], now: datetime
) -> datetime | None:
    """The earliest of these times that is still to come, among the files that ended so."""
    statement = sa.select(sa.func.min(column)).where(loras.c.outcome == outcome, column > now)
    return connection.execute(statement).scalar()


def _rows(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _counts(connection: sa.Connection, statement: sa.Select[str, int]) -> dict[str, int]:
    return dict(sorted(connection.execute(statement).all()))


def _reasons(connection: sa.Connection) -> dict[tuple[str, str], int]:
    counted = sa.func.count().label("files")
    statement = (
        sa.select(loras.c.outcome, loras.c.reason, counted)
        .where(loras.c.reason.is_not(None))
        .group_by(loras.c.outcome, loras.c.reason)
        .order_by(counted.desc(), loras.c.outcome, loras.c.reason)
        .limit(MAX_REASONS)
    )
    return {(outcome, reason): files for outcome, reason, files in connection.execute(statement)}


def _added_up(runs: list[Crawl]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for run in runs:
        for name, value in (run.summary or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                spent[name] = spent.get(name, 0) + value
    return spent
