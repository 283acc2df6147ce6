"""Store the results of files: the outcome, the header, and what the decoder read from it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.verdict import Verdict
from crawler.model import Decoded, Outcome, Recipe, Result, Target, Weights
from crawler.model.outcome import FROM_BYTES
from crawler.store.schema import tables
from crawler.store.schema.tables import headers, loras
from crawler.store.write.headers import store_headers
from crawler.store.write.tags import store_tags
from crawler.store.write.upserts import as_row, insert_plain, slices, update_rows

#: The columns that a header fills.
TRAINING_COLUMNS = tuple(field.name for noun in (Recipe, Weights) for field in fields(noun))

#: Tables with several rows for a header, which are replaced together with it.
_PARTS = (tables.datasets, tables.directories, tables.problems)

#: The number of a directory, and the id of a tag.
_TagKey = tuple[int, int]

#: The rows that it is executed with give the outcome.
_SETTLE = (
    sa.update(loras)
    .where(
        loras.c.file_id == sa.bindparam("settled_id"),
        loras.c.version_id == sa.bindparam("of_version"),
        loras.c.outcome == Outcome.PENDING,
    )
    .values(next_try_at=None)
)

#: The attempts are added; a known end of early access stays if a result gives none.
_ENDING = (
    ("attempts", lambda old, more: old + more),
    ("early_access_until", lambda old, new: sa.func.coalesce(new, old)),
)


def store_results(connection: sa.Connection, results: Sequence[Result]) -> list[Result]:
    """Store results, in the caller's transaction. The files must be in `loras` already.

    Returns those that were stored: the last of each file. A result of a version that the file has left
    meanwhile is not stored, and the file stays pending.

    A result with header bytes, or of an empty file, replaces everything from an earlier header. A
    result without them changes the outcome only. Storing a result again only adds to `attempts`. A
    provisional result is stored with the outcome `pending`, until `settle`.
    """
    current, with_header = _current(connection, results)
    read = [one for one in current if _was_read(one)]
    refused = [one for one in current if not _was_read(one)]
    update_rows(connection, loras, [_ending(result) for result in refused], _ENDING)
    if not read:
        return current
    rows = [_ending(result) | _training_columns(result.decoded) for result in read]
    update_rows(connection, loras, rows, _ENDING)
    again = [one.target.file_id for one in read if one.target.file_id in with_header]
    store_headers(connection, read, again=again)
    decoded = {result.target.file_id: result.decoded for result in read}
    _replace_parts(connection, decoded, again=again)
    return current


def settle(connection: sa.Connection, outcomes: Mapping[Target, Outcome]) -> None:
    """Make the outcomes of provisional results final, in the caller's transaction.

    A file that was read meanwhile, or left the version of its target, does not change.
    """
    ended = [
        {"settled_id": target.file_id, "of_version": target.version_id, "outcome": outcome}
        for target, outcome in outcomes.items()
        if outcome is not Outcome.PENDING
    ]
    if ended:
        connection.execute(_SETTLE, ended)


def _current(connection: sa.Connection, results: Sequence[Result]) -> tuple[list[Result], set[int]]:
    """The last result of each file, and the ids of the files that have a header already.

    Results are left out if their files do not belong any more to the version that was requested.
    """
    latest = {result.target.file_id: result for result in results}
    # Locked in one order by all that write many rows, so that two of them cannot deadlock.
    found = sa.select(loras.c.file_id, loras.c.version_id).order_by(loras.c.file_id)
    found = found.with_for_update()
    with_header: set[int] = set()
    for ids in slices(list(latest)):
        for row in connection.execute(found.where(loras.c.file_id.in_(ids))):
            if row.version_id != latest[row.file_id].target.version_id:
                del latest[row.file_id]
    # Not joined: it would not see what another writer stored before it let go of the lock.
    stored = sa.select(headers.c.file_id)
    for ids in slices(list(latest)):
        with_header.update(connection.scalars(stored.where(headers.c.file_id.in_(ids))))
    return sorted(latest.values(), key=lambda one: one.target.file_id), with_header


def _was_read(result: Result) -> bool:
    # An empty file counts as read: the data of an earlier file is no longer true.
    return bool(result.header) or result.outcome is Outcome.BAD_HEADER


def _training_columns(decoded: Decoded | None) -> dict[str, Any]:
    """The columns of `loras` that a header fills; all None unless the header is sound."""
    if decoded is None:
        return dict.fromkeys(TRAINING_COLUMNS)
    return as_row(decoded.recipe) | as_row(decoded.weights)


def _replace_parts(
    connection: sa.Connection, read: Mapping[int, Decoded | None], *, again: Sequence[int]
) -> None:
    """Store the datasets, directories, tags and problems of files, given by file id.

    Args:
        connection: In a transaction.
        read: The headers of the files, decoded; None for an unsound one.
        again: The files that may have parts of an earlier header. Tags that are the same stay.
    """
    parts: dict[sa.Table, list[dict[str, Any]]] = {}
    sound = {file_id: decoded for file_id, decoded in read.items() if decoded is not None}
    names = {name for one in sound.values() for found in one.tags.values() for name in found}
    tag_ids = store_tags(connection, names)
    counts = {file_id: _tag_counts(one, tag_ids) for file_id, one in sound.items()}
    for file_id, decoded in sound.items():
        problems = (
            {"number": number} | as_row(problem) for number, problem in enumerate(decoded.problems)
        )
        for table, found in (
            (tables.datasets, map(as_row, decoded.datasets)),
            (tables.directories, map(as_row, decoded.directories)),
            (tables.problems, problems),
        ):
            parts.setdefault(table, []).extend({"file_id": file_id} | row for row in found)
    stored = _stored_tags(connection, again)
    same = {file_id for file_id in again if stored.get(file_id, {}) == counts.get(file_id, {})}
    _delete(connection, _PARTS, again)
    _delete(connection, [tables.file_tags], [one for one in again if one not in same])
    changed = {file_id: found for file_id, found in counts.items() if file_id not in same}
    new = [(file_id, *key, n) for file_id, found in changed.items() for key, n in found.items()]
    # Nobody else stores tags of these files: their rows of `loras` are locked, or the database is.
    insert_plain(connection, tables.file_tags, new, are_new=True)
    for table, rows in parts.items():
        if rows:
            connection.execute(sa.insert(table), rows)


def _delete(connection: sa.Connection, some: Iterable[sa.Table], file_ids: Sequence[int]) -> None:
    """Delete what earlier headers of these files said, from these tables."""
    for ids in slices(file_ids):
        for table in some:
            connection.execute(sa.delete(table).where(table.c.file_id.in_(ids)))


def _stored_tags(
    connection: sa.Connection, file_ids: Sequence[int]
) -> Mapping[int, Mapping[_TagKey, int]]:
    """The rows of `file_tags` of these files, by file id."""
    found: defaultdict[int, dict[_TagKey, int]] = defaultdict(dict)
    table = tables.file_tags
    rows = sa.select(table.c.file_id, table.c.directory_number, table.c.tag_id, table.c.count)
    for ids in slices(file_ids):
        for file_id, directory, tag, n in connection.execute(
            rows.where(table.c.file_id.in_(ids))
        ).all():
            found[file_id][directory, tag] = n
    return found


def _ending(result: Result) -> dict[str, Any]:
    return {
        "file_id": result.target.file_id,
        "outcome": Outcome.PENDING if result.provisional else result.outcome,
        "reason": result.reason or None,
        "attempts": result.attempts,
        "next_try_at": result.next_try_at,
        "fetched_at": result.fetched_at,
        "early_access_until": result.early_access_until,
    }


def _tag_counts(decoded: Decoded, tag_ids: Mapping[str, int]) -> dict[_TagKey, int]:
    """Rows of `file_tags`. Directories that the file does not list get the numbers -1, -2 and so on."""
    # Of directories with the same name the first counts.
    numbers = {directory.name: directory.number for directory in reversed(decoded.directories)}
    unlisted = [name for name in decoded.tags if name not in numbers]
    numbers |= {name: -at for at, name in enumerate(unlisted, start=1)}
    found: dict[_TagKey, int] = {}
    for name, counts in decoded.tags.items():
        for tag, count in counts.items():
            found.setdefault((numbers[name], tag_ids[tag]), count)
    return found


def store_again(
    connection: sa.Connection, judged: Mapping[int, Verdict]
) -> Counter[tuple[Outcome, Outcome]]:
    """Store the results of decoding again, in the caller's transaction.

    The outcome changes only if it came from the file's bytes. The attempts do not change.

    Returns:
        How many files changed their outcome, by old and new outcome.
    """
    changed: Counter[tuple[Outcome, Outcome]] = Counter()
    rows = []
    for ids in slices(list(judged)):
        found = sa.select(loras.c.file_id, loras.c.outcome, loras.c.reason)
        for row in connection.execute(found.where(loras.c.file_id.in_(ids))):
            one = judged[row.file_id]
            ending = {"outcome": row.outcome, "reason": row.reason}
            if row.outcome in FROM_BYTES:
                ending = {"outcome": one.outcome, "reason": one.reason or None}
                changed[Outcome(row.outcome), one.outcome] += row.outcome != one.outcome
            rows.append({"file_id": row.file_id} | ending | _training_columns(one.decoded))
        current = sa.update(headers).values(decoder_version=DECODER_VERSION)
        connection.execute(current.where(headers.c.file_id.in_(ids)))
    update_rows(connection, loras, rows)
    decoded = {file_id: one.decoded for file_id, one in judged.items()}
    _replace_parts(connection, decoded, again=list(judged))
    return +changed
