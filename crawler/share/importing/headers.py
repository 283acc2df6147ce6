"""Take in headers: the tensor lists that they need, then the headers, judged and decoded as in a sync."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from crawler.decode.verdict import result_of
from crawler.errors import DatabaseError
from crawler.model import Fetched, Result, Target
from crawler.safetensors.reader import read_list
from crawler.safetensors.split import joined
from crawler.share.importing.run import Row, Run
from crawler.share.values import UnfitError
from crawler.store.connect.database import Connection
from crawler.store.read.headers import stored_lists, unpacked, unpacked_list
from crawler.store.stats.field_stats import count_changes
from crawler.store.write.headers import (
    forget_unused_lists,
    insert_written_lists,
    missing_lists,
)
from crawler.store.write.merged import Merged, OldHeader, merge_old_headers
from crawler.store.write.merged_files import unread_targets
from crawler.store.write.results import store_results

#: Bytes of headers that are in memory at once.
_PORTION_BYTES = 32 * 1024 * 1024

_T = TypeVar("_T")


def take_headers(run: Run) -> bool:
    """Store the headers that are needed, after the tensor lists that these need.

    Returns whether all were read.
    """
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


def _store_lists(run: Run, missing: set[bytes]) -> set[bytes]:
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


def _sound_lists(run: Run, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[bytes, bytes]]:
    """The digests and bytes of tensor lists; the others are told."""
    for row in run.checked("tensor_lists", rows):
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


def _store_headers(run: Run) -> None:
    columns = {name: one.column for name, one in run.fields["headers"].items()}

    def wanted(keys: Sequence[Any]) -> Collection[Any]:
        return {key for key in keys if key in run.unread}

    for part in run.source.rows("headers", columns, wanted):
        rows = [row for row in run.checked("headers", part) if row["file_id"] in run.unread]
        run.write(partial(_store_batch, run, run.distinct("headers", rows)))
        if not run.goes():
            return


def _store_batch(run: Run, rows: Sequence[Row], db: Connection) -> None:
    for results in _portions(_results(run, rows, db), lambda result: len(result.header)):
        stored = store_results(db, results)
        count_changes(db, len(stored))
        run.tally.outcomes.update(result.outcome for result in stored)
        for result in stored:
            run.unread.pop(result.target.file_id, None)


def _results(run: Run, rows: Sequence[Row], db: Connection) -> Iterator[Result]:
    """What becomes of files whose header was read elsewhere; headers that are not usable are told."""
    targets = unread_targets(db, [row["file_id"] for row in rows])
    for row in rows:
        if row["file_id"] not in targets:
            continue
        try:
            yield _result(run, row, targets[row["file_id"]], _list(run, row["list_digest"], db))
        except (DatabaseError, UnfitError) as error:
            run.tally.add_troubles([f"headers {row['file_id']}: {_first_line(error)}"])


def _list(run: Run, digest: bytes | None, db: Connection) -> bytes | None:
    """A stored tensor list, compressed. Most files have one of few."""
    if digest is not None and digest not in run.held:
        if sum(len(data or b"") for data in run.held.values()) > _PORTION_BYTES:
            run.held.clear()
        run.held.update(stored_lists(db, [digest]))
    return None if digest is None else run.held[digest]


def _result(run: Run, row: Row, target: Target, tensors: bytes | None) -> Result:
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


def take_old_headers(run: Run) -> bool:
    """Store the earlier headers of files. Returns whether all were read."""

    def merge(db: Connection, rows: Sequence[Row]) -> Merged:
        merged = Merged()
        for found in _portions(_old(run, rows), lambda old: len(old.header)):
            one = merge_old_headers(db, found)
            merged.new += one.new
            merged.orphans += one.orphans
        return merged

    return run.merge("old_headers", merge)


def _old(run: Run, rows: Sequence[Row]) -> Iterator[OldHeader]:
    for row in rows:
        try:
            header = unpacked(row["data"], row["file_id"], run.max_header)
        except DatabaseError as error:
            run.tally.add_troubles([f"old_headers {row['file_id']}: {_first_line(error)}"])
        else:
            yield OldHeader(row["file_id"], header, row["file_bytes"], row["replaced_at"])
