"""Take in what another crawl has read.

    models, versions, statistics, files    merged by who saw them last
    headers > the tensor lists they need > whole headers, judged and decoded as in a sync

Each batch is one transaction, and what is there already is left out. A run that was stopped or killed
is therefore continued by the next one.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from crawler.decode.tensors.facts import KnownLists
from crawler.decode.verdict import result_of
from crawler.errors import DatabaseError, ExportError, UsageError
from crawler.model import Fetched, File, Result, Target
from crawler.model.outcome import FROM_BYTES, READ
from crawler.safetensors.reader import read_list
from crawler.safetensors.split import joined
from crawler.share.database_source import open_database
from crawler.share.export_source import open_export
from crawler.share.source import Source
from crawler.share.values import Field, UnfitError, read_row, tables
from crawler.sources.civitai.client import origin_of
from crawler.sources.civitai.payload import files_of
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import redacted
from crawler.store.read.headers import stored_lists, unpacked, unpacked_list
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.headers import (
    forget_unused_lists,
    insert_written_lists,
    missing_lists,
)
from crawler.store.write.merged import (
    Merged,
    OldHeader,
    SeenFile,
    merge_files,
    merge_models,
    merge_old_headers,
    merge_statistics,
    merge_versions,
    seen_last,
    unread_targets,
    version_bodies,
)
from crawler.store.write.results import store_results
from crawler.sync.progress import ImportTally

#: The tables that are read.
NEEDED = ("models", "versions", "stat_history", "loras", "headers", "tensor_lists", "old_headers")

#: The word for it in `crawls.walk`.
WALK = "import"

#: Rows in one transaction, and bytes of headers that are in memory at once.
_BATCH, _PORTION_BYTES = 500, 32 * 1024 * 1024

#: Tables whose rows may be long, so that a batch of the source is one here.
_LONG = frozenset({"old_headers"})

_T = TypeVar("_T")
_Row = dict[str, Any]


@contextlib.contextmanager
def open_source(where: str) -> Iterator[Source]:
    """The export or the database at a place, while the block lasts.

    Args:
        where: A folder, `hf://datasets/OWNER/NAME[@REVISION]`, or the path or URL of a database.

    Raises:
        UsageError: It is none of these, or a package is missing.
        DatabaseError, ExportError: It is not whole, not current, or not an export.
        StoppedError: It cannot be reached.
    """
    if where.startswith("hf:"):
        _check_hub_place(where)
        is_export = True
    else:
        # Not Path.is_dir, which takes an empty text for the folder here, and may raise.
        is_export = "://" not in where and os.path.isdir(where)  # noqa: PTH112
    opened = open_export(where, NEEDED) if is_export else open_database(where, NEEDED)
    with opened as source:
        yield source


def _check_hub_place(where: str) -> None:
    parts = where.removeprefix("hf://datasets/").partition("@")[0].split("/")
    if not where.startswith("hf://datasets/") or len(parts) != 2 or not all(parts):  # noqa: PLR2004
        raise UsageError(f"{where!r} is no data set; write it like hf://datasets/OWNER/NAME")


@dataclass(frozen=True, slots=True)
class _Run:
    """The shared state of one import.

    Attributes:
        latest: The versions that the source saw last.
        unread: The files whose header it has and this database needs, with when it was fetched.
        lists: The facts of tensor lists.
        held: Some of the stored tensor lists by digest, compressed; None for a missing one.
    """

    engine: Engine
    source: Source
    tally: ImportTally
    going: Callable[[], bool]
    clock: Callable[[], datetime]
    origin: str
    fields: Mapping[str, Mapping[str, Field]]
    max_header: int
    latest: set[int] = field(default_factory=set)
    unread: dict[int, datetime] = field(default_factory=dict)
    lists: KnownLists = field(default_factory=KnownLists)
    held: dict[bytes, bytes | None] = field(default_factory=dict)

    def goes(self) -> bool:
        """Whether to go on; asked after each batch."""
        self.tally.stopping = self.tally.stopping or not self.going()
        return not self.tally.stopping

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """The result of `work`, which runs in a transaction of its own."""
        with translated(self.engine.url), self.engine.begin() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """The result of `work`, which only reads."""
        with translated(self.engine.url), self.engine.connect() as connection:
            return work(connection)


def import_from(
    engine: Engine,
    source: Source,
    *,
    tally: ImportTally,
    going: Callable[[], bool],
    max_header: int,
    clock: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 - holds no state
) -> None:
    """Take in the models, versions, files and headers of a source.

    Args:
        engine: The database, at the newest revision. Nothing else may write to it meanwhile.
        source: What is read.
        tally: Updated during the import.
        going: Called after each batch; when it returns False the import ends cleanly.
        max_header: Longest header, in bytes.
        clock: Gives the stored times.

    Raises:
        UsageError: The database was filled from another API than the source, or that has no files.
        ExportError: An export is damaged.
        DatabaseError, StoppedError: A database or the source failed. What was stored stays.
    """
    if source.about.place == redacted(engine.url):
        raise UsageError(f"{source.about.place} cannot be imported into itself")
    origin = _origin(source)
    run = _Run(engine, source, tally, going, clock, origin, tables(clock(), max_header), max_header)
    crawl_id = run.write(lambda db: begin_crawl(db, origin=origin, walk=WALK, now=clock()))
    tally.total = sum(source.about.rows.values())
    ending = "cancelled"
    try:
        steps = (_models, _versions, _statistics, _files, _headers, _old_headers)
        ending = "done" if all(step(run) for step in steps) else "interrupted"
    finally:
        summary = tally.summary()
        run.write(
            lambda db: finish_crawl(db, crawl_id, ending=ending, summary=summary, now=clock())
        )
    refresh_if_due(engine, now=clock(), going=going)


def _origin(source: Source) -> str:
    said = source.about.origin
    if said is None:
        raise UsageError(f"{source.about.place} has no files of a site")
    try:
        if origin_of(said) == said:
            return said
    except UsageError:
        pass
    raise ExportError(f"{source.about.place}: {said!r} is not the URL of an API")


def _batches(run: _Run, table: str) -> Iterator[list[_Row]]:
    """The usable rows of a table in batches; the others are told. Stops when the run must stop."""
    fields = run.fields[table]
    batch: list[_Row] = []
    for part in run.source.rows(table, {name: one.column for name, one in fields.items()}):
        batch += _checked(run, table, part)
        if table in _LONG:
            yield batch
            batch = []
        while len(batch) >= _BATCH:
            yield batch[:_BATCH]
            batch = batch[_BATCH:]
        run.tally.done += len(part)
        if not run.goes():
            return
    if batch:
        yield batch


def _checked(run: _Run, table: str, rows: Sequence[Sequence[Any]]) -> Iterator[_Row]:
    """The rows whose values can all be stored, without those of files of another machine."""
    for raw in rows:
        if isinstance(raw[0], int) and raw[0] < 0:
            continue
        try:
            yield read_row(run.fields[table], raw)
        except UnfitError as error:
            key = raw[0].hex()[:16] if isinstance(raw[0], bytes) else raw[0]
            run.tally.add_troubles([f"{table} {key}: {error}"])


def _distinct(run: _Run, table: str, rows: Sequence[_Row]) -> list[_Row]:
    """The rows without a second one of the same id."""
    key = next(iter(run.fields[table]))
    found: dict[int, _Row] = {}
    for row in rows:
        if found.setdefault(row[key], row) is not row:
            run.tally.add_troubles([f"{table} {row[key]}: there is another row with this id"])
    return list(found.values())


def _merge(
    run: _Run,
    table: str,
    merge: Callable[[Connection, Sequence[_Row]], Merged],
) -> bool:
    """Merge the rows of a table; returns whether all were read."""
    for rows in _batches(run, table):
        _note(run, table, run.write(partial(_merged, merge, rows)))
    return not run.tally.stopping


def _merged(
    merge: Callable[[Connection, Sequence[_Row]], Merged], rows: Sequence[_Row], db: Connection
) -> Merged:
    return merge(db, rows)


def _note(run: _Run, table: str, merged: Merged) -> None:
    run.tally.new[table] += merged.new
    run.tally.changed[table] += merged.changed
    run.tally.add_troubles(
        f"{table} {key}: what it belongs to is not there" for key in merged.orphans
    )


def _models(run: _Run) -> bool:
    return _merge(run, "models", lambda db, rows: merge_models(db, _distinct(run, "models", rows)))


def _versions(run: _Run) -> bool:
    def merge(db: Connection, rows: Sequence[_Row]) -> Merged:
        found = merge_versions(db, _distinct(run, "versions", rows))
        run.latest.update(seen_last(db, {row["version_id"]: row["last_seen_at"] for row in rows}))
        return found

    return _merge(run, "versions", merge)


def _statistics(run: _Run) -> bool:
    return _merge(run, "stat_history", merge_statistics)


def _files(run: _Run) -> bool:
    def merge(db: Connection, rows: Sequence[_Row]) -> Merged:
        rows = _distinct(run, "loras", rows)
        kinds = _kinds(db, [row for row in rows if row["outcome"] not in READ])
        seen = [
            SeenFile(
                file=_file(row, kinds.get(row["file_id"])),
                version_id=row["version_id"],
                gone_at=row["gone_at"],
                is_latest=row["version_id"] in run.latest,
            )
            for row in rows
        ]
        found = merge_files(db, seen, origin=run.origin)
        count_changes(db, found.new + found.changed)
        now = run.clock()
        for row in rows:
            if row["outcome"] in FROM_BYTES and row["file_id"] in found.unread:
                run.unread[row["file_id"]] = min(row["fetched_at"] or now, now)
        return found

    return _merge(run, "loras", merge)


def _kinds(db: Connection, rows: Sequence[_Row]) -> dict[int, File]:
    """The files as their versions list them, by id. Their types and formats tell what is no LoRA."""
    bodies = version_bodies(db, {row["version_id"] for row in rows})
    return {file.file_id: file for body in bodies for file in files_of(body)}


def _file(row: _Row, listed: File | None) -> File:
    return File(
        file_id=row["file_id"],
        name=row["file_name"] or "",
        type=listed.type if listed else None,
        format=listed.format if listed else None,
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        autov2=row["autov2"],
        autov3=row["autov3"],
        is_primary=bool(row["is_primary"]),
    )


def _headers(run: _Run) -> bool:
    """Store the headers that are needed, after the tensor lists that these need."""
    if not run.unread:
        return True
    run.tally.to_read = len(run.unread)
    fields = run.fields["headers"]
    narrow = {name: fields[name].column for name in ("file_id", "list_digest")}
    digests: set[bytes] = set()
    for part in run.source.rows("headers", narrow):
        digests.update(raw[1] for raw in part if raw[0] in run.unread and isinstance(raw[1], bytes))
        if not run.goes():
            return False
    new = _store_lists(run, run.read(lambda db: missing_lists(db, digests)))
    if not run.tally.stopping:
        _store_headers(run)
    run.write(lambda db: forget_unused_lists(db, new))
    return not run.tally.stopping


def _store_lists(run: _Run, missing: set[bytes]) -> set[bytes]:
    """Store the tensor lists of these digests; returns those that were there and sound."""
    columns = {name: one.column for name, one in run.fields["tensor_lists"].items()}
    stored: set[bytes] = set()

    def wanted(keys: Sequence[Any]) -> Collection[Any]:
        new = {key for key in keys if isinstance(key, bytes)} & missing
        return new - stored

    if not missing:
        return stored
    for part in run.source.rows("tensor_lists", columns, wanted):
        for lists in _portions(_sound_lists(run, part), lambda found: len(found[1])):
            run.write(partial(insert_written_lists, lists=dict(lists)))
            stored.update(digest for digest, _ in lists)
        if not run.goes():
            break
    return stored


def _sound_lists(run: _Run, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[bytes, bytes]]:
    """The digests and bytes of tensor lists; the others are told."""
    for row in _checked(run, "tensor_lists", rows):
        try:
            written = unpacked_list(row["data"], row["digest"], run.max_header)
            # What no reader of a header would call a list is none.
            if read_list(written) is None:
                raise UnfitError("it is no tensor list")  # noqa: TRY301
        except (DatabaseError, UnfitError) as error:
            run.tally.add_troubles(
                [f"tensor_lists {row['digest'].hex()[:16]}: {_first_line(error)}"]
            )
        else:
            yield row["digest"], written


def _portions(found: Iterable[_T], size: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Things in portions of some megabytes: a few compressed bytes can become many."""
    portion: list[_T] = []
    total = 0
    for one in found:
        portion.append(one)
        total += size(one)
        if total >= _PORTION_BYTES:
            yield portion
            portion, total = [], 0
    if portion:
        yield portion


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _store_headers(run: _Run) -> None:
    columns = {name: one.column for name, one in run.fields["headers"].items()}

    def wanted(keys: Sequence[Any]) -> Collection[Any]:
        return {key for key in keys if key in run.unread}

    for part in run.source.rows("headers", columns, wanted):
        rows = [row for row in _checked(run, "headers", part) if row["file_id"] in run.unread]
        run.write(partial(_store_batch, run, _distinct(run, "headers", rows)))
        if not run.goes():
            return


