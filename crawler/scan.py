"""A scan of folders on this machine: what is new or changed is read, the rest is left alone.

A file is stored with how it looked from outside before it was read, in the transaction that stores
what it says. Killed anywhere, the next scan finds the rest as new.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import TypeVar

from crawler.decode.modelspec import claimed_weights
from crawler.decode.verdict import result_of
from crawler.model import Fetched, FileHashes, LocalFile, LocalResult, Outcome, Result, Target
from crawler.model.header import LENGTH_BYTES
from crawler.model.outcome import READ
from crawler.sources.disk import (
    Folder,
    Unseen,
    hash_file,
    look_through,
    read_beginning,
    vanished,
)
from crawler.store.connect.database import Connection, Engine, translated
from crawler.store.read import matches
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write import local_files as writes_local
from crawler.store.write.crawls import LOCAL, begin_crawl, finish_crawl
from crawler.store.write.local_files import KnownFile
from crawler.sync.run import utc_now

#: Sentences on files and folders in trouble that are kept to be told; the rest are only counted.
TOLD_SENTENCES = 20


@dataclass(slots=True)
class ScanTally:
    """Counts that grow while a scan runs; one display reads them, the scan adds to them.

    Attributes:
        folders: Folders that were listed.
        found: Safetensors files in them, and files that were named.
        to_read: Of these, new or changed ones; None while folders are still being listed.
        read: Of these, read so far.
        to_hash: Files that may be crawled ones, which only their bytes can tell.
        hashed: Of these, hashed so far.
        outcomes: Files by outcome: those that were left alone, and those that are stored.
        matched: Files that a crawl has met too, by what shows it.
        gone: Known files that have vanished since the last scan.
        unseen: Paths that could not be looked at.
        troubles: These, and files that were read and are not sound.
        sentences: The first of them in words.
        stopping: No new work is begun.
    """

    folders: int = 0
    found: int = 0
    to_read: int | None = None
    read: int = 0
    unchanged: int = 0
    to_hash: int = 0
    hashed: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    unseen: int = 0
    troubles: int = 0
    sentences: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the scan began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> int:
        """Files that are still to be read or hashed, as far as they are known."""
        return (self.to_read or 0) - self.read + self.to_hash - self.hashed

    @property
    def unsound(self) -> int:
        """Files that are no sound safetensors files, and paths that could not be looked at."""
        files = sum(count for outcome, count in self.outcomes.items() if outcome not in READ)
        return files + self.unseen

    def add_unseen(self, path: str, reason: str) -> None:
        """A path that could not be looked at."""
        self.unseen += 1
        self._tell(f"{path}: {reason}")

    def add_read(self, one: LocalResult) -> None:
        """A file that is stored now."""
        result = one.result
        self.outcomes[result.outcome] += 1
        if result.outcome not in READ:
            self._tell(f"{one.file.path}: {result.outcome}: {result.reason}")

    def summary(self) -> dict[str, object]:
        """For `crawls` and for `scan --json`."""
        return {
            "folders_listed": self.folders,
            "files_found": self.found,
            "files_read": self.read,
            "unchanged": self.unchanged,
            "outcomes": {outcome.value: count for outcome, count in sorted(self.outcomes.items())},
            "matched": dict(sorted(self.matched.items())),
            "gone": self.gone,
            "unseen_paths": self.unseen,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }

    def _tell(self, sentence: str) -> None:
        self.troubles += 1
        if len(self.sentences) < TOLD_SENTENCES:
            self.sentences.append(sentence)


def hash_likely(
    engine: Engine,
    files: Mapping[int, LocalFile],
    *,
    tally: ScanTally,
    going: Callable[[], bool],
) -> None:
    """Hash those of the files that may be crawled ones; each is stored at once.

    Args:
        engine: The database; the files are stored in it.
        files: By their ids, as they looked before they were read.
        tally: Grows while it runs.
        going: Asked before each file; False ends it, and the next scan goes on.
    """
    with translated(engine.url), engine.begin() as connection:
        likely = matches.to_be_hashed(connection, files)
    tally.to_hash = len(likely)
    for file_id, header_bytes in likely.items():
        if not going():
            return
        hashes = _hashes(files[file_id], header_bytes)
        if hashes is not None:
            with translated(engine.url), engine.begin() as connection:
                writes_local.store_hashes(connection, {file_id: hashes})
        tally.hashed += 1


def _hashes(file: LocalFile, header_bytes: int | None) -> FileHashes | None:
    """None where the file cannot be read, or is no longer the one whose header was read."""
    end = None if header_bytes is None else LENGTH_BYTES + header_bytes
    try:
        path = Path(file.path)
        hashes, now = hash_file(path, header_bytes=end), path.stat()
    except OSError:
        return None
    same = (now.st_size, now.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
    return hashes if same else None


#: What is stored in one transaction at most: a kill loses no more than one of these.
BATCH_FILES, BATCH_SECONDS = 64, 5.0

#: Bytes of headers after which a batch is stored, so that a folder of huge ones needs little memory.
BATCH_BYTES = 32 * 1024 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What one scan is to do.

    Attributes:
        roots: Folders and single files.
        force: Read files again that have not changed.
        hashes: Hash every file, not only those that may be crawled ones.
    """

    roots: tuple[str, ...]
    force: bool = False
    hashes: bool = False


@dataclass(frozen=True, slots=True)
class _Due:
    """A file that is to be read, and the id that it has or gets."""

    file: LocalFile
    file_id: int


