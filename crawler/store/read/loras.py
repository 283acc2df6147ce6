"""What commands read: one LoRA as a page, the state of a crawl, stored headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
import zstandard

from crawler.errors import DatabaseError, UsageError
from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.store.read.refs import find_file
from crawler.store.read.status import Status, status
from crawler.store.schema import tables
from crawler.store.schema.tables import ALL, loras
from crawler.store.write.upserts import slices

__all__ = [
    "FieldStats",
    "LoraPage",
    "Status",
    "find_file",
    "header_lengths",
    "lora",
    "old_headers",
    "outcomes_of",
    "status",
    "stored_header",
    "table_counts",
    "unpacked",
]

#: Bytes of a header at most: what the format allows, and its length in front.
MAX_HEADER_BYTES = 100_000_000 + 8

#: Headers looked at to size the first request, the latest ones.
HEADER_SAMPLE = 20_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FieldStats:
    """How many rows have a field, and how it lies where it is a number and any header says it.

    Attributes:
        percentiles: As in `field_stats`; None too where an older lora-crawl counted.
    """

    count: int
    quartile1: float | None
    median: float | None
    quartile3: float | None
    percentiles: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraPage:
    """All that is stored of one file.

    Attributes:
        row: The row of `loras`, by column.
        datasets: Rows by number, without `file_id`.
        directories: Likewise.
        tags: By directory number (-1, -2 … for directories that the file does not list): tags and
            their counts, the most frequent first, then by name.
        problems: Rows in order, without `file_id`.
        base_model_stats: By field, of the files of the same base model; empty where it has none.
        all_stats: By field, of all files.
    """

    row: Row
    datasets: tuple[Row, ...]
    directories: tuple[Row, ...]
    tags: Mapping[int, tuple[tuple[str, int], ...]]
    problems: tuple[Row, ...]
    base_model_stats: Mapping[str, FieldStats]
    all_stats: Mapping[str, FieldStats]


def lora(connection: sa.Connection, file_id: int) -> LoraPage:
    """All that is stored of one file.

    Raises:
        UsageError: There is no such file.
    """
    row = connection.execute(sa.select(loras).where(loras.c.file_id == file_id)).mappings().first()
    if row is None:
        raise UsageError(f"there is no file {file_id} in this database")
    base_model = row["base_model"]
    return LoraPage(
        row=dict(row),
        datasets=_parts(connection, tables.datasets, file_id),
        directories=_parts(connection, tables.directories, file_id),
        tags=_tags(connection, file_id),
        problems=_parts(connection, tables.problems, file_id),
        base_model_stats=_field_stats(connection, base_model) if base_model else {},
        all_stats=_field_stats(connection, ALL),
    )


def stored_header(connection: sa.Connection, file_id: int) -> bytes:
    """The bytes that were read of a file: the length of the header and the header, as they came.

    Raises:
        UsageError: No header of this file is stored.
        DatabaseError: What is stored is damaged.
    """
    table = tables.headers
    data = connection.execute(sa.select(table.c.data).where(table.c.file_id == file_id)).scalar()
    if data is None:
        raise UsageError(f"no header of file {file_id} is stored in this database")
    return unpacked(data, file_id)


def old_headers(connection: sa.Connection, file_id: int) -> tuple[bytes, ...]:
    """The headers that a file had before it was replaced, the oldest first, as they came.

    Raises:
        DatabaseError: What is stored is damaged.
    """
    table = tables.old_headers
    found = sa.select(table.c.data).where(table.c.file_id == file_id).order_by(table.c.number)
    return tuple(unpacked(data, file_id) for data in connection.execute(found).scalars())


def unpacked(data: bytes, file_id: int) -> bytes:
    """The bytes of a header as they came, from the column `data`.

    Raises:
        DatabaseError: What is stored is damaged.
    """
    try:
        if zstandard.frame_content_size(data) > MAX_HEADER_BYTES:
            raise DatabaseError(f"the stored header of file {file_id} is longer than any can be")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_HEADER_BYTES)
    except zstandard.ZstdError as error:
        raise DatabaseError(f"the stored header of file {file_id} is damaged: {error}") from error


def header_lengths(connection: sa.Connection) -> dict[str | None, tuple[int, ...]]:
    """How long the headers of each base model are, in bytes: of HEADER_SAMPLE files at most."""
    headers = tables.headers
    sample = (
        sa.select(headers.c.file_id, headers.c.length)
        .where(headers.c.length.is_not(None))
        .order_by(headers.c.file_id.desc())
        .limit(HEADER_SAMPLE)
        .subquery()
    )
    statement = (
        sa.select(loras.c.base_model, sample.c.length)
        .join(sample, sample.c.file_id == loras.c.file_id)
        .where(loras.c.outcome.in_(READ))
    )
    lengths: dict[str | None, list[int]] = {}
    for base_model, length in connection.execute(statement):
        lengths.setdefault(base_model, []).append(length)
    return {base_model: tuple(sorted(found)) for base_model, found in lengths.items()}


def outcomes_of(connection: sa.Connection, file_ids: Sequence[int]) -> dict[int, Outcome]:
    """The outcomes of those of these files that are stored."""
    found: dict[int, Outcome] = {}
    for ids in slices(file_ids):
        rows = connection.execute(
            sa.select(loras.c.file_id, loras.c.outcome).where(loras.c.file_id.in_(ids))
        )
        found |= {file_id: Outcome(outcome) for file_id, outcome in rows}
    return found


def table_counts(connection: sa.Connection) -> dict[str, int]:
    """How many rows each table has, by name."""
    return {
        name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for name, table in sorted(tables.metadata.tables.items())
    }


def _parts(connection: sa.Connection, table: sa.Table, file_id: int) -> tuple[Row, ...]:
    columns = [column for column in table.columns if column.name != "file_id"]
    statement = sa.select(*columns).where(table.c.file_id == file_id).order_by(table.c.number)
    return tuple(dict(row) for row in connection.execute(statement).mappings())


def _tags(connection: sa.Connection, file_id: int) -> dict[int, tuple[tuple[str, int], ...]]:
    counted, names = tables.file_tags, tables.tags
    statement = (
        sa.select(counted.c.directory_number, names.c.name, counted.c["count"])
        .join(names, names.c.tag_id == counted.c.tag_id)
        .where(counted.c.file_id == file_id)
        .order_by(counted.c.directory_number, counted.c["count"].desc(), names.c.name)
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for number, name, count in connection.execute(statement):
        found.setdefault(number, []).append((name, count))
    return {number: tuple(tags) for number, tags in found.items()}


def _field_stats(connection: sa.Connection, base_model: str) -> dict[str, FieldStats]:
    table = tables.field_stats
    columns = [table.c[column.name] for column in fields(FieldStats)]
    statement = sa.select(table.c.field, *columns).where(table.c.base_model == base_model)
    return {field: FieldStats(*numbers) for field, *numbers in connection.execute(statement)}
