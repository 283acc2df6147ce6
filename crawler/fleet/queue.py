"""The queue of a fleet: batches of file ids, which PgQueuer hands out, each to one worker.

What is on it is only a hint: a file is fetched if it is `pending` in `loras`. So a batch that is handed
out twice, or too late, does no harm. The version of a batch is in its entrypoint, so that a worker is
never handed one that it does not know.
"""

import math
import time
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import TypeVar
from uuid import UUID, uuid4

import anyio
import msgspec
import psycopg
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.db import PsycopgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.models import Job
from pgqueuer.queries import EntrypointExecutionParameter, Queries
from pgqueuer.types import Channel, JobId, QueueEntrypoint, QueueManagerId

from crawler.errors import DatabaseError, LostConnectionError, StoppedError
from crawler.store.connect.engines import CONNECT_TIMEOUT
from crawler.store.connect.url import Url, psql_url, redacted
from crawler.store.read.fleet import LOST_AFTER, QUEUE_SCHEMA, QUEUE_TABLE
from crawler.sync.state import patiently

#: The version of a batch. A worker leaves batches of other versions on the queue.
VERSION = 1

#: The entrypoints: batches, and single files that a worker reads while it reads nothing else.
FETCH, ALONE = f"fetch-{VERSION}", f"alone-{VERSION}"

#: Files in a batch. A kill costs a worker's heartbeat for so many files, and nobody else has them.
BATCH = 64

#: Workers that a file may end while it is read alone, before it is given up.
MOST_DEATHS = 3

#: Batches that are put on the queue in one statement.
_PUT = 100

#: Batches on the queue at most that are looked through for files, 64 million files.
_MOST_BATCHES = 1_000_000

_T = TypeVar("_T")


class _Payload(msgspec.Struct, frozen=True):
    """What a batch is on the queue."""

    files: list[int]
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that this worker has.

    Attributes:
        files: The ids of its files.
        alone: Its files are to be read while no other is.
        deaths: Workers that died while they had it.
        begun: When it was handed out before; None for the first time.
    """

    job: Job
    files: tuple[int, ...]
    alone: bool
    deaths: int
    begun: datetime | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many batches there are.

    Attributes:
        waiting: That no worker has.
        in_work: That a worker has, perhaps a dead one.
        unknown: Of other versions.
    """

    waiting: int
    in_work: int
    unknown: int


def batches(files: Iterable[tuple[int, str | None]]) -> Iterator[list[int]]:
    """Batches of file ids; files with the same SHA-256 stay together.

    Args:
        files: Ids with the SHA-256; those with the same one follow each other.
    """
    batch: list[int] = []
    for sha256, same in groupby(files, key=itemgetter(1)):
        ids = [file_id for file_id, _ in same]
        groups = [[file_id] for file_id in ids] if sha256 is None else [ids]
        for group in groups:
            if batch and len(batch) + len(group) > BATCH:
                yield batch
                batch = []
            batch.extend(group)
    if batch:
        yield batch


