"""What the weights of a network are multiplied by.

Revision 0005, after 0004. `redecode` fills the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("loras", sa.Column("network_scale", sa.Double()))


def downgrade() -> None:
    with op.batch_alter_table("loras") as batch:
        batch.drop_column("network_scale")
