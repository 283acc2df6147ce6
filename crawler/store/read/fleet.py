"""The state of a fleet: what its workers share, who works, and what waits on its queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from crawler.store.schema.tables import fleet, workers
from crawler.store.schema.types import UtcTime

#: PostgreSQL's schema with the tables of the queue, which PgQueuer makes. It is not the default one, so
#: that they are no tables of ours.
QUEUE_SCHEMA = "lora_crawl_queue"

#: The table of the queue in it.
QUEUE_TABLE = "pgqueuer"

#: A worker that has not been heard of for so long is dead, and its batches come back.
LOST_AFTER = timedelta(seconds=30)

#: A worker that was lost longer ago is not counted.
RECENT = timedelta(days=1)

#: Workers that are shown at most: those that were heard of last.
MAX_WORKERS = 20

#: The time of PostgreSQL's server. `now()` would be that of the beginning of the transaction.
SERVER_TIME = sa.type_coerce(sa.literal_column("clock_timestamp() AT TIME ZONE 'UTC'"), UtcTime())

#: Whether there is a queue that this role may read.
_HAS_QUEUE = f"""
SELECT has_schema_privilege(spaces.oid, 'USAGE') AND has_table_privilege(classes.oid, 'SELECT')
FROM pg_class AS classes JOIN pg_namespace AS spaces ON spaces.oid = classes.relnamespace
WHERE spaces.nspname = '{QUEUE_SCHEMA}' AND classes.relname = '{QUEUE_TABLE}'
"""  # noqa: S608 - constants
_DEPTH = f"""
SELECT count(*) FILTER (WHERE status::text = 'queued'), count(*) FILTER (WHERE status::text = 'picked')
FROM {QUEUE_SCHEMA}.{QUEUE_TABLE}
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the workers share, as the columns of `fleet` describe it."""

    rate: float
    next_request_at: datetime | None
    held_until: datetime | None
    max_downloads: int | None
    downloads: int
    paused_until: datetime | None
    pause_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A run of a worker, as the columns of `workers` describe it."""

    worker_id: int
    host: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    ending: str | None
    files: int
    downloads: int

    def is_alive(self, now: datetime) -> bool:
        """Whether it has been heard of lately."""
        return self.ended_at is None and now - self.last_seen_at < LOST_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """The state of a fleet.

    Attributes:
        now: The time of the clock that set all others, the server's.
        workers: Those that have not ended, killed ones too, the latest first; MAX_WORKERS at most.
        alive: How many were heard of lately.
        lost: How many were not, but within RECENT.
        waiting: Batches on the queue that no worker has; None if the queue cannot be read.
        in_work: Batches that a worker has.
    """

    shared: Shared
    now: datetime
    workers: tuple[Worker, ...]
    alive: int
    lost: int
    waiting: int | None
    in_work: int | None


def read_shared(connection: sa.Connection) -> Shared | None:
    """What the workers share; None if there never was a fleet."""
    columns = (fleet.c[name] for name in Shared.__slots__)
    row = connection.execute(sa.select(*columns)).mappings().first()
    return None if row is None else Shared(**row)


def fleet_state(connection: sa.Connection, now: datetime) -> FleetState | None:
    """The state of the fleet; None if there never was one.

    Args:
        connection: Reads.
        now: This machine's time, for a database without a server.
    """
    shared = read_shared(connection)
    if shared is None:
        return None
    if connection.dialect.name == "postgresql":
        now = connection.execute(sa.select(SERVER_TIME)).scalar_one()
    seen, columns = workers.c.last_seen_at, (workers.c[name] for name in Worker.__slots__)
    going = workers.c.ended_at.is_(None)
    latest = sa.select(*columns).where(going).order_by(seen.desc(), workers.c.worker_id)
    rows = connection.execute(latest.limit(MAX_WORKERS)).mappings()
    is_alive = seen > now - LOST_AFTER
    alive, lost = connection.execute(
        sa.select(
            sa.func.count().filter(is_alive),
            sa.func.count().filter(~is_alive, seen > now - RECENT),
        ).where(going)
    ).one()
    waiting, in_work = _depth(connection)
    return FleetState(
        shared=shared,
        now=now,
        workers=tuple(Worker(**row) for row in rows),
        alive=alive,
        lost=lost,
        waiting=waiting,
        in_work=in_work,
    )


def _depth(connection: sa.Connection) -> tuple[int | None, int | None]:
    if connection.dialect.name != "postgresql":
        return None, None
    if not connection.exec_driver_sql(_HAS_QUEUE).scalar():
        return None, None
    waiting, in_work = connection.exec_driver_sql(_DEPTH).one()
    return waiting, in_work
