"""The table `field_stats`: how many rows of each base model have each field, and its quartiles.

Making it reads every row, 10 to 40 s for a million. So whoever changes rows counts them in the same
transaction (`count_changes`), and the figures are made anew once enough rows have changed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model.outcome import READ
from crawler.query.fields import Kind
from crawler.store.connect.db_errors import translated
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import ALL, crawls, field_stats, loras

#: The figures are made anew once so many rows have changed, or this share of all rows if that is less.
DUE_ROWS, DUE_SHARE = 1_000, 0.01

#: Seconds that making them may take after a stop was asked for. That is enough for some 25,000 files, so
#: that a first sync that is interrupted has its figures.
GRACE_SECONDS = 1.0

#: The key of PostgreSQL's advisory lock of whoever makes the figures.
_STATS_LOCK = 7_236_180_214

#: Seconds between two looks at whether to stop.
_LOOK_SECONDS = 0.05

#: Numbers held in memory at a time; 12 bytes each, with their group, make 60 MB. One scan reads as many
#: columns as have no more values together, but at least one.
VALUES_PER_SCAN = 5_000_000

#: Numbers that identify something: a median has no meaning.
_NAMES = frozenset({"file_id", "version_id", "model_id", "nsfw_level", "seed"})

_MEASURED = tuple(
    field.name
    for field in FIELDS
    if field.kind in {Kind.INTEGER, Kind.NUMBER} and field.name not in _NAMES
)


@dataclass(frozen=True, slots=True)
class Age:
    """How old the figures are.

    Attributes:
        made_at: When they were made; None in a database of an older lora-crawl.
        rows: The files that there were.
        changed: Rows that have changed since.
    """

    made_at: datetime | None
    rows: int
    changed: int


_QUARTILES = ("quartile1", "median", "quartile3")

#: The row of `field_stats` that holds the number of changed rows.
_FILES = sa.and_(field_stats.c.base_model == ALL, field_stats.c.field == "file_id")


def age(connection: sa.Connection) -> Age | None:
    """How old the figures are; None if there are none."""
    columns = (field_stats.c.made_at, field_stats.c.count, field_stats.c.changed)
    row = connection.execute(sa.select(*columns).where(_FILES)).first()
    return None if row is None else Age(row[0], row[1], row[2] or 0)


def count_changes(connection: sa.Connection, rows: int) -> None:
    """Count rows of `loras` that were added or changed, in the caller's transaction."""
    if rows:
        changed = sa.func.coalesce(field_stats.c.changed, 0) + rows
        connection.execute(sa.update(field_stats).where(_FILES).values(changed=changed))


def _is_due(connection: sa.Connection) -> bool:
    """Whether enough rows have changed; unknown after a run that was killed, so that counts as enough."""
    found = age(connection)
    if found is None:
        return connection.execute(sa.select(sa.exists().select_from(loras))).scalar_one()
    if found.made_at is None:
        return True
    killed = sa.exists().where(crawls.c.finished_at.is_(None), crawls.c.started_at > found.made_at)
    enough = max(min(DUE_ROWS, found.rows * DUE_SHARE), 1)
    return found.changed >= enough or connection.execute(sa.select(killed)).scalar_one()


def refresh_if_due(engine: sa.Engine, *, now: datetime, going: Callable[[], bool]) -> bool:
    """Make the figures anew if they are due, in a transaction of their own.

    Args:
        engine: The database. What else is written meanwhile is not counted.
        now: The current time.
        going: Asked several times a second; once it returns False, GRACE_SECONDS after the beginning
            or later, the work is stopped.

    Returns:
        False if it was stopped. The old figures stay, and are still due.

    Raises:
        DatabaseError, StoppedError: As in `translated`.
    """
    with translated(engine.url), engine.connect() as connection:
        with connection.begin():
            if not _is_due(connection):
                return True
        until = time.monotonic() + GRACE_SECONDS
        driver: Any = connection.connection.driver_connection
        stop = driver.interrupt if engine.dialect.name == "sqlite" else driver.cancel
        stopped = False
        # In a thread, since this one is the only one that gets signals.
        with ThreadPoolExecutor(max_workers=1) as pool:
            work = pool.submit(_refresh, connection, now)
            try:
                while not wait([work], timeout=_LOOK_SECONDS).done:
                    if not going() and time.monotonic() >= until:
                        break
            finally:
                while not work.done():
                    # Again and again: it ends a statement, and there may be none just now.
                    stopped = True
                    stop()
                    wait([work], timeout=_LOOK_SECONDS)
        if stopped and isinstance(work.exception(), sa.exc.DBAPIError):
            return False
        work.result()
    return True


def _refresh(connection: sa.Connection, now: datetime) -> None:
    with connection.begin():
        if connection.dialect.name == "postgresql":
            # Several workers may end at once.
            lock = sa.select(sa.func.pg_try_advisory_xact_lock(_STATS_LOCK))
            if not (connection.execute(lock).scalar_one() and _is_due(connection)):
                return
        refresh_statistics(connection, now)


def refresh_statistics(connection: sa.Connection, now: datetime) -> None:
    """Rewrite `field_stats`, in the caller's transaction.

    Counts are over all rows: the count of `file_id` is the number of files. Quartiles are over the files
    whose header was read, and are computed here so that both databases give the same. Rows without a
    base model count only in ALL.
    """
    from crawler.store.stats.numbers import (  # noqa: PLC0415 - numpy takes a while
        numbers_by_group,
        percentiles,
        quartiles,
        together,
    )

    counts = _counts(connection)
    rows: dict[tuple[str, str], dict[str, Any]] = {
        (base_model, field): {
            "base_model": base_model,
            "field": field,
            "count": count,
            "made_at": now,
            **dict.fromkeys((*_QUARTILES, "percentiles"), None),
        }
        for (base_model, field), count in counts.items()
    }
    base_model = sa.func.coalesce(loras.c.base_model, ALL)
    filled = {name: counts[ALL, name] for name in _MEASURED if (ALL, name) in counts}
    for names in _portions(filled):
        columns = [loras.c[name] for name in names]
        read = loras.c.outcome.in_(READ)
        for name, groups in numbers_by_group(connection, base_model, columns, read):
            everything = {ALL: together(groups)}
            for of, numbers in (groups | everything).items():
                if len(numbers):
                    middle = zip(_QUARTILES, quartiles(numbers), strict=True)
                    rows[of or ALL, name] |= {**dict(middle), "percentiles": percentiles(numbers)}
    connection.execute(sa.delete(field_stats))
    if rows:
        connection.execute(sa.insert(field_stats), list(rows.values()))


def _counts(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """The number of rows that have each field, by base model and field; without zeros."""
    counted = [sa.func.count(loras.c[field.name]) for field in FIELDS]
    statement = sa.select(loras.c.base_model, *counted).group_by(loras.c.base_model)
    counts: Counter[tuple[str, str]] = Counter()
    for base_model, *numbers in connection.execute(statement):
        for field, number in zip(FIELDS, numbers, strict=True):
            for group in dict.fromkeys((ALL, base_model or ALL)):
                counts[group, field.name] += number
    return +counts


def _portions(filled: Mapping[str, int]) -> Iterator[list[str]]:
    """The columns of each scan, from the number of values of each column."""
    names: list[str] = []
    held = 0
    # Sparse columns share a scan, which can skip the rows that have none of them.
    for name, count in sorted(filled.items(), key=lambda each: each[1]):
        if names and held + count > VALUES_PER_SCAN:
            yield names
            names, held = [], 0
        names.append(name)
        held += count
    if names:
        yield names