def scan(
    engine: Engine,
    plan: ScanPlan,
    *,
    tally: ScanTally,
    going: Callable[[], bool],
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Look through the folders and store what their files say.

    Args:
        engine: The database, created and upgraded; nobody else writes local files to it meanwhile.
        plan: What to do.
        tally: Grows while it runs.
        going: Asked after each file and folder; False ends the scan in good order.
        clock: Gives the stored times.

    Raises:
        DatabaseError, StoppedError: The database failed; what was stored stays.
    """
    crawl_id = _write(
        engine,
        lambda connection: begin_crawl(
            connection, origin=LOCAL, walk=writes_local.WALK, now=clock()
        ),
    )
    ending = "cancelled"
    try:
        complete = _scan(engine, plan, tally, going, clock)
        ending = "done" if complete else "interrupted"
    finally:
        summary = tally.summary()
        _write(
            engine,
            lambda connection: finish_crawl(
                connection, crawl_id, ending=ending, summary=summary, now=clock()
            ),
        )


def _scan(
    engine: Engine,
    plan: ScanPlan,
    tally: ScanTally,
    going: Callable[[], bool],
    clock: Callable[[], datetime],
) -> bool:
    files, folders, complete = _look(plan, tally, going)
    known = _write(engine, writes_local.known_files)
    due, same = _compare(files, known, plan, _write(engine, writes_local.next_local_id))
    tally.to_read, tally.unchanged = len(due), len(same)
    tally.outcomes.update(one.outcome for one in same)
    ids = [one.file_id for one in same]
    _write(engine, lambda connection: writes_local.seen_again(connection, ids, now=clock()))
    for batch in _batches(due, plan, tally, going, clock):
        _store(engine, batch, tally, clock())
    here = {one.file_id: one.file for one in due} | {one.file_id: files[one.path] for one in same}
    hash_likely(engine, here, tally=tally, going=going)
    complete = complete and not tally.left
    gone = _gone(known, files, folders) if complete else []

    def finish(connection: Connection) -> None:
        writes_local.note_gone(connection, gone, now=clock())
        found = matches.match_local_files(connection)
        tally.matched.update(by.value for file_id, by in found.by.items() if file_id in here)
        if tally.read or tally.hashed or gone or found.changed:
            refresh_statistics(connection)

    _write(engine, finish)
    tally.gone = len(gone)
    return complete


def _write(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with translated(engine.url), engine.begin() as connection:
        return work(connection)


def _look(
    plan: ScanPlan, tally: ScanTally, going: Callable[[], bool]
) -> tuple[dict[str, LocalFile], set[str], bool]:
    """The files by their stored paths, the folders that were listed, and whether that is all."""
    files: dict[str, LocalFile] = {}
    folders: set[str] = set()
    for found in look_through(plan.roots):
        match found:
            case Folder():
                folders.add(found.path)
            case LocalFile():
                files.setdefault(found.stored_path, found)
            case Unseen():
                tally.add_unseen(found.path, found.reason)
        tally.folders, tally.found = len(folders), len(files)
        if not going():
            return files, folders, False
    return files, folders, True


def _compare(
    files: dict[str, LocalFile], known: dict[str, KnownFile], plan: ScanPlan, next_id: int
) -> tuple[list[_Due], list[KnownFile]]:
    """The files to be read, and the known ones that are as they were."""
    due: list[_Due] = []
    same: list[KnownFile] = []
    for path, file in files.items():
        before = known.get(path)
        if before is None:
            due.append(_Due(file, next_id))
            next_id -= 1
        elif plan.force or not before.still_holds(file, with_hash=plan.hashes):
            due.append(_Due(file, before.file_id))
        else:
            same.append(before)
    return due, same


def _batches(
    due: Sequence[_Due],
    plan: ScanPlan,
    tally: ScanTally,
    going: Callable[[], bool],
    clock: Callable[[], datetime],
) -> Iterator[list[LocalResult]]:
    batch: list[LocalResult] = []
    began, size = time.monotonic(), 0
    for one in due:
        if not going():
            break
        batch.append(_read(one, plan, clock()))
        tally.read += 1
        size += len(batch[-1].result.header)
        waited = time.monotonic() - began
        if len(batch) >= BATCH_FILES or waited >= BATCH_SECONDS or size >= BATCH_BYTES:
            yield batch
            batch, began, size = [], time.monotonic(), 0
    if batch:
        yield batch


def _store(engine: Engine, batch: list[LocalResult], tally: ScanTally, now: datetime) -> None:
    _write(engine, lambda connection: writes_local.store_local(connection, batch, now=now))
    for one in batch:
        tally.add_read(one)


def _read(one: _Due, plan: ScanPlan, now: datetime) -> LocalResult:
    """Read a file. Never raises: what is in the way becomes the outcome `failed`."""
    path = Path(one.file.path)
    target = Target(file_id=one.file_id, version_id=one.file_id, file_name=path.name)
    try:
        beginning = read_beginning(path)
        fetched = Fetched(target=target, prefix=beginning.prefix, file_bytes=beginning.file_bytes)
        result = result_of(fetched, now)
        header = result.decoded.header if result.decoded else None
        hashes = None
        if plan.hashes:
            end = LENGTH_BYTES + header.length if header else None
            hashes = hash_file(path, header_bytes=end)
    except OSError as error:
        reason = error.strerror or str(error)
        refused = Result(target=target, outcome=Outcome.FAILED, reason=reason, fetched_at=now)
        return LocalResult(file=one.file, result=refused)
    claimed = claimed_weights(header.metadata) if header else None
    return LocalResult(file=one.file, result=result, hashes=hashes, claimed_weights=claimed)


def _gone(known: dict[str, KnownFile], files: dict[str, LocalFile], folders: set[str]) -> list[int]:
    """Files that lay below a folder that was listed, and of which nothing is there any more."""
    return [
        one.file_id
        for path, one in known.items()
        if path not in files
        and not one.gone
        and any(str(parent) in folders for parent in PurePath(path).parents)
        and vanished(path)
    ]
