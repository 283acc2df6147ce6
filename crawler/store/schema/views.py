"""What people who write SQL find beside the tables: views, and a note on every table and column.

Both are made anew after the newest revision, and views are dropped before a revision changes a table:
neither database changes a table that a view reads. So revisions contain neither.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.store.schema.columns import commented
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import TAG_COUNT, field_notes, loras, metadata, problems


@dataclass(frozen=True, slots=True)
class View:
    """A view that is the same on both databases.

    Attributes:
        meaning: What a row is.
        columns: The meaning of each column, by name, in order.
        select: The statement.
    """

    name: str
    meaning: str
    columns: Mapping[str, str]
    select: str


def _of_loras(*names: str) -> dict[str, str]:
    return {name: BY_NAME[name].meaning for name in names}


VIEWS = (
    View(
        "lora_tags",
        "how often a caption tag occurs in a training folder of a file",
        _of_loras("file_id")
        | {
            "directory": "name of the folder; NULL if only the tag counts name it",
            "tag": "the tag as written in captions",
            "count": TAG_COUNT,
        },
        "SELECT file_tags.file_id, directories.name AS directory, tags.name AS tag,"
        " file_tags.count AS count FROM file_tags"
        " JOIN tags ON tags.tag_id = file_tags.tag_id"
        " LEFT JOIN directories ON directories.file_id = file_tags.file_id"
        " AND directories.number = file_tags.directory_number",
    ),
    View(
        "lora_problems",
        "a problem of a header, with the LoRA that has it",
        _of_loras("file_id", "model_name", "file_name", "page_url", "trainer")
        | {name: problems.c[name].info["meaning"] for name in ("code", "field", "detail")},
        "SELECT loras.file_id, loras.model_name, loras.file_name, loras.page_url, loras.trainer,"
        " problems.code, problems.field, problems.detail FROM problems"
        " JOIN loras ON loras.file_id = problems.file_id",
    ),
)


def drop_views(connection: sa.Connection) -> None:
    """Drop the views, so that tables can be changed."""
    for view in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view.name}")


def describe(connection: sa.Connection) -> None:
    """Make the views, the notes in `field_notes` and PostgreSQL's comments on a current database."""
    for view in VIEWS:
        connection.exec_driver_sql(f"CREATE VIEW {view.name} AS {view.select}")
    connection.execute(sa.delete(field_notes))
    connection.execute(sa.insert(field_notes), list(notes()))
    if connection.dialect.name == "postgresql":
        # Without parameters a % is only a %, and several statements are sent at once.
        raw = {"no_parameters": True}
        connection.exec_driver_sql("; ".join(_comments()), execution_options=raw)


def notes() -> Iterator[dict[str, Any]]:
    """The rows of `field_notes`: each table and view, followed by its columns in order."""
    for table in metadata.tables.values():
        yield _note(table.name, "", str(table.comment))
        for column in table.columns:
            yield _note(table.name, column.name, column.info["meaning"], column.info["unit"])
    for view in VIEWS:
        yield _note(view.name, "", view.meaning)
        for name, meaning in view.columns.items():
            yield _note(view.name, name, meaning)


def _note(table: str, column: str, meaning: str, unit: str = "") -> dict[str, Any]:
    field = BY_NAME.get(column) if table == loras.name else None
    return {
        "table_name": table,
        "column_name": column,
        "meaning": meaning,
        "unit": unit or None,
        "field_group": field.group if field else None,
        "sd_scripts_default": (field.default or None) if field else None,
        "usual": (field.usual or None) if field else None,
        "metadata_keys": (field.keys or None) if field else None,
    }


def _comments() -> Iterator[str]:
    views = {view.name for view in VIEWS}
    for note in notes():
        table, column = note["table_name"], note["column_name"]
        comment = commented(note["meaning"], note["unit"]).replace("'", "''")
        kind = "VIEW" if table in views else "TABLE"
        place = f'COLUMN {table}."{column}"' if column else f"{kind} {table}"
        yield f"COMMENT ON {place} IS '{comment}'"
