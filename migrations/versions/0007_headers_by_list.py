"""Headers in the order of their tensor lists.

Revision 0007, after 0006 and after the stored headers were cut.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_headers_list_digest_file_id", "headers", ["list_digest", "file_id"])


def downgrade() -> None:
    op.drop_index("ix_headers_list_digest_file_id", "headers")
