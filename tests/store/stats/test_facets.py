"""Facets: the frequent values of some fields, and how many rows have none."""

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.query.parser import parse
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.facets import FACETS, counted, total
from tests.web.rows import FILES, row
from tests.web.rows import loras as store_rows


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as connection:
        store_rows(connection)
    return engine


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize(
    ("words", "matches"),
    [
        ("", lambda _: True),
        ("likes > 2 and nsfw", lambda one: one["likes"] > 2 and one["nsfw"]),
        ("images_seen >= 3000", lambda one: (one["images_seen"] or 0) >= 3000),
        ("likes > 99", lambda _: False),
    ],
)
def test_values_are_counted_as_one_by_one(
    filled: sa.Engine, words: str, matches: Any, most: int
) -> None:
    rows = [one for one in map(row, range(1, FILES + 1)) if matches(one)]
    tree = parse([words], BY_NAME)
    with filled.connect() as connection:
        found = counted(connection, tree, most=most)
        assert total(connection, tree) == found.total == len(rows)
    assert tuple(facet.field for facet in found.facets) == FACETS
    for facet in found.facets:
        values = [one[facet.field] for one in rows]
        is_month = facet.field == "published_at"
        counts = Counter(f"{one:%Y-%m}" if is_month else one for one in values if one is not None)
        by_count = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        expected = sorted(counts.items(), reverse=True) if is_month else by_count
        assert list(facet.values) == expected[:most], facet.field
        assert facet.missing == values.count(None)
        assert facet.more is (len(expected) > most)
