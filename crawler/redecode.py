"""Decode the stored headers again, without any network, in the order of their tensor lists.

    pages of keys > lists > facts, each list once
                  > headers, with the facts of their lists > verdicts > one transaction a batch

A transaction stores a batch and marks its headers as decoded by this version. A run that was stopped or
killed is therefore continued by the next one.
"""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Protocol, TypeVar

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.tensors.facts import ListFacts, list_facts
from crawler.decode.verdict import Verdict, verdict_again, verdict_of
from crawler.errors import DatabaseError, HeaderError, StoppedError
from crawler.model import Outcome
from crawler.safetensors.layout import body_bytes
from crawler.safetensors.reader import read_list
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.connect.transactions import retried_transaction
from crawler.store.read.headers import (
    HeaderKey,
    StoredHeader,
    count_headers,
    header_keys,
    stored_headers,
    stored_lists,
    unpacked,
    unpacked_list,
)
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.headers import forget_lists, mark_damaged
from crawler.store.write.results import store_again
from crawler.sync.progress import RedecodeTally

#: Headers whose lists are decoded before them. Of a page the ids and the facts are in memory.
PAGE = 4_096

#: Headers in one transaction, and their length together, which is also what a process gets at once:
#: some tenths of a second. A longer header is a batch of its own. Lists likewise.
BATCH, BATCH_BYTES = 64, 8 * 1024 * 1024

#: With fewer headers, starting processes takes longer than it saves.
FEWEST_FOR_PROCESSES = 1_000

#: The database cannot store what more processes would decode.
MOST_PROCESSES = 4

_Job = TypeVar("_Job")
_Done = TypeVar("_Done")


class _Spread(Protocol):
    """Runs a function on jobs, in one process or several; yields the results in the order of the jobs."""

    def __call__(
        self, function: Callable[[_Job], _Done], jobs: Iterable[_Job], /
    ) -> Iterator[_Done]: ...


