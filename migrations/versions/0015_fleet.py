"""What the workers of a fleet share, and a row for each worker.

Revision 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
TIME = sa.Text().with_variant(postgresql.TIMESTAMP(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "fleet",
        sa.Column("fleet_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("next_request_at", TIME),
        sa.Column("held_until", TIME),
        sa.Column("max_downloads", INTEGER),
        sa.Column("downloads", INTEGER, nullable=False),
        sa.Column("paused_until", TIME),
        sa.Column("pause_reason", TEXT),
        sa.Column("pauses", INTEGER, nullable=False),
        sa.Column("tried_by", INTEGER),
        sa.Column("tried_at", TIME),
        sa.PrimaryKeyConstraint("fleet_id", name="pk_fleet"),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", INTEGER, autoincrement=True, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", INTEGER, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("ending", TEXT),
        sa.Column("files", INTEGER, nullable=False),
        sa.Column("downloads", INTEGER, nullable=False),
        sa.Column("standing", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("fleet")
