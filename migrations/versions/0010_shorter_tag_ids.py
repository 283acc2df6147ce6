"""Shorter ids for tags: the tables with the old ids are set aside.

Revision 0010, after 0009. `lora-crawl db upgrade` then copies the tags from there under their new ids,
in many small transactions, and goes on to 0011. An id had 63 bits, which JavaScript cannot hold, and
took eight bytes in each of two trees for each tag of a file.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

#: Files are copied in the order of their ids.
COPY_REST = (
    "INSERT INTO file_tags SELECT * FROM old_file_tags"
    " WHERE file_id > (SELECT coalesce(max(file_id), -9223372036854775808) FROM file_tags)"
)


def upgrade() -> None:
    op.drop_index("ix_file_tags_tag_id", "file_tags")
    op.drop_index("ix_tags_name", "tags")
    for table in ("tags", "file_tags"):
        op.rename_table(table, f"old_{table}")
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"ALTER INDEX pk_{table} RENAME TO pk_old_{table}")
    op.create_table(
        "tags",
        sa.Column("tag_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("tag_id", name="pk_tags"),
    )
    op.create_index("ix_tags_name", "tags", ["name"], postgresql_using="hash")
    op.create_table(
        "file_tags",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("directory_number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("tag_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_file_tags_file_id_loras", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.tag_id"], name="fk_file_tags_tag_id_tags"),
        sa.PrimaryKeyConstraint("file_id", "directory_number", "tag_id", name="pk_file_tags"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.execute("INSERT INTO tags SELECT * FROM old_tags WHERE true ON CONFLICT DO NOTHING")
    op.execute(COPY_REST)
    op.drop_table("old_file_tags")
    op.drop_table("old_tags")
    op.create_index("ix_file_tags_tag_id", "file_tags", ["tag_id"])
