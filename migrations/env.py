"""How Alembic reaches a database and compares it with the tables of the program.

The program hands over a connection. From the command line the database is named by
`alembic -x db=…` or by LORA_CRAWL_DB.
"""

import os
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from crawler.errors import UsageError
from crawler.store.connect import database
from crawler.store.schema import tables, views
from crawler.store.schema.types import Json, UtcTime

POSTGRES_TYPES = "from sqlalchemy.dialects import postgresql"


def include_object(
    item: sa.schema.SchemaItem,
    _name: str | None,
    kind: str,
    reflected: bool,  # noqa: FBT001 - Alembic's signature
    compare_to: sa.schema.SchemaItem | None,
) -> bool:
    """Whether to compare something. A table that we do not know belongs to another library.

    Some indexes are on one kind of database only.
    """
    if isinstance(item, sa.Index) and item.table is not None and not reflected:
        return item in tables.indexes_on(item.table, context.get_context().dialect.name)
    return not (kind == "table" and reflected and compare_to is None)


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Spell our types with SQLAlchemy's own, so that revisions do not depend on our code."""
    if kind != "type":
        return False
    match item:
        case UtcTime():
            text = 'sa.Text().with_variant(postgresql.TIMESTAMP(), "postgresql")'
        case Json():
            text = 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
        case sa.BigInteger():
            return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
        case sa.Text():
            text = 'sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")'
        case _:
            return False
    autogen.imports.add(POSTGRES_TYPES)
    return text


def run(connection: sa.Connection) -> None:
    """Run the requested revisions in one transaction. The newest one gets its views and notes.

    Indexes that someone dropped are made again.
    """
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        include_object=include_object,
        render_item=render_item,
        # SQLite changes a table by making a new one and copying the rows.
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        views.drop_views(connection)
        context.run_migrations()
        if context.get_context().get_current_revision() == database.REVISION:
            tables.create_missing_indexes(connection)
            views.describe(connection)


def run_from_command_line() -> None:
    """Run the revisions on the database that -x or the environment names."""
    where = context.get_x_argument(as_dictionary=True).get("db") or os.environ.get("LORA_CRAWL_DB")
    if not where:
        raise UsageError("name the database: alembic -x db=PATH_OR_URL …, or set LORA_CRAWL_DB")
    engine = database.open_as_found(where)
    try:
        with database.changing_tables(engine) as connection:
            run(connection)
    finally:
        engine.dispose()


handed_over = context.config.attributes.get("connection")
if context.is_offline_mode():
    raise UsageError("--sql is not supported: revisions may read the rows that they change")
if handed_over is None:
    run_from_command_line()
else:
    run(handed_over)
