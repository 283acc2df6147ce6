"""How a column is declared: its type, its keys, its comment, and the words of its meaning.

A column without words of its own has those of the field of the same name.
"""

from typing import Any

import sqlalchemy as sa

from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.types import UtcTime, integer_type


def commented(meaning: str, unit: str | None) -> str:
    """The comment on a column in PostgreSQL."""
    return f"{meaning} ({unit})" if unit else meaning


def column(
    name: str,
    kind: sa.types.TypeEngine[Any],
    *rules: sa.ForeignKey,
    meaning: str = "",
    unit: str = "",
    **options: Any,
) -> sa.Column[Any]:
    """A column with its comment; `meaning` is written as in the registry of fields."""
    if not meaning:
        meaning, unit = BY_NAME[name].meaning, BY_NAME[name].unit
    info = {"meaning": meaning, "unit": unit}
    return sa.Column(name, kind, *rules, comment=commented(meaning, unit), info=info, **options)


def key(name: str, foreign: sa.ForeignKey | None = None, meaning: str = "") -> sa.Column[int]:
    """A primary key, or a part of one, whose value the program supplies."""
    rules = () if foreign is None else (foreign,)
    return column(
        name, integer_type(), *rules, meaning=meaning, primary_key=True, autoincrement=False
    )


def file_key() -> sa.Column[int]:
    """The file that a row belongs to; the row is deleted with the file."""
    return key("file_id", sa.ForeignKey("loras.file_id", ondelete="CASCADE"))


def model_key() -> sa.Column[int]:
    """The model that a row belongs to."""
    return key("model_id", sa.ForeignKey("models.model_id"))


def time(name: str, meaning: str = "", **options: Any) -> sa.Column[Any]:
    """An instant."""
    return column(name, UtcTime(), meaning=meaning, unit="UTC" if meaning else "", **options)
