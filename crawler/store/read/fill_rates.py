"""How many rows have each field, as `field_stats` counted them."""

from collections.abc import Iterable

import sqlalchemy as sa

from crawler.query.fields import TAGS
from crawler.store.schema.tables import ALL, field_stats


def shares(connection: sa.Connection, names: Iterable[str]) -> dict[str, float]:
    """The share of rows, 0 to 1, that have each field; empty before the first statistics.

    Caption tags stand for `tag_count`, which the rows with tags have.
    """
    found = connection.execute(
        sa.select(field_stats.c.field, field_stats.c.count).where(field_stats.c.base_model == ALL)
    )
    counts: dict[str, int] = dict(iter(found))
    files = counts.get("file_id", 0)
    if not files:
        return {}
    sources = {name: "tag_count" if name == TAGS.name else name for name in names}
    return {name: counts.get(source, 0) / files for name, source in sources.items()}
