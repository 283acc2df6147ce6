"""Likes per month of a model.

Revision 0012, after 0011. It is computed from what the database has: the likes, the first version and the
time when the model was last listed. Every later listing computes it again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FILL_POSTGRESQL = """
    UPDATE loras SET likes_per_month = likes / greatest(
        1.0, (last_seen_at::date - first::date)::float8 / (365.25 / 12)::float8
    )
    FROM (
        SELECT models.model_id, models.last_seen_at, min(published_at) AS first
        FROM models JOIN versions ON versions.model_id = models.model_id
        WHERE published_at IS NOT NULL GROUP BY models.model_id, models.last_seen_at
    ) AS times
    WHERE times.model_id = loras.model_id
"""
# UPDATE FROM came with SQLite 3.33. The larger of 1 and NULL is NULL here.
FILL_SQLITE = """
    UPDATE loras SET likes_per_month = likes / max(1.0, (
        julianday((SELECT date(last_seen_at) FROM models WHERE models.model_id = loras.model_id))
        - julianday((
            SELECT date(min(published_at)) FROM versions WHERE versions.model_id = loras.model_id
        ))
    ) / (365.25 / 12))
    WHERE likes IS NOT NULL
"""

#: How many rows have it, beside the counts of the other fields.
COUNT = """
    INSERT INTO field_stats (base_model, field, count, made_at)
    SELECT base_model, 'likes_per_month', number, made_at
    FROM field_stats, (SELECT count(likes_per_month) AS number FROM loras) AS counted
    WHERE base_model = '' AND field = 'file_id' AND number > 0
"""


def upgrade() -> None:
    op.add_column("loras", sa.Column("likes_per_month", sa.Double()))
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(FILL_POSTGRESQL if is_postgresql else FILL_SQLITE)
    op.execute(COUNT)


def downgrade() -> None:
    op.execute("DELETE FROM field_stats WHERE field = 'likes_per_month'")
    with op.batch_alter_table("loras") as batch:
        batch.drop_column("likes_per_month")
