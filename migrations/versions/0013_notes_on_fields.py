"""A table of notes on tables and columns.

Revision 0013, after 0012. The program fills it, from its registry of fields.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "field_notes",
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("column_name", TEXT, nullable=False),
        sa.Column("meaning", TEXT, nullable=False),
        *(sa.Column(name, TEXT) for name in ("unit", "field_group", "sd_scripts_default", "usual")),
        sa.Column("metadata_keys", JSON),
        sa.PrimaryKeyConstraint("table_name", "column_name", name="pk_field_notes"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("field_notes")
