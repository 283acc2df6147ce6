"""The tables with the old ids of tags go.

Revision 0011, after 0010 and after the tags were copied. The new ids stay on the way down: an older
program finds tags by their names.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.drop_table("old_file_tags")
    op.drop_table("old_tags")
    op.create_index("ix_file_tags_tag_id", "file_tags", ["tag_id"])


def downgrade() -> None:
    op.drop_index("ix_file_tags_tag_id", "file_tags")
    op.create_table("old_tags", sa.Column("tag_id", INTEGER), sa.Column("name", TEXT))
    names = ("file_id", "directory_number", "tag_id", "count")
    op.create_table("old_file_tags", *(sa.Column(name, INTEGER) for name in names))