def _store_batch(run: _Run, rows: Sequence[_Row], db: Connection) -> None:
    for results in _portions(_results(run, rows, db), lambda result: len(result.header)):
        stored = store_results(db, results)
        count_changes(db, len(stored))
        run.tally.outcomes.update(result.outcome for result in stored)
        for result in stored:
            run.unread.pop(result.target.file_id, None)


def _results(run: _Run, rows: Sequence[_Row], db: Connection) -> Iterator[Result]:
    """What becomes of files whose header was read elsewhere; headers that are not usable are told."""
    targets = unread_targets(db, [row["file_id"] for row in rows])
    for row in rows:
        if row["file_id"] not in targets:
            continue
        try:
            yield _result(run, row, targets[row["file_id"]], _list(run, row["list_digest"], db))
        except (DatabaseError, UnfitError) as error:
            run.tally.add_troubles([f"headers {row['file_id']}: {_first_line(error)}"])


def _list(run: _Run, digest: bytes | None, db: Connection) -> bytes | None:
    """A stored tensor list, compressed. Most files have one of few."""
    if digest is not None and digest not in run.held:
        if sum(len(data or b"") for data in run.held.values()) > _PORTION_BYTES:
            run.held.clear()
        run.held.update(stored_lists(db, [digest]))
    return None if digest is None else run.held[digest]


