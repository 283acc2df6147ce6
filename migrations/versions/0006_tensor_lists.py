"""Tensor lists, each stored once for all headers that have it.

Revision 0006, after 0005. `lora-crawl db upgrade` then cuts the stored headers, in many small
transactions, and goes on to 0007. A header that is whole stays readable.
"""

import sqlalchemy as sa
import zstandard
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: Level of zstd.
LEVEL = 3

#: Headers put together at once on the way down.
BATCH = 64


def upgrade() -> None:
    op.create_table(
        "tensor_lists",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("length", INTEGER, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tensor_lists"),
    )
    op.add_column("headers", sa.Column("list_digest", sa.LargeBinary()))
    op.add_column("headers", sa.Column("list_start", INTEGER))


def downgrade() -> None:
    connection = op.get_bind()
    cut = sa.text(
        "SELECT h.file_id, h.data, h.list_start, t.data FROM headers h"
        " JOIN tensor_lists t ON t.digest = h.list_digest WHERE h.file_id > :last"
        " ORDER BY h.file_id LIMIT :batch"
    )
    last = -(2**63)
    while rows := connection.execute(cut, {"last": last, "batch": BATCH}).all():
        last = rows[-1][0]
        for file_id, data, start, packed in rows:
            own = zstandard.decompress(data)
            whole = own[:start] + zstandard.decompress(packed) + own[start:]
            connection.execute(
                sa.text("UPDATE headers SET data = :data WHERE file_id = :file_id"),
                {"data": zstandard.compress(whole, LEVEL), "file_id": file_id},
            )
    with op.batch_alter_table("headers") as batch:
        batch.drop_column("list_start")
        batch.drop_column("list_digest")
    op.drop_table("tensor_lists")
