"""Pictures leave the stored JSON of the site, and narrow tables of SQLite lose their second tree.

Revision 0008, after 0007. Nothing reads the pictures; they were most of what the site says of a version.
A SQLite table whose key is not one integer has a tree of its rows and another of its keys. WITHOUT ROWID
keeps both in one, which suits short rows.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WITHOUT_PICTURES = {
    "postgresql": "UPDATE {} SET body = body - 'images' WHERE jsonb_exists(body, 'images')",
    "sqlite": "UPDATE {} SET body = json_remove(body, '$.images')"
    " WHERE json_type(body, '$.images') IS NOT NULL",
}

#: The first two columns of each belong to its key.
NARROW = ("directories", "file_tags", "problems", "stat_history", "walk_models")


def upgrade() -> None:
    backend = op.get_bind().dialect.name
    for table in ("models", "versions"):
        op.execute(WITHOUT_PICTURES[backend].format(table))
    if backend == "sqlite":
        _rebuild(" WITHOUT ROWID")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild("")


def _rebuild(ending: str) -> None:
    """Make the narrow tables again with this end of the statement, their rows in the order of the key."""
    bind = op.get_bind()
    schema = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    for table in NARROW:
        made = str(bind.exec_driver_sql(schema, (table, "table")).scalar_one())
        indexes = bind.exec_driver_sql(schema, (table, "index")).scalars().all()
        columns = made[made.index("(") : made.rindex(")") + 1]
        for statement in (
            f"CREATE TABLE rebuilt {columns}{ending}",
            f"INSERT INTO rebuilt SELECT * FROM {table} ORDER BY 1, 2",  # noqa: S608 -- our own names
            f"DROP TABLE {table}",
            f"ALTER TABLE rebuilt RENAME TO {table}",
            *indexes,
        ):
            bind.exec_driver_sql(statement)
