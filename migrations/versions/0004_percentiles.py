"""Where a number lies among those of its base model.

Revision 0004, after 0003. The next writing command fills the column.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("field_stats", sa.Column("percentiles", JSON))


def downgrade() -> None:
    with op.batch_alter_table("field_stats") as batch:
        batch.drop_column("percentiles")
