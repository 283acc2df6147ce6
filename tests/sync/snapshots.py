"""What a database holds, without what differs from run to run."""

from typing import Any

import sqlalchemy as sa

from crawler.store.schema import tables

#: Times of the crawl itself, and how often a file was asked for.
OF_THE_RUN = {
    "attempts",
    "changed",
    "fetched_at",
    "first_seen_at",
    "lap_began_at",
    "last_seen_at",
    "made_at",
    "next_try_at",
    "updated_at",
}

#: A new row for every run, or for every change of a statistic; or nothing of a crawl.
NOT_COMPARED = {"crawls", "stat_history", "field_notes", "fleet", "workers"}


def snapshot(engine: sa.Engine) -> dict[str, list[Any]]:
    """Every row of every table that two crawls of the same catalogue must agree on."""
    with engine.connect() as connection:
        return {
            name: _rows(connection, table)
            for name, table in tables.metadata.tables.items()
            if name not in NOT_COMPARED
        }


def _rows(connection: sa.Connection, table: sa.Table) -> list[Any]:
    columns = [column for column in table.columns if column.name not in OF_THE_RUN]
    statement = sa.select(*columns).order_by(*table.primary_key.columns)
    return [tuple(row) for row in connection.execute(statement)]