@dataclass(frozen=True, slots=True)
class HeaderBatch:
    """Headers, and what their tensor lists show. Damaged lists are left out."""

    headers: Sequence[StoredHeader]
    facts: Mapping[bytes, ListFacts]


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The verdicts by file id, and a sentence for each damaged header."""

    verdicts: Mapping[int, Verdict]
    damaged: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class DecodedLists:
    """The facts by digest, and the digests of damaged lists."""

    facts: Mapping[bytes, ListFacts]
    damaged: Sequence[bytes]


def redecode(
    engine: Engine,
    *,
    tally: RedecodeTally,
    going: Callable[[], bool],
    everything: bool = False,
    processes: int = 1,
) -> None:
    """Decode the headers that an older version decoded, or all of them, and store the results.

    A file whose stored header is damaged becomes `failed`, so that a sync can read it again.

    Args:
        engine: The database, at the newest revision. Nothing else may write headers meanwhile.
        tally: Updated during the run.
        going: Called after each batch; when it returns False the run ends cleanly.
        everything: Decode headers of this version too.
        processes: How many processes decode; 1 means this process does.

    Raises:
        DatabaseError, StoppedError: The database or a process failed. What was stored stays.
    """
    below = None if everything else DECODER_VERSION
    tally.total = _read(engine, partial(count_headers, below=below))
    if tally.total < FEWEST_FOR_PROCESSES:
        processes = 1
    with (
        _spread(min(processes, MOST_PROCESSES)) as spread,
        closing(_decoded(engine, below, spread)) as decoded,
    ):
        for batch in decoded:
            tally.changed += retried_transaction(engine, partial(_store, batch))
            tally.done += len(batch.verdicts)
            tally.add_troubles(list(batch.damaged.values()))
            if not going():
                break
    refresh_if_due(engine, now=datetime.now(UTC), going=going)


def _store(batch: DecodedBatch, connection: Connection) -> Counter[tuple[Outcome, Outcome]]:
    """Store a batch; returns how many files changed their outcome, by old and new outcome."""
    changed = store_again(connection, batch.verdicts)
    mark_damaged(connection, batch.damaged)
    count_changes(connection, len(batch.verdicts))
    return changed


def _read(engine: Engine, query: Callable[[Connection], _Done]) -> _Done:
    with translated(engine.url), engine.connect() as connection:
        return query(connection)


def _decoded(
    engine: Engine, below: int | None, spread: _Spread
) -> Generator[DecodedBatch, None, None]:
    """Yield the headers decoded, page by page."""
    facts: dict[bytes, ListFacts] = {}
    for page in _pages(engine, below):
        # A list that began in the page before is the first of this one.
        facts = {d: f for d, f in facts.items() if d == page[0].digest}
        sizes = {key.digest: key.list_size for key in page if key.digest is not None}
        new = {digest: size for digest, size in sizes.items() if digest not in facts}
        for lists in spread(decode_lists, _lists(engine, new)):
            facts |= lists.facts
            if lists.damaged:
                retried_transaction(engine, partial(forget_lists, digests=lists.damaged))
        yield from spread(decode_batch, _headers(engine, page, facts))


def _pages(engine: Engine, below: int | None) -> Iterator[list[HeaderKey]]:
    after: HeaderKey | None = None
    while page := _read(engine, partial(header_keys, after=after, below=below, limit=PAGE)):
        yield page
        after = page[-1]


def _lists(engine: Engine, sizes: Mapping[bytes, int]) -> Iterator[Mapping[bytes, bytes | None]]:
    for digests in batches(sizes):
        yield _read(engine, partial(stored_lists, digests=digests))


def _headers(
    engine: Engine, page: Sequence[HeaderKey], facts: Mapping[bytes, ListFacts]
) -> Iterator[HeaderBatch]:
    for ids in batches({key.file_id: key.size for key in page}):
        headers = _read(engine, partial(stored_headers, file_ids=ids))
        needed = facts.keys() & {header.list_digest for header in headers}
        yield HeaderBatch(headers, {digest: facts[digest] for digest in needed})


def batches(sizes: Mapping[_Job, int]) -> Iterator[list[_Job]]:
    """The keys in batches, from the size of what each stands for, in bytes."""
    batch: list[_Job] = []
    total = 0
    for key, size in sizes.items():
        if batch and (len(batch) == BATCH or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
    if batch:
        yield batch


def decode_lists(lists: Mapping[bytes, bytes | None]) -> DecodedLists:
    """Decode tensor lists: compressed, by digest; None for a missing one."""
    facts: dict[bytes, ListFacts] = {}
    damaged: list[bytes] = []
    for digest, data in lists.items():
        try:
            tensors = read_list(unpacked_list(data, digest))
            size = body_bytes(tensors or {})
        except (DatabaseError, HeaderError):
            tensors = None
        if tensors is None:
            damaged.append(digest)
        else:
            facts[digest] = list_facts(tensors, size)
    return DecodedLists(facts, damaged)


def decode_batch(batch: HeaderBatch) -> DecodedBatch:
    """Decode a batch of headers.

    The tensors and the raw metadata are left out of the result. Nothing needs them, and passing them
    between processes would take longer than decoding them.
    """
    verdicts: dict[int, Verdict] = {}
    damaged: dict[int, str] = {}
    for header in batch.headers:
        try:
            verdict = _verdict(header, batch.facts)
        except DatabaseError as error:
            damaged[header.file_id] = str(error)
            continue
        if (decoded := verdict.decoded) is not None:
            bare = replace(decoded.header, tensors={}, metadata=None)
            verdict = replace(verdict, decoded=replace(decoded, header=bare))
        verdicts[header.file_id] = verdict
    return DecodedBatch(verdicts, damaged)


def _verdict(header: StoredHeader, facts: Mapping[bytes, ListFacts]) -> Verdict:
    """Decode one header; raises DatabaseError if it or its list is damaged."""
    own = unpacked(header.data, header.file_id)
    if header.list_digest is None or header.list_start is None:
        return verdict_of(own, header.file_bytes)
    found = facts.get(header.list_digest)
    if found is None:
        raise DatabaseError(
            f"the stored tensor list of file {header.file_id} is missing or damaged"
        )
    try:
        return verdict_again(own, header.list_start, found, header.file_bytes)
    except ValueError as error:
        text = f"the stored header of file {header.file_id} is damaged: {error}"
        raise DatabaseError(text) from error


@contextmanager
def _spread(processes: int) -> Iterator[_Spread]:
    """Run functions in this process or, with more than one, in others. The end ends these."""
    if processes == 1:
        yield map
        return
    # Spawned, not forked: the display and the database driver run threads in this process.
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_begin_process
    )

    def spread(function: Callable[[_Job], _Done], jobs: Iterable[_Job]) -> Iterator[_Done]:
        waiting: deque[Future[_Done]] = deque()
        for job in jobs:
            waiting.append(pool.submit(function, job))
            # Two jobs wait for each process, so that none waits for the database.
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield spread
    except BrokenExecutor as error:
        raise StoppedError(
            "a decoding process was killed; run the command again to continue"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process() -> None:
    """Tie the life of a decoding process to the process that started it."""
    # Ctrl-C reaches every process of a terminal. Only the first process decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # If the first process is killed, this one gets no signal and would wait for work for ever.
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
