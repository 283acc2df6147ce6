"""Values counted, creators and examples: the same on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.query.parser import parse
from crawler.store.schema.fields import BY_NAME, FIELDS
from crawler.store.schema.tables import loras, models, versions
from crawler.store.stats.creators import Creator, creators
from crawler.store.stats.examples import (
    Coverage,
    Selection,
    base_models,
    coverage_of,
    find_examples,
)
from crawler.store.stats.value_counts import (
    FrequentValue,
    Grouping,
    Population,
    Populations,
    months,
    most_frequent,
    numbers,
    populations,
)
from tests.conftest import Prepared

NOW = datetime(2026, 3, 4, tzinfo=UTC)

BASE, MONTH, RANK = (
    Grouping(BY_NAME[name]) for name in ("base_model", "published_at", "network_dim")
)


def insert(engine: sa.Engine, *rows: dict[str, Any]) -> None:
    """Rows of `loras`, numbered from 1, with the models and versions behind them."""
    full: list[dict[str, Any]] = []
    for number, row in enumerate(rows, start=1):
        given = {
            "file_id": number,
            "model_id": number,
            "version_id": row.get("model_id", number),
            "site": "civitai",
            "outcome": "decoded",
            "attempts": 1,
        }
        full.append(dict.fromkeys(field.name for field in FIELDS) | given | row)
    with engine.begin() as connection:
        for model in sorted({row["model_id"] for row in full}):
            seen = {"first_seen_at": NOW, "last_seen_at": NOW}
            connection.execute(models.insert(), {"model_id": model, "site": "civitai"} | seen)
        for version, row in {row["version_id"]: row for row in full}.items():
            about = {"version_id": version, **seen}
            about |= {name: row[name] for name in ("model_id", "published_at")}
            connection.execute(versions.insert(), about)
        connection.execute(loras.insert(), full)


def _fill(engine: sa.Engine) -> None:
    may, june = datetime(2025, 5, 31, 23, 59, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    insert(
        engine,
        {"base_model": "Pony", "network_dim": 8, "optimizer": "Lion", "published_at": may},
        {"base_model": "Pony", "network_dim": 16, "optimizer": "Adam", "published_at": may},
        {"base_model": "Pony", "network_dim": 16, "optimizer": "Adam", "published_at": june},
        {"base_model": "Flux", "optimizer": "Lion", "enable_bucket": True, "published_at": june},
        {"base_model": "Flux", "outcome": "no_metadata", "published_at": june},
        {"base_model": "", "outcome": "failed"},
    )


@pytest.fixture
def shelf(prepared: Prepared) -> sa.Engine:
    """Six files of two base models and two months."""
    return prepared("six_files", _fill)


def read(engine: sa.Engine, name: str, by: Grouping | None, *where: str) -> dict[Any, list[float]]:
    tree = parse(where, BY_NAME)
    with engine.connect() as connection:
        found = numbers(connection, [BY_NAME[name]], tree, by)[name]
    return {group: values.tolist() for group, values in found.items()}


def test_populations_tell_how_much_can_be_known(shelf: sa.Engine) -> None:
    pony, flux = Population("Pony", 3, 3, 0), Population("Flux", 2, 2, 1)
    nameless = Population(None, 1, 0, 0)
    with shelf.connect() as connection:
        whole = populations(connection, None, None)
        based = populations(connection, None, BASE)
        monthly = populations(connection, None, MONTH)
        nothing = populations(connection, parse(["steps>1"], BY_NAME), None)

    assert whole == Populations((Population(None, 6, 5, 1),), 0, 0)
    assert set(based.listed) == {pony, flux, nameless}
    assert (based.groups, based.files) == (2, 5)
    assert set(monthly.listed) == {
        Population("2025-05", 2, 2, 0),
        Population("2025-06", 3, 3, 1),
        Population(None, 1, 0, 0),
    }
    assert nothing == Populations((), 0, 0)


def test_populations_of_the_largest_groups(shelf: sa.Engine) -> None:
    """The rows without a value are no group of their own; of equal groups the smaller value is listed."""
    optimizer = Grouping(BY_NAME["optimizer"])
    with shelf.connect() as connection:
        largest = populations(connection, None, BASE, most=1)
        known = populations(connection, parse(["base_model > ''"], BY_NAME), optimizer, most=1)
        none_missing = populations(connection, parse(["optimizer:*"], BY_NAME), optimizer, most=1)

    assert set(largest.listed) == {Population("Pony", 3, 3, 0), Population(None, 1, 0, 0)}
    assert (largest.groups, largest.files) == (2, 5)
    assert set(known.listed) == {Population("Adam", 2, 2, 0), Population(None, 1, 1, 1)}
    assert none_missing == Populations((Population("Adam", 2, 2, 0),), 2, 4)


def test_groups_of_numbers_and_truth_values(shelf: sa.Engine) -> None:
    bins = Grouping(RANK.field, starts=(8.4, 16))
    truth = Grouping(BY_NAME["enable_bucket"])
    with shelf.connect() as connection:
        ranks = populations(connection, None, RANK)
        binned = populations(connection, None, bins)
        truths = populations(connection, None, truth)
        frequent = most_frequent(connection, BY_NAME["optimizer"], None, truth, most=1)

    assert set(ranks.listed) == {
        *(Population(8, 1, 1, 0), Population(16, 2, 2, 0), Population(None, 3, 2, 1)),
    }
    assert {one.group: one.files for one in binned.listed} == {0: 1, 2: 2, None: 3}
    assert {one.group: one.files for one in truths.listed} == {True: 1, None: 5}
    assert {(one.group, one.value, one.total) for one in frequent} == {
        *((True, "Lion", 1), (None, "Adam", 3)),
    }
    assert read(shelf, "network_dim", bins) == {0: [8], 2: [16, 16]}
    assert read(shelf, "network_dim", truth) == {None: [8, 16, 16]}


def test_rows_of_other_texts_are_left_out(shelf: sa.Engine) -> None:
    """But not the rows without one."""
    pony = Grouping(BASE.field, only=("Pony",))
    with shelf.connect() as connection:
        assert set(populations(connection, None, pony).listed) == {
            *(Population("Pony", 3, 3, 0), Population(None, 1, 0, 0)),
        }
        assert months(connection, MONTH.field, None, pony) == {"Pony": {"2025-05": 2, "2025-06": 1}}
        assert {one.group for one in most_frequent(connection, BASE.field, None, pony, most=9)} == {
            *("Pony", None),
        }
    assert read(shelf, "network_dim", pony, "optimizer:lion") == {"Pony": [8]}


def test_numbers_are_read_by_group(shelf: sa.Engine) -> None:
    assert read(shelf, "network_dim", None) == {None: [8, 16, 16]}
    assert read(shelf, "network_dim", BASE) == {"Pony": [8, 16, 16]}
    assert read(shelf, "network_dim", MONTH, "optimizer:adam") == {
        "2025-05": [16],
        "2025-06": [16],
    }
    assert read(shelf, "seed", None) == {}


def test_times_are_counted_by_month(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        assert months(connection, BY_NAME["published_at"], None, None) == {
            None: {"2025-05": 2, "2025-06": 3}
        }
        assert months(connection, BY_NAME["published_at"], None, BASE) == {
            "Pony": {"2025-05": 2, "2025-06": 1},
            "Flux": {"2025-06": 2},
        }


def test_the_commonest_values_of_each_group(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        texts = most_frequent(connection, BY_NAME["optimizer"], None, None, most=1)
        grouped = most_frequent(connection, BY_NAME["optimizer"], None, BASE, most=1)
        truths = most_frequent(connection, BY_NAME["enable_bucket"], None, None, most=5)

    assert texts == [FrequentValue(None, "Adam", 2, 4, 2)]
    assert set(grouped) == {
        FrequentValue("Flux", "Lion", 1, 1, 1),
        FrequentValue("Pony", "Adam", 2, 3, 2),
    }
    assert [(one.count, one.total, one.distinct) for one in truths] == [(1, 1, 1)]
    assert truths[0].value is True


def test_a_run_counts_once_with_the_furthest_of_its_files(engine: sa.Engine) -> None:
    def epoch(session: str | None, images: int | None, **more: Any) -> dict[str, Any]:
        effort = (
            {} if images is None else {"megapixels_seen": images / 4, "training_seconds": 3600.0}
        )
        about = {"creator": "mason", "session_id": session, "images_seen": images, "model_id": 1}
        return about | effort | more

    insert(
        engine,
        epoch("a", 100),
        epoch("a", 400),
        epoch("b", 1000),
        epoch("b", 200, model_id=2),
        epoch(None, 30, model_id=3),
        epoch(None, 60, model_id=3),
        epoch(None, None, model_id=4),
        epoch(None, None, model_id=4, outcome="no_metadata"),
        epoch(None, None, model_id=5, outcome="pending"),
        epoch("a", 2**40, model_id=6, creator="carver"),
        epoch(None, 5, model_id=7, creator=None),
    )
    with engine.connect() as connection:
        found = creators(connection, None, sort="loras", limit=0)
        first = creators(connection, None, sort="megapixels_seen", limit=1)
        none = creators(connection, parse(["steps>1"], BY_NAME), sort="creator", limit=0)

    assert found.listed == (
        Creator("mason", 5, 9, 7 / 8, 4, 400.0, 365.0, 3.0),
        Creator("carver", 1, 1, 1.0, 1, 2.0**40, 2.0**38, 1.0),
    )
    assert (found.total, found.files, found.read, found.no_metadata) == (2, 10, 9, 1)
    assert found.without_creator == 1
    assert ([one.creator for one in first.listed], first.total) == (["carver"], 2)
    assert (none.listed, none.total, none.without_creator) == ((), 0, 0)


def test_the_median_of_an_even_number_of_runs_lies_between(engine: sa.Engine) -> None:
    insert(engine, *({"creator": "mason", "images_seen": images} for images in (10, 40, 20, 70)))
    with engine.connect() as connection:
        (author,) = creators(connection, None, sort="runs", limit=0).listed

    assert author.median_images_seen == 30.0
    assert author.megapixels_seen is author.training_hours is None


def test_creators_who_tell_nothing_are_listed_last(engine: sa.Engine) -> None:
    insert(
        engine,
        {"creator": "anvil", "outcome": "no_metadata"},
        {"creator": "bellows", "outcome": "pending"},
        {"creator": "chisel", "training_seconds": 1.0},
    )
    with engine.connect() as connection:
        found = creators(connection, None, sort="training_hours", limit=0).listed

    assert [one.creator for one in found] == ["chisel", "anvil", "bellows"]
    assert [one.with_metadata for one in found] == [1.0, 0.0, None]
    assert [one.runs for one in found] == [1, 0, 0]


def test_each_lora_has_one_example(engine: sa.Engine) -> None:
    year = timedelta(days=365)
    old = {"base_model": "Pony", "model_id": 1, "version_id": 10, "published_at": NOW - year}
    new = old | {"version_id": 11, "published_at": NOW}
    insert(
        engine,
        old | {"is_primary": True, "images_seen": 900},
        new | {"is_primary": False, "images_seen": 800},
        new | {"is_primary": True, "images_seen": 100, "likes": 7, "creator": "mason"},
        new | {"is_primary": True, "images_seen": 200, "likes": 7, "creator": "mason"},
        {"base_model": "Pony", "model_id": 2, "trainer": "merge-tool"},
        {"base_model": "Pony", "model_id": 3, "outcome": "no_metadata"},
        {"base_model": "Pony", "model_id": 4, "outcome": "pending"},
        {"base_model": "Flux", "model_id": 5},
    )
    selection = Selection(base_model="Pony")
    with engine.connect() as connection:
        found = find_examples(connection, selection, ("images_seen", "version_id", "file_id"))
        assert coverage_of(connection, selection) == Coverage(4, 3, 2)
        assert base_models(connection) == {"Pony": 7, "Flux": 1}

    assert (found.file_ids, found.likes, found.creators) == ([4], [7], ["mason"])
    assert [column.values for column in found.columns.values()] == [[200], [11], [4]]
    assert found.published_at == [NOW - year]


def test_values_are_what_they_were_and_objects_are_compared_as_such(engine: sa.Engine) -> None:
    one = {"base_model": "Pony", "network_args": {"b": 1, "a": 2}, "enable_bucket": True}
    args: list[Any] = [{"b": 1, "a": 2}, {"a": 2, "b": 1}, None]
    insert(engine, *(one | {"network_args": each} for each in args))
    with engine.connect() as connection:
        names = ("network_args", "enable_bucket", "network_alpha")
        found = find_examples(connection, Selection(base_model="Pony"), names)

    spelt, bucket, alpha = (found.columns[name] for name in names)
    assert spelt.values == [{"a": 2, "b": 1}]
    codes = dict(zip(found.file_ids, spelt.codes.tolist(), strict=True))
    assert codes == {1: 0, 2: 0, 3: -1}
    assert (bucket.values, alpha.values) == ([True], [])
    assert type(bucket.values[0]) is bool
    assert alpha.codes.tolist() == [-1, -1, -1]


def test_who_is_asked(engine: sa.Engine) -> None:
    insert(
        engine,
        {"base_model": "Pony", "image_count": 10, "model_tags": ["stone"], "likes": 5},
        {"base_model": "Pony", "image_count": 40, "creator": "Mason", "likes": 6},
        {"base_model": "Pony", "model_tags": ["style", "stone"], "likes": 4},
    )
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [1, 2, 3]),
        ({"images": (10, 40)}, [1, 2]),
        ({"images": (41, 99)}, []),
        ({"tag": "stone"}, [1, 3]),
        ({"tag": "STONE"}, [1, 3]),
        ({"creator": "MASON"}, [2]),
        ({"min_likes": 5}, [1, 2]),
        ({"base_model": "Pon"}, []),
    ]
    for asked, expected in cases:
        with engine.connect() as connection:
            found = find_examples(connection, Selection(**{"base_model": "Pony"} | asked), ())

        assert sorted(found.file_ids) == expected, asked
