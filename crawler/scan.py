"""Scan local folders: read new and changed files, leave the others alone.

The size and time of a file are stored in the same transaction as its header. A scan that is killed
loses one batch at most; the next scan finds those files as new.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePath
from typing import TypeVar

from crawler.decode.modelspec import claimed_weights
from crawler.decode.tensors.facts import KnownLists
from crawler.decode.verdict import result_of
from crawler.model import Fetched, FileHashes, LocalFile, LocalResult, Outcome, Result, Target
from crawler.model.header import LENGTH_BYTES
from crawler.model.outcome import READ
from crawler.sources.disk import Folder, Unseen, hash_file, look_through, read_beginning, vanished
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.transactions import retried_transaction
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.crawls import LOCAL, begin_crawl, finish_crawl
from crawler.store.write.local_files import (
    WALK,
    KnownFile,
    Matches,
    known_files,
    mark_missing,
    mark_seen,
    match_local_files,
    next_local_id,
    store_hashes,
    store_local,
    to_be_hashed,
)
from crawler.sync.progress import ScanTally

#: The most that one transaction stores, and that a kill can lose.
BATCH_FILES, BATCH_SECONDS = 64, 5.0

#: Bytes of headers in one transaction, so that a folder of huge headers needs little memory.
BATCH_BYTES = 32 * 1024 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """The options of a scan.

    Attributes:
        roots: Folders and single files.
        force: Read unchanged files again.
        hashes: Hash every file, not only files that may match a crawled one.
    """

    roots: tuple[str, ...]
    force: bool = False
    hashes: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """The shared state of one scan."""

    engine: Engine
    plan: ScanPlan
    tally: ScanTally
    going: Callable[[], bool]
    clock: Callable[[], datetime]
    lists: KnownLists = field(default_factory=KnownLists)

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """The result of `work`, which runs in a transaction of its own; after a conflict again."""
        return retried_transaction(self.engine, work)


def scan(
    engine: Engine,
    plan: ScanPlan,
    *,
    tally: ScanTally,
    going: Callable[[], bool],
    clock: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 - holds no state
) -> None:
    """Read the headers of local files and store them, decoded.

    Args:
        engine: The database, at the newest revision. Nothing else may write local files meanwhile.
        plan: What to do.
        tally: Updated during the scan.
        going: Called after each file and folder; when it returns False the scan ends cleanly.
        clock: Gives the stored times.

    Raises:
        DatabaseError, StoppedError: The database failed. What was stored stays.
    """
    run = _Run(engine, plan, tally, going, clock)
    crawl_id = run.write(lambda db: begin_crawl(db, origin=LOCAL, walk=WALK, now=clock()))
    ending = "cancelled"
    try:
        ending = "done" if _scan(run) else "interrupted"
    finally:
        summary = tally.summary()
        run.write(
            lambda db: finish_crawl(db, crawl_id, ending=ending, summary=summary, now=clock())
        )
    refresh_if_due(engine, now=clock(), going=going)


def _scan(run: _Run) -> bool:
    """Whether the scan was completed."""
    tally = run.tally
    files, folders, complete = _look(run)
    known = run.write(known_files)
    due, unchanged = _compare(files, known, run.plan, run.write(next_local_id))
    tally.to_read, tally.unchanged = len(due), len(unchanged)
    tally.outcomes.update(known[file.stored_path].outcome for file in unchanged.values())
    run.write(lambda db: mark_seen(db, unchanged, now=run.clock()))
    for batch in _batches(run, due):
        _store(run, batch)
    here = due | unchanged
    _hash_likely(run, here)
    complete = complete and not tally.left
    missing = _missing(known, files, folders) if complete else []

    def finish(connection: Connection) -> Matches:
        mark_missing(connection, missing, now=run.clock())
        matches = match_local_files(connection)
        count_changes(connection, tally.read + tally.hashed + len(missing) + matches.changed)
        return matches

    matched = run.write(finish).by
    tally.matched.update(by.value for file_id, by in matched.items() if file_id in here)
    tally.gone = len(missing)
    return complete


def _look(run: _Run) -> tuple[dict[str, LocalFile], set[str], bool]:
    """The files by stored path, the folders listed in full, and whether all folders were listed."""
    files: dict[str, LocalFile] = {}
    folders: set[str] = set()
    for found in look_through(run.plan.roots):
        match found:
            case Folder():
                folders.add(found.path)
            case LocalFile():
                files.setdefault(found.stored_path, found)
            case Unseen():
                run.tally.unseen += 1
                run.tally.add_troubles([f"{found.path}: {found.reason}"])
        run.tally.folders, run.tally.found = len(folders), len(files)
        if not run.going():
            return files, folders, False
    return files, folders, True


def _compare(
    files: Mapping[str, LocalFile], known: Mapping[str, KnownFile], plan: ScanPlan, next_id: int
) -> tuple[dict[int, LocalFile], dict[int, LocalFile]]:
    """The files to read and the unchanged files, by the id that they have or will get."""
    due: dict[int, LocalFile] = {}
    unchanged: dict[int, LocalFile] = {}
    for path, file in files.items():
        before = known.get(path)
        if before is None:
            due[next_id] = file
            next_id -= 1
        elif plan.force or not before.still_holds(file, with_hash=plan.hashes):
            due[before.file_id] = file
        else:
            unchanged[before.file_id] = file
    return due, unchanged


def _batches(run: _Run, due: Mapping[int, LocalFile]) -> Iterator[list[LocalResult]]:
    batch: list[LocalResult] = []
    began, size = time.monotonic(), 0
    for file_id, file in due.items():
        if not run.going():
            break
        batch.append(_read(run, file, file_id))
        run.tally.read += 1
        size += len(batch[-1].result.header)
        waited = time.monotonic() - began
        if len(batch) >= BATCH_FILES or waited >= BATCH_SECONDS or size >= BATCH_BYTES:
            yield batch
            batch, began, size = [], time.monotonic(), 0
    if batch:
        yield batch


def _read(run: _Run, file: LocalFile, file_id: int) -> LocalResult:
    """Read a file. Never raises: a file that cannot be read gets the outcome `failed`."""
    path, now = Path(file.path), run.clock()
    target = Target(file_id=file_id, version_id=file_id, file_name=path.name)
    try:
        beginning = read_beginning(path)
        fetched = Fetched(target=target, prefix=beginning.prefix, file_bytes=beginning.file_bytes)
        result = result_of(fetched, now, run.lists)
        header = result.decoded.header if result.decoded else None
        found = _hashes(path, header.length if header else None) if run.plan.hashes else None
    except OSError as error:
        reason = error.strerror or str(error)
        failed = Result(target=target, outcome=Outcome.FAILED, reason=reason, fetched_at=now)
        return LocalResult(file=file, result=failed)
    claimed = claimed_weights(header.metadata) if header else None
    return LocalResult(file=file, result=result, hashes=found, claimed_weights=claimed)


def _store(run: _Run, batch: Sequence[LocalResult]) -> None:
    run.write(lambda db: store_local(db, batch, now=run.clock()))
    for one in batch:
        outcome, reason = one.result.outcome, one.result.reason
        run.tally.outcomes[outcome] += 1
        if outcome not in READ:
            run.tally.add_troubles([f"{one.file.path}: {outcome}: {reason}"])


def _hash_likely(run: _Run, files: Mapping[int, LocalFile]) -> None:
    """Hash the files that may match a crawled one. Each hash is stored at once.

    Args:
        run: The scan.
        files: Stored files by id, with the size and time they had before they were read.
    """
    likely = run.write(lambda db: to_be_hashed(db, files))
    run.tally.to_hash = len(likely)
    for file_id, header_length in likely.items():
        if not run.going():
            return
        file = files[file_id]
        path = Path(file.path)
        hashes = {}
        # A file that cannot be read, or changed since its header was read, gets no hash.
        with suppress(OSError):
            found, now = _hashes(path, header_length), path.stat()
            if (now.st_size, now.st_mtime_ns) == (file.size_bytes, file.mtime_ns):
                hashes[file_id] = found
        if hashes:
            run.write(partial(store_hashes, hashes=hashes))
        run.tally.hashed += 1


def _hashes(path: Path, header_length: int | None) -> FileHashes:
    """The hashes of a file; without a sound header (None) only that of the whole file."""
    return hash_file(
        path, header_bytes=None if header_length is None else LENGTH_BYTES + header_length
    )


def _missing(
    known: Mapping[str, KnownFile], files: Collection[str], folders: Collection[str]
) -> list[int]:
    """The known files that no longer exist. Only folders that were listed in full count."""
    return [
        one.file_id
        for path, one in known.items()
        if path not in files
        and not one.gone
        and any(str(parent) in folders for parent in PurePath(path).parents)
        and vanished(path)
    ]
