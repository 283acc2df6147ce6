"""Facets: the frequent values of some fields, and how many rows have none."""

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.query.parser import parse
from crawler.query.tree import And
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.cube import Cube, can_count
from crawler.store.stats.facets import FACETS, counted, total
from tests.conftest import Prepared
from tests.web.rows import FILES, row
from tests.web.rows import loras as store_rows


@pytest.fixture
def filled(prepared: Prepared) -> sa.Engine:
    def fill(engine: sa.Engine) -> None:
        with engine.begin() as connection:
            store_rows(connection)

    return prepared("facets", fill)


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


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize(
    "words",
    [
        "",
        "base_model = 'Pony'",
        "optimizer:pro* and network_dim:32..",
        "network_dim is null and creator = 'stonecutter1'",
        "creator like '%1' and not creator = 'stonecutter11'",
        "published_at:2025-02",
        "published_at:2025-02 and (base_model = 'Pony' or trainer is null)",
        "published_at < '2025-03' or published_at is null",
        "creator in ('stonecutter1', 'nobody') and base_model is null",
        "network_dim > 9000",
    ],
)
def test_rows_in_memory_are_counted_alike(filled: sa.Engine, words: str, most: int) -> None:
    tree = parse([words], BY_NAME)
    with filled.connect() as connection:
        cube = Cube(connection, None)
        assert can_count(tree)
        assert cube.counted(tree, most=most) == counted(connection, tree, most=most)
        some = parse(["likes > 2"], BY_NAME)
        assert some is not None
        part = Cube(connection, some)
        both = some if tree is None else And((some, tree))
        assert part.counted(tree, most=most) == counted(connection, both, most=most)


@pytest.mark.parametrize(
    "words",
    [
        "likes > 3",
        "has(tags, 'x')",
        "base_model = creator",
        "creator = 'x' or base_model = 'Pony'",
        "published_at > '2025-02'",
        "published_at <= '2025-02'",
        "published_at >= '2025-02-02'",
        "published_at >= '2025-02-01 00:00:00.5'",
        "published_at between '2025-02' and '2025-03'",
        "published_at = training_started_at",
        "published_at:-30d",
        "optimizer_args.weight_decay > 0",
    ],
)
def test_what_differs_within_a_combination_is_not_counted_in_memory(words: str) -> None:
    assert not can_count(parse([words], BY_NAME))


def test_no_rows_are_counted_too(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        cube = Cube(connection, None)
        assert cube.counted(None, most=3) == counted(connection, None, most=3)
        assert cube.counted(parse(["rank:3"], BY_NAME), most=3).total == 0
