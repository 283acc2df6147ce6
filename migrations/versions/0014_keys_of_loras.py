"""Foreign keys from files to their models and versions, and every hash in upper case.

Revision 0014, after 0013. SQLite writes the table `loras` anew for it. Every program so far stored the
model and the version before the file; a row that lacks them gets empty ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

#: Parent and key.
KEYS = (("models", "model_id"), ("versions", "version_id"))

MODELS = (
    "INSERT INTO models (model_id, site, first_seen_at, last_seen_at)"
    " SELECT model_id, min(site), {now}, {now} FROM loras WHERE model_id NOT IN"
    " (SELECT model_id FROM models) GROUP BY model_id"
)
VERSIONS = (
    "INSERT INTO versions (version_id, model_id, first_seen_at, last_seen_at)"
    " SELECT version_id, min(model_id), {now}, {now} FROM loras WHERE version_id NOT IN"
    " (SELECT version_id FROM versions) GROUP BY version_id"
)
NOW = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S', 'now')",
    "postgresql": "date_trunc('second', now() AT TIME ZONE 'utc')",
}

HASHES = ("sd_model_hash", "sd_model_sha256")


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (MODELS, VERSIONS):
        text = sa.text(statement.format(now=NOW[connection.dialect.name]).replace(":", "\\:"))
        connection.execute(text)
    for name in HASHES:
        column = sa.column(name, sa.Text())
        update = sa.update(sa.table("loras", column)).where(column != sa.func.upper(column))
        op.execute(update.values({name: sa.func.upper(column)}))
    with op.batch_alter_table("loras") as batch:
        for parent, key in KEYS:
            batch.create_foreign_key(f"fk_loras_{key}_{parent}", parent, [key], [key])


def downgrade() -> None:
    with op.batch_alter_table("loras") as batch:
        for parent, key in KEYS:
            batch.drop_constraint(f"fk_loras_{key}_{parent}", type_="foreignkey")
