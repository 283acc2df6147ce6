"""Read everything that is stored about one file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.store.schema import tables
from crawler.store.schema.tables import ALL, loras

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FieldStats:
    """The row of a field in `field_stats`.

    Attributes:
        percentiles: None also in rows written by an older lora-crawl.
    """

    count: int
    quartile1: float | None
    median: float | None
    quartile3: float | None
    percentiles: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraPage:
    """Everything that is stored about one file.

    Attributes:
        row: The row of `loras`, by column.
        datasets: Rows ordered by number, without `file_id`.
        directories: Rows ordered by number, without `file_id`.
        tags: By directory number (-1, -2 … for directories that the file does not list): tags and
            their counts, the most frequent first, then by name.
        problems: Rows ordered by number, without `file_id`.
        base_model_stats: By field, for files of the same base model; empty if the file has none.
        all_stats: By field, for all files.
    """

    row: Row
    datasets: tuple[Row, ...]
    directories: tuple[Row, ...]
    tags: Mapping[int, tuple[tuple[str, int], ...]]
    problems: tuple[Row, ...]
    base_model_stats: Mapping[str, FieldStats]
    all_stats: Mapping[str, FieldStats]


def lora(connection: sa.Connection, file_id: int) -> LoraPage:
    """Everything that is stored about one file.

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
