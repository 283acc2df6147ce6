"""Files on this machine, and headers found by the version of their decoder.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_index("ix_headers_decoder_version", "headers", ["decoder_version"])
    op.create_table(
        "local_files",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("size_bytes", INTEGER, nullable=False),
        sa.Column("mtime_ns", INTEGER),
        sa.Column("claimed_weights", TEXT),
        sa.Column("matched_file_id", INTEGER),
        sa.Column("matched_by", TEXT),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_local_files_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", name="pk_local_files"),
    )


def downgrade() -> None:
    op.drop_table("local_files")
    op.drop_index("ix_headers_decoder_version", table_name="headers")