@dataclass(slots=True)
class Queue:
    """The queue of a database, with a connection of its own.

    Attributes:
        patience: Seconds to wait for a server that was reached before and cannot be reached now.
    """

    url: Url
    patience: float = 0.0
    _one_at_a_time: anyio.Lock = field(default_factory=anyio.Lock)
    _answered: float | None = None
    _back: float = -math.inf
    _away: float = 0.0
    _who: UUID = field(default_factory=uuid4)
    _queries: Queries | None = None
    _connection: psycopg.AsyncConnection | None = None

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
        self._connection = self._queries = None

    async def install(self) -> None:
        """Make the tables of the queue, or bring them up to date; nothing happens if they are.

        Raises:
            DatabaseError: The role may not do it.
        """
        await self._ask(lambda queries: queries.upgrade())

    async def put(self, found: Sequence[Collection[int]], *, alone: bool = False) -> int:
        """Put batches on the queue, unless the same ones are there; returns how many are new."""
        new, kind = 0, ALONE if alone else FETCH
        for start in range(0, len(found), _PUT):
            some = [sorted(batch) for batch in found[start : start + _PUT]]
            payloads = [msgspec.json.encode(_Payload(batch)) for batch in some]
            keys = [f"{kind} {blake2b(each, digest_size=16).hexdigest()}" for each in payloads]

            new += await self._ask(partial(_put, kind, payloads, keys))
        return new

    async def file_ids(self) -> set[int]:
        """The files of all batches on the queue, and of those that workers have."""
        jobs = await self._ask(
            lambda queries: queries.browse_queue(
                _MOST_BATCHES, statuses=["queued", "picked"], entrypoints=[FETCH, ALONE]
            )
        )
        return {file_id for job in jobs for file_id in _files(job)}

    async def take(self, *, alone: bool = False) -> Batch | None:
        """A batch that no worker has, or whose worker is dead; None if there is none."""
        wanted = QueueEntrypoint(ALONE if alone else FETCH)
        jobs = await self._ask(
            lambda queries: queries.dequeue(
                batch_size=1,
                entrypoints={wanted: EntrypointExecutionParameter(concurrency_limit=0)},
                queue_manager_id=QueueManagerId(self._who),
                global_concurrency_limit=None,
                heartbeat_timeout=self._lost_after(),
            )
        )
        if not jobs:
            return None
        job = jobs[0]
        log = await self._ask(lambda queries: queries.job_log_history(job.id))
        kinds = Counter(entry.status for entry in log)
        picked = [entry.created for entry in log if entry.status == "picked"]
        # A worker that does not die gives a batch back, which puts it on the queue once more.
        return Batch(
            job=job,
            files=tuple(_files(job)),
            alone=alone,
            deaths=max(kinds["picked"] - kinds["queued"], 0),
            begun=picked[-2] if len(picked) > 1 else None,
        )

    def _lost_after(self) -> timedelta:
        """How long a worker was not heard of that is dead.

        After the server was away, nobody could say that it is alive.
        """
        is_just_back = time.monotonic() - self._back < LOST_AFTER.total_seconds()
        return LOST_AFTER + timedelta(seconds=self._away if is_just_back else 0)

    async def done(self, batch: Batch) -> None:
        """Take a batch off the queue."""
        await self._ask(lambda queries: queries.log_jobs([(batch.job, "successful", None)]))

    async def give_back(self, batch: Batch) -> None:
        """Put a batch back on the queue."""
        await self._ask(lambda queries: queries.retry_job(batch.job, timedelta(0), None))

    async def heartbeat(self, held: Collection[Batch]) -> None:
        """Say that this worker is alive and has these batches."""
        ids: list[JobId] = [batch.job.id for batch in held]
        if ids:
            await self._ask(lambda queries: queries.update_heartbeat(ids))

    async def depth(self) -> Depth:
        """How many batches there are."""
        counts: Counter[tuple[bool, str]] = Counter()
        for row in await self._ask(lambda queries: queries.queue_size()):
            counts[row.entrypoint in {FETCH, ALONE}, row.status] += row.count
        return Depth(
            waiting=counts[True, "queued"],
            in_work=counts[True, "picked"],
            unknown=counts[False, "queued"] + counts[False, "picked"],
        )

    async def _ask(self, work: Callable[[Queries], Awaitable[_T]]) -> _T:
        """The result of `work`, with a new connection if the last one was lost.

        Raises:
            LostConnectionError: The server cannot be reached.
            StoppedError: The queue is gone.
            DatabaseError: The role lacks a permission.
        """

        async def once() -> _T:
            try:
                async with self._one_at_a_time:
                    answer = await work(self._queries or await self._connect())
                    self._answered = time.monotonic()
                    return answer
            except psycopg.errors.InsufficientPrivilege as error:
                said = " ".join(str(error).split())
                raise DatabaseError(
                    f"{redacted(self.url)}: this user may not make or use the queue ({said})"
                ) from error
            except psycopg.ProgrammingError as error:
                said = " ".join(str(error).split())
                raise StoppedError(
                    f"{redacted(self.url)}: the queue was removed or changed; run the command again, which"
                    f" makes it anew ({said})"
                ) from error
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                async with self._one_at_a_time:
                    await self.close()
                said = " ".join(str(error).split())
                raise LostConnectionError(
                    f"{redacted(self.url)}: the connection was lost; run the command again ({said})"
                ) from error

        return await patiently(once, patience=lambda: self.patience)

    async def _connect(self) -> Queries:
        self._connection = await psycopg.AsyncConnection.connect(
            psql_url(self.url),
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            application_name="lora-crawl",
        )
        if self._answered is not None:
            self._back = time.monotonic()
            self._away = self._back - self._answered
        settings = _settings()
        self._queries = Queries(
            PsycopgDriver(self._connection),
            qbe=QueryBuilderEnvironment(settings),
            qbq=QueryQueueBuilder(settings),
            qbs=QuerySchedulerBuilder(settings),
        )
        return self._queries


@asynccontextmanager
async def queue_of(url: Url, *, patience: float = 0.0) -> AsyncIterator[Queue]:
    """The queue of a database, whose tables are made if needed."""
    queue = Queue(url, patience)
    try:
        await queue.install()
        yield queue
    finally:
        await queue.close()


async def install(url: Url) -> None:
    """Make the tables of the queue, as `Queue.install`."""
    async with queue_of(url):
        pass


async def _put(kind: str, payloads: list[bytes], keys: list[str], queries: Queries) -> int:
    """Put batches on the queue; returns how many are new."""
    ids = await queries.enqueue(
        [kind] * len(keys),
        [*payloads],
        [0] * len(keys),
        dedupe_key=[*keys],
        on_conflict="skip",
    )
    return sum(one is not None for one in ids)


def _settings() -> DBSettings:
    """The names of the queue's tables. All are given, or PgQueuer would ask the environment."""
    return DBSettings(
        prefix="",
        db_schema=QUEUE_SCHEMA,
        channel=Channel("ch_lora_crawl"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table=QUEUE_TABLE,
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.durable,
        widen_id=True,
    )


def _files(job: Job) -> list[int]:
    """The files of a batch; empty if it makes no sense."""
    try:
        return msgspec.json.decode(job.payload or b"", type=_Payload).files
    except msgspec.DecodeError:
        return []
