"""Decode the stored headers again, without any network, in batches in the order of file ids.

One transaction stores a batch and marks its headers as decoded by this version. A run that was
stopped or killed is therefore continued by the next one.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context, parent_process

from crawler.decode.verdict import Verdict, verdict_of
from crawler.errors import DatabaseError, StoppedError
from crawler.model import Header
from crawler.store.connect.database import Engine
from crawler.store.connect.db_errors import translated
from crawler.store.read.headers import unpacked
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.results import StoredHeader, headers_to_decode, read_headers, store_again
from crawler.sync.progress import RedecodeTally

#: Headers in one transaction, and their length together, which is also what a process gets at once:
#: some tenths of a second. A longer header is a batch of its own.
BATCH, BATCH_BYTES = 64, 8 * 1024 * 1024

#: With fewer headers, starting processes takes longer than it saves.
FEWEST_FOR_PROCESSES = 1_000

#: The database cannot store what more processes would decode.
MOST_PROCESSES = 4

#: A batch decoded: the verdicts by file id, and a sentence for each damaged header.
DecodedBatch = tuple[Mapping[int, Verdict], Sequence[str]]


def redecode(
    engine: Engine,
    *,
    tally: RedecodeTally,
    going: Callable[[], bool],
    everything: bool = False,
    processes: int = 1,
) -> None:
    """Decode the headers that an older version decoded, or all of them, and store the results.

    Args:
        engine: The database, at the newest revision. Nothing else may write headers meanwhile.
        tally: Updated during the run.
        going: Called after each batch; when it returns False the run ends cleanly.
        everything: Decode headers of this version too.
        processes: How many processes decode; 1 means this process does.

    Raises:
        DatabaseError, StoppedError: The database or a process failed. What was stored stays.
    """
    with translated(engine.url), engine.connect() as connection:
        lengths = headers_to_decode(connection, everything=everything)
    tally.total = len(lengths)
    if len(lengths) < FEWEST_FOR_PROCESSES:
        processes = 1
    with closing(_decoded(_batches(engine, lengths), min(processes, MOST_PROCESSES))) as decoded:
        for verdicts, damaged in decoded:
            with translated(engine.url), engine.begin() as connection:
                changed = store_again(connection, verdicts)
            tally.done += len(verdicts)
            tally.changed += changed
            tally.add_troubles(damaged)
            if not going():
                break
    if tally.done:
        with translated(engine.url), engine.begin() as connection:
            refresh_statistics(connection)


def _batches(engine: Engine, lengths: Mapping[int, int]) -> Iterator[list[StoredHeader]]:
    for ids in id_batches(lengths):
        with translated(engine.url), engine.connect() as connection:
            batch = read_headers(connection, ids)
        yield batch


def id_batches(lengths: Mapping[int, int]) -> Iterator[list[int]]:
    """The ids in batches, from the length of each header in bytes."""
    batch: list[int] = []
    size = 0
    for file_id, length in lengths.items():
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file_id)
        size += length
    if batch:
        yield batch


def decode_batch(batch: Sequence[StoredHeader]) -> DecodedBatch:
    """Decode a batch of headers.

    The tensors are left out of the result. Nothing needs them, and passing them between processes
    would take longer than decoding them.
    """
    verdicts: dict[int, Verdict] = {}
    damaged: list[str] = []
    for header in batch:
        try:
            prefix = unpacked(header.data, header.file_id)
        except DatabaseError as error:
            damaged.append(str(error))
            continue
        verdict = verdict_of(prefix, header.file_bytes)
        if (decoded := verdict.decoded) is not None:
            bare = Header(decoded.header.length, {}, None)
            verdict = replace(verdict, decoded=replace(decoded, header=bare))
        verdicts[header.file_id] = verdict
    return verdicts, damaged


def _decoded(
    batches: Iterable[list[StoredHeader]], processes: int
) -> Generator[DecodedBatch, None, None]:
    """Yield each batch decoded, in the order of the input. Closing it ends the processes."""
    if processes == 1:
        yield from map(decode_batch, batches)
        return
    # Spawned, not forked: the display and the database driver run threads in this process.
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_begin_process
    )
    waiting: deque[Future[DecodedBatch]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(decode_batch, batch))
            # Two batches wait for each process, so that none waits for the database.
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
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
