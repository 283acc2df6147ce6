"""Column types that mean the same on SQLite and PostgreSQL.

The PostgreSQL dialect is imported only when needed: it takes a tenth of SQLAlchemy's import time.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from crawler.query.fields import Kind


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime in Python; `YYYY-MM-DD HH:MM:SS[.ffffff]` without zone in both databases.

    SQLite stores text, which sorts correctly because every row has this form. A datetime without a
    time zone raises ValueError.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """The database's own type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP())
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """The value to store. Raises ValueError for a datetime without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        naive = value.astimezone(UTC).replace(tzinfo=None)
        return naive if dialect.name == "postgresql" else naive.isoformat(" ")

    def process_result_value(
        self,
        value: Any,
        dialect: sa.Dialect,  # noqa: ARG002 -- SQLAlchemy calls it so
    ) -> datetime | None:
        """The stored value as an aware datetime."""
        if value is None:
            return None
        naive = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return naive.replace(tzinfo=UTC)


class Json(TypeDecorator[Any]):
    """JSON; Python's None is SQL's NULL. PostgreSQL holds JSONB."""

    impl = sa.JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """The database's own type."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql  # noqa: PLC0415

            return dialect.type_descriptor(postgresql.JSONB(none_as_null=True))
        return dialect.type_descriptor(sa.JSON(none_as_null=True))


def text_type() -> sa.types.TypeEngine[str]:
    """Text that sorts by code point on both databases."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def integer_type() -> sa.types.TypeEngine[int]:
    """64 bits; on SQLite plain INTEGER, so that a primary key is the row id."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def type_of(kind: Kind) -> sa.types.TypeEngine[Any]:
    """The column type of a kind of field."""
    match kind:
        case Kind.INTEGER:
            return integer_type()
        case Kind.NUMBER:
            return sa.Double()
        case Kind.TEXT:
            return text_type()
        case Kind.BOOLEAN:
            return sa.Boolean()
        case Kind.TIME:
            return UtcTime()
        case Kind.LIST | Kind.OBJECT | Kind.VALUE:
            return Json()
