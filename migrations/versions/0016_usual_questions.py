"""Indexes for usual questions, on PostgreSQL only.

Revision 0016, after 0015.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_loras_lower_creator": "(lower(creator))",
    "ix_loras_model_tags": "USING gin (model_tags jsonb_path_ops)",
    "ix_loras_trained_words": "USING gin (trained_words jsonb_path_ops)",
    "ix_loras_likes": "(likes DESC NULLS LAST, file_id)",
    "ix_loras_published_at": "(published_at DESC NULLS LAST, file_id)",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name, parts in INDEXES.items():
            op.execute(f"CREATE INDEX {name} ON loras {parts}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in INDEXES:
            op.execute(f"DROP INDEX {name}")
