"""Every stored header decoded again, with no network: batches in the order of ids.

A batch is one transaction, which also notes that these headers are of the newest decoder. So a run
that was stopped anywhere is gone on with by the next one.
"""

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process

from crawler.decode.verdict import Verdict, verdict_of
from crawler.errors import DatabaseError, StoppedError
from crawler.model import Header, Outcome
from crawler.store.connect.database import Engine, translated
from crawler.store.read.headers import unpacked
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.results import StoredHeader, headers_to_decode, read_headers, store_again

#: Headers in one transaction, and in one piece of work of a process: some tenths of a second.
BATCH = 64

#: With fewer headers than these, other processes take longer to start than they save.
FEWEST_FOR_PROCESSES = 1_000

#: The one writer keeps up with no more processes than these.
MOST_PROCESSES = 4

#: Batches read ahead for each process, so that none waits for the database.
_AHEAD = 2

#: Sentences on damaged headers that are kept to be told; the rest are only counted.
TOLD_SENTENCES = 20

Judged = tuple[Mapping[int, Verdict], Sequence[str]]


@dataclass(slots=True)
class RedecodeTally:
    """Counts that grow while headers are decoded.

    Attributes:
        total: Headers to decode in this run.
        done: Of these, decoded and stored.
        changed: Files that ended otherwise than before, by the old and the new outcome.
        damaged: Stored headers that cannot be unpacked; they stay as they are.
        sentences: The first of them in words.
        stopping: No new batch is begun.
    """

    total: int = 0
    done: int = 0
    changed: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)
    damaged: int = 0
    sentences: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> int:
        """Headers that are still of an older decoder and can be decoded."""
        return self.total - self.done - self.damaged

    def add(self, judged: Judged, changed: Counter[tuple[Outcome, Outcome]]) -> None:
        """A batch that is stored now."""
        decoded, damaged = judged
        self.done += len(decoded)
        self.changed += changed
        self.damaged += len(damaged)
        self.sentences += damaged[: TOLD_SENTENCES - len(self.sentences)]

    def summary(self) -> dict[str, object]:
        """For `redecode --json`."""
        return {
            "headers": self.total,
            "decoded_again": self.done,
            "changed": [
                {"from": old.value, "to": new.value, "files": files}
                for (old, new), files in sorted(self.changed.items())
            ],
            "damaged": self.damaged,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


def redecode(
    engine: Engine,
    *,
    tally: RedecodeTally,
    going: Callable[[], bool],
    everything: bool = False,
    processes: int = 1,
) -> None:
    """Decode the headers of older decoders again, or all of them, and store what they say now.

    Args:
        engine: The database, at the newest revision; nobody else writes headers to it meanwhile.
        tally: Grows while it runs.
        going: Asked after each batch; False ends the run in good order.
        everything: Headers that this decoder has read too.
        processes: That decode at the same time; one means none beside this.

    Raises:
        DatabaseError, StoppedError: The database or a process failed; what was stored stays.
    """
    with translated(engine.url), engine.connect() as connection:
        ids = headers_to_decode(connection, everything=everything)
    tally.total = len(ids)
    batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
    read = (_read(engine, batch) for batch in batches)
    if len(ids) < FEWEST_FOR_PROCESSES:
        processes = 1
    with _decoding(read, min(processes, MOST_PROCESSES)) as decoded:
        for judged in decoded:
            with translated(engine.url), engine.begin() as connection:
                changed = store_again(connection, judged[0])
            tally.add(judged, changed)
            if not going():
                break
    if tally.done:
        with translated(engine.url), engine.begin() as connection:
            refresh_statistics(connection)


def decode_batch(batch: Sequence[StoredHeader]) -> Judged:
    """What headers come to, by file, and a sentence for each that is damaged.

    The tensors are left out of what is returned: nothing more is asked of them, and to hand them
    from one process to another would take longer than to read them.
    """
    judged: dict[int, Verdict] = {}
    damaged: list[str] = []
    for header in batch:
        try:
            prefix = unpacked(header.data, header.file_id)
        except DatabaseError as error:
            damaged.append(str(error))
            continue
        judged[header.file_id] = _without_tensors(verdict_of(prefix, header.file_bytes))
    return judged, damaged


def _without_tensors(verdict: Verdict) -> Verdict:
    if verdict.decoded is None:
        return verdict
    bare = Header(verdict.decoded.header.length, {}, None)
    return replace(verdict, decoded=replace(verdict.decoded, header=bare))


def _read(engine: Engine, file_ids: Sequence[int]) -> list[StoredHeader]:
    with translated(engine.url), engine.connect() as connection:
        return read_headers(connection, file_ids)


@contextmanager
def _decoding(batches: Iterable[list[StoredHeader]], processes: int) -> Iterator[Iterator[Judged]]:
    """The same batches decoded, in their order."""
    if processes == 1:
        yield map(decode_batch, batches)
        return
    # Not forked: this process has threads, of the display and of the database's driver.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_begin_process,
    )
    try:
        yield _in_order(pool, batches, ahead=processes * _AHEAD)
    except BrokenExecutor as error:
        raise StoppedError(
            "a process that decodes was ended from outside; run the command again to go on"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process() -> None:
    """What a process that decodes does first: it ends with the one that started it, and not before."""
    # Ctrl-C reaches all processes of a terminal; when to end is decided in the first one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # When the first process is killed nobody tells the others, which would wait for work for ever.
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _in_order(
    pool: ProcessPoolExecutor, batches: Iterable[list[StoredHeader]], *, ahead: int
) -> Iterator[Judged]:
    waiting: deque[Future[Judged]] = deque()
    for batch in batches:
        waiting.append(pool.submit(decode_batch, batch))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
