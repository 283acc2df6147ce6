"""The age of statistics, and indexes for what is asked about a million files.

Revision 0009, after 0008. The next writing command makes the statistics anew.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.Text().with_variant(postgresql.TIMESTAMP(), "postgresql")

INDEXES = (
    ("ix_models_gone_at", "models", ["gone_at"]),
    ("ix_versions_model_id_published_at", "versions", ["model_id", "published_at"]),
    ("ix_loras_base_model_outcome_model_id", "loras", ["base_model", "outcome", "model_id"]),
    (
        "ix_loras_creator",
        "loras",
        [
            *("creator", "session_id", "version_id", "outcome", "model_id", "base_model"),
            *("published_at", "network_dim", "images_seen", "megapixels_seen", "training_seconds"),
        ],
    ),
)
#: Few rows have it.
GONE = sa.text("gone_at IS NOT NULL")

#: PostgreSQL cannot index longer texts. Real ones have at most 25 characters.
INDEXED_TEXTS = ("creator", "session_id")
MAX_CHARS = 200


def upgrade() -> None:
    op.add_column("field_stats", sa.Column("made_at", TIME))
    op.add_column("field_stats", sa.Column("changed", INTEGER))
    op.drop_index("ix_loras_base_model", "loras")
    op.drop_index("ix_versions_model_id", "versions")
    for name in INDEXED_TEXTS:
        text = sa.column(name, sa.Text())
        too_long = sa.update(sa.table("loras", text)).where(sa.func.length(text) > MAX_CHARS)
        op.execute(too_long.values({name: None}))
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_loras_gone_at", "loras", ["gone_at"], sqlite_where=GONE, postgresql_where=GONE
    )


def downgrade() -> None:
    op.drop_index("ix_loras_gone_at", "loras")
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
    op.create_index("ix_loras_base_model", "loras", ["base_model"])
    op.create_index("ix_versions_model_id", "versions", ["model_id"])
    with op.batch_alter_table("field_stats") as batch:
        batch.drop_column("changed")
        batch.drop_column("made_at")
