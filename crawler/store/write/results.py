"""How files ended, stored: the outcome, what the header said, and the header itself."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import zstandard

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.verdict import Verdict
from crawler.errors import DatabaseError
from crawler.model import Dataset, Decoded, Directory, Outcome, Recipe, Result, Weights
from crawler.model.header import LENGTH_BYTES
from crawler.model.int64 import INT64
from crawler.model.outcome import FROM_BYTES
from crawler.store.read.headers import unpacked
from crawler.store.schema import tables
from crawler.store.schema.tables import headers, loras
from crawler.store.schema.types import UtcTime
from crawler.store.write.upserts import insert_new, slices, upsert

#: zstd's level. It packs 182 KB of header into 16 KB in 0.3 ms; higher levels save little.
ZSTD_LEVEL = 3

#: The columns that a header fills.
TRAINING_COLUMNS = tuple(
    field.name for noun in (Recipe, Weights) for field in dataclasses.fields(noun)
)

_DATASET_COLUMNS = tuple(field.name for field in dataclasses.fields(Dataset))
_DIRECTORY_COLUMNS = tuple(field.name for field in dataclasses.fields(Directory))

#: The tables whose rows come from one header and are replaced with it.
_PARTS = (tables.datasets, tables.directories, tables.file_tags, tables.problems)

#: Adds to the attempts; the end of early access is kept where the answer does not tell it. The other
#: columns are those of the rows that it is executed with.
_END = (
    sa.update(loras)
    .where(loras.c.file_id == sa.bindparam("ended_id"))
    .values(
        attempts=loras.c.attempts + sa.bindparam("more_attempts"),
        early_access_until=sa.func.coalesce(
            sa.bindparam("told_early_access", type_=UtcTime()), loras.c.early_access_until
        ),
    )
)


def store_results(connection: sa.Connection, results: Sequence[Result]) -> None:
    """Store how files ended, in the caller's transaction. The files are in `loras` already.

    A result with header bytes, or of an empty file, replaces everything that an earlier header
    said. One without changes only the outcome: what was read once stays. The same result again adds
    to `attempts` and changes nothing else.
    """
    latest = {result.target.file_id: result for result in results}
    read = [one for one in latest.values() if _was_read(one)]
    refused = [one for one in latest.values() if not _was_read(one)]
    if refused:
        connection.execute(_END, [_ending(result) for result in refused])
    if not read:
        return
    rows = [_ending(result) | training_columns(result.decoded) for result in read]
    connection.execute(_END, rows)
    _keep_old_headers(connection, read)
    upsert(connection, tables.headers, [_header_row(result) for result in read])
    replace_parts(connection, {result.target.file_id: result.decoded for result in read})


def _was_read(result: Result) -> bool:
    # An empty file has been read too: nothing that its predecessor said is true of it.
    return bool(result.header) or result.outcome is Outcome.BAD_HEADER


def _keep_old_headers(connection: sa.Connection, read: Sequence[Result]) -> None:
    """Put the headers that are about to be replaced by others into `old_headers`."""
    table, old = tables.headers, tables.old_headers
    new = {result.target.file_id: result for result in read}
    stored = sa.select(table.c.file_id, table.c.length, table.c.data, table.c.file_bytes)
    rows = [
        {**row, "replaced_at": new[row["file_id"]].fetched_at}
        for ids in slices(list(new))
        for row in connection.execute(stored.where(table.c.file_id.in_(ids))).mappings()
        if not _holds(row["data"], new[row["file_id"]].header)
    ]
    for row in rows:
        kept = sa.select(sa.func.count()).where(old.c.file_id == row["file_id"])
        number = connection.execute(kept).scalar_one() + 1
        connection.execute(sa.insert(old).values(row | {"number": number}))


def training_columns(decoded: Decoded | None) -> dict[str, Any]:
    """What a header says, by column of `loras`; None everywhere unless it is sound."""
    if decoded is None:
        return dict.fromkeys(TRAINING_COLUMNS)
    return {
        field.name: getattr(part, field.name)
        for part in (decoded.recipe, decoded.weights)
        for field in dataclasses.fields(part)
    }


def replace_parts(connection: sa.Connection, read: Mapping[int, Decoded | None]) -> None:
    """Put what headers say into the tables beside `loras`, in the place of what stood there.

    Args:
        connection: In the caller's transaction.
        read: By file; None where the header is not sound.
    """
    for ids in slices(list(read)):
        for table in _PARTS:
            connection.execute(sa.delete(table).where(table.c.file_id.in_(ids)))
    _insert_parts(connection, [(file_id, one) for file_id, one in read.items() if one])


def tag_id(name: str) -> int:
    """The id of a tag: 63 bits of a hash of its name, the same on every machine.

    Among ten million tags two share an id with a chance of one in 180,000; the tag that came second
    would then be counted as the first.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _ending(result: Result) -> dict[str, Any]:
    return {
        "ended_id": result.target.file_id,
        "outcome": result.outcome,
        "reason": result.reason or None,
        "more_attempts": result.attempts,
        "next_try_at": result.next_try_at,
        "fetched_at": result.fetched_at,
        "told_early_access": result.early_access_until,
    }


