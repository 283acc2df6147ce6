"""When a lap began, when a crawl may go on, and the headers of files that were replaced.

Revision 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.Text().with_variant(postgresql.TIMESTAMP(), "postgresql")


def upgrade() -> None:
    op.add_column("cursors", sa.Column("lap_began_at", TIME))
    op.add_column("cursors", sa.Column("refreshing", sa.Boolean()))
    op.add_column("crawls", sa.Column("keyed", sa.Boolean()))
    op.add_column("crawls", sa.Column("go_on_at", TIME))
    op.create_table(
        "old_headers",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("length", INTEGER),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("file_bytes", INTEGER),
        sa.Column("replaced_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_old_headers_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_old_headers"),
    )


def downgrade() -> None:
    op.drop_table("old_headers")
    for table, columns in (
        ("crawls", ("go_on_at", "keyed")),
        ("cursors", ("refreshing", "lap_began_at")),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