def _result(run: _Run, row: _Row, target: Target, tensors: bytes | None) -> Result:
    """The result of a file whose header was read elsewhere.

    Raises:
        DatabaseError: The header or its list is damaged.
        UnfitError: It is too long, or not certainly the file's.
    """
    header = unpacked(row["data"], row["file_id"], run.max_header)
    if (digest := row["list_digest"]) is not None:
        start = row["list_start"]
        if start is None or start > len(header):
            raise UnfitError(f"list_start: {start} is no place in it")
        written = unpacked_list(tensors, digest, run.max_header)
        if len(header) + len(written) > run.max_header:
            raise UnfitError(f"it is longer than {run.max_header:,} bytes")
        header = joined(header, start, written)
    fetched = Fetched(target=target, prefix=header, file_bytes=row["file_bytes"], tries=0)
    result = result_of(fetched, run.unread[row["file_id"]], run.lists)
    if result.transient:
        # A sync would try again. It may have been a page of the storage host.
        raise UnfitError(f"it is not certain that this is the file: {result.reason}")
    return result


def _old_headers(run: _Run) -> bool:
    def merge(db: Connection, rows: Sequence[_Row]) -> Merged:
        merged = Merged()
        for found in _portions(_old(run, rows), lambda old: len(old.header)):
            one = merge_old_headers(db, found)
            merged.new += one.new
            merged.orphans += one.orphans
        return merged

    return _merge(run, "old_headers", merge)


def _old(run: _Run, rows: Sequence[_Row]) -> Iterator[OldHeader]:
    for row in rows:
        try:
            header = unpacked(row["data"], row["file_id"], run.max_header)
        except DatabaseError as error:
            run.tally.add_troubles([f"old_headers {row['file_id']}: {_first_line(error)}"])
        else:
            yield OldHeader(row["file_id"], header, row["file_bytes"], row["replaced_at"])