def _header_row(result: Result) -> dict[str, Any]:
    length = int.from_bytes(result.header[:LENGTH_BYTES], "little")
    told = len(result.header) >= LENGTH_BYTES and length in INT64
    return {
        "file_id": result.target.file_id,
        "length": length if told else None,
        "data": zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(result.header),
        "file_bytes": result.file_bytes,
        "decoder_version": DECODER_VERSION,
    }


def _holds(data: bytes, header: bytes) -> bool:
    """Whether a stored header is this one; one that is damaged is another."""
    try:
        return unpacked(data, 0) == header
    except DatabaseError:
        return False


def _insert_parts(connection: sa.Connection, sound: Sequence[tuple[int, Decoded]]) -> None:
    names: set[str] = set()
    parts: dict[sa.Table, list[dict[str, Any]]] = {table: [] for table in _PARTS}
    for file_id, decoded in sound:
        names.update(*decoded.tags.values())
        parts[tables.datasets] += _rows(file_id, decoded.datasets, _DATASET_COLUMNS)
        parts[tables.directories] += _rows(file_id, decoded.directories, _DIRECTORY_COLUMNS)
        parts[tables.file_tags] += _tag_rows(file_id, decoded)
        parts[tables.problems] += [
            {"file_id": file_id, "number": number} | dataclasses.asdict(problem)
            for number, problem in enumerate(decoded.problems)
        ]
    # In one order everywhere, so that two writers never wait for each other.
    tags = sorted({tag_id(name): name for name in sorted(names, reverse=True)}.items())
    insert_new(connection, tables.tags, [{"tag_id": key, "name": name} for key, name in tags])
    for table, rows in parts.items():
        if rows:
            connection.execute(sa.insert(table), rows)


def _rows(
    file_id: int, parts: Sequence[Dataset | Directory], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield {"file_id": file_id} | {name: getattr(part, name) for name in columns}


def _tag_rows(file_id: int, decoded: Decoded) -> list[dict[str, Any]]:
    """Tags by the number of their directory; unlisted directories are -1, -2 … as they come."""
    numbers: dict[str, int] = {}
    for directory in decoded.directories:
        numbers.setdefault(directory.name, directory.number)
    unlisted = 0
    # By key, so that a header made to hold two tags of one id cannot stop the crawl.
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for name, counts in decoded.tags.items():
        number = numbers.get(name)
        if number is None:
            unlisted -= 1
            number = unlisted
        for tag, count in counts.items():
            key = tag_id(tag)
            row = {"file_id": file_id, "directory_number": number, "tag_id": key, "count": count}
            rows.setdefault((number, key), row)
    return list(rows.values())


#: The columns are those of the rows that it is executed with.
_AGAIN = sa.update(loras).where(loras.c.file_id == sa.bindparam("again_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHeader:
    """A header as it is stored.

    Attributes:
        data: Compressed, with zstd.
        file_bytes: The file's true length, None when no server told it.
    """

    file_id: int
    data: bytes
    file_bytes: int | None


def headers_to_decode(connection: sa.Connection, *, everything: bool) -> list[int]:
    """The files whose headers an older decoder read, or all with a header, by id."""
    statement = sa.select(headers.c.file_id).order_by(headers.c.file_id)
    if not everything:
        statement = statement.where(headers.c.decoder_version < DECODER_VERSION)
    return list(connection.execute(statement).scalars())


def read_headers(connection: sa.Connection, file_ids: Sequence[int]) -> list[StoredHeader]:
    """The stored headers of these files, by id; those that have none are left out."""
    statement = sa.select(headers.c.file_id, headers.c.data, headers.c.file_bytes)
    return [
        StoredHeader(file_id=row.file_id, data=row.data, file_bytes=row.file_bytes)
        for ids in slices(file_ids)
        for row in connection.execute(
            statement.where(headers.c.file_id.in_(ids)).order_by(headers.c.file_id)
        )
    ]


def store_again(
    connection: sa.Connection, judged: Mapping[int, Verdict]
) -> Counter[tuple[Outcome, Outcome]]:
    """Store what headers say now, in the caller's transaction.

    Nothing else of a file changes: not how often it was asked for, and no outcome that is not the
    header's.

    Returns:
        How many files changed their outcome, by the old and the new one.
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
            rows.append({"again_id": row.file_id} | ending | training_columns(one.decoded))
        current = sa.update(headers).values(decoder_version=DECODER_VERSION)
        connection.execute(current.where(headers.c.file_id.in_(ids)))
    if rows:
        connection.execute(_AGAIN, rows)
    replace_parts(connection, {file_id: one.decoded for file_id, one in judged.items()})
    return +changed
