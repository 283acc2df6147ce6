"""What all tables are made with."""

import sqlalchemy as sa

from crawler.store.schema.types import integer_type

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str) -> sa.Column[int]:
    """An id that is given, or a part of one."""
    return sa.Column(name, integer_type(), primary_key=True, autoincrement=False)


def file_key() -> sa.Column[int]:
    """The file that a row belongs to, and goes with."""
    return sa.Column(
        "file_id",
        integer_type(),
        sa.ForeignKey("loras.file_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
