"""What the databases answer about a made-up catalogue is what plain Python computes from its rows."""

import random
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.insight.suggest.advice import COLUMNS, advise
from crawler.model.catalogue import MONTH
from crawler.store.stats import examples
from crawler.store.stats.creators import creators
from crawler.store.stats.examples import Selection, find_examples
from tests.store.stats.test_value_counts import insert

NOW = datetime(2026, 3, 4, tzinfo=UTC)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Files of few creators, runs and models, of which some say nothing."""
    chance = random.Random(11)
    found: list[Row] = []
    for number in range(1, 241):
        model = number - number % 3 // 2
        outcome = chance.choice(("decoded", "decoded", "decoded", "no_metadata", "pending"))
        row: Row = {
            "model_id": model,
            "version_id": model,
            "base_model": "Pony",
            "creator": random.Random(model).choice(("anvil", "mason", "Zinc", None)),
            "likes": random.Random(model).randrange(1, 900),
            "published_at": NOW - timedelta(days=60 + model),
            "outcome": outcome,
        }
        if outcome == "decoded":
            row |= {
                "session_id": chance.choice(("1", "2", "3", None)),
                "images_seen": chance.choice((None, 100, 250, 2_400, 2_401)),
                "megapixels_seen": chance.choice((None, 0.5, 7.25)),
                "training_seconds": chance.choice((None, 900.0, 5_400.0)),
                "network_dim": chance.choice((8, 16, 32)),
                "network_algo": "lora",
                "network_module": "networks.lora",
                "optimizer": chance.choice(("Lion", "AdamW8bit")),
                "effective_unet_lr": chance.choice((1e-4, 3e-4, 5e-4)),
            }
        found.append(row)
    return found


def test_only_the_most_liked_are_examples(
    engine: sa.Engine, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MOST_EXAMPLES", 5)
    for row in rows:
        row["likes_per_month"] = row["likes"] / 7
    insert(engine, *rows)
    with engine.connect() as connection:
        found = find_examples(connection, Selection(base_model="Pony"), ())

    decoded = {row["model_id"]: row["likes"] for row in rows if row["outcome"] == "decoded"}
    best = sorted(decoded.items(), key=lambda pair: -pair[1])
    assert best[4][1] > best[5][1]
    assert Counter(found.likes) == Counter(likes for _, likes in best[:5])


def test_the_work_of_creators(engine: sa.Engine, rows: list[Row]) -> None:
    insert(engine, *rows)
    with engine.connect() as connection:
        by_name = creators(connection, None, sort="creator", limit=0)
        most = creators(connection, None, sort="median_images_seen", limit=2)

    for one in by_name.listed:
        own = [row for row in rows if row["creator"] == one.creator]
        decoded = [row for row in own if row["outcome"] == "decoded"]
        runs: defaultdict[object, list[Row]] = defaultdict(list)
        for row in decoded:
            runs[row["session_id"] or row["version_id"]].append(row)

        def of_runs(name: str, runs: dict[object, list[Row]] = runs) -> list[float]:
            known = [[row[name] for row in run if row[name] is not None] for run in runs.values()]
            return [max(values) for values in known if values]

        assert (one.files, one.runs) == (len(own), len(runs))
        assert one.loras == len({row["model_id"] for row in own})
        read = [row for row in own if row["outcome"] != "pending"]
        assert one.with_metadata == len(decoded) / len(read)
        assert one.median_images_seen == statistics.median(of_runs("images_seen"))
        assert one.megapixels_seen == sum(of_runs("megapixels_seen"))
        assert one.training_hours == sum(of_runs("training_seconds")) / 3600
    assert [one.creator for one in by_name.listed] == ["Zinc", "anvil", "mason"]
    assert by_name.files + by_name.without_creator == len(rows)
    order = sorted(by_name.listed, key=lambda one: (-(one.median_images_seen or 0), one.creator))
    assert list(most.listed) == order[:2]


def test_the_settings_that_are_suggested(engine: sa.Engine, rows: list[Row]) -> None:
    insert(engine, *rows)
    with engine.connect() as connection:
        found = advise(find_examples(connection, Selection(base_model="Pony"), COLUMNS), NOW)

    newest: dict[int, Row] = {}
    for row in rows:
        before = newest.get(row["model_id"], {})
        seen = -1 if row.get("images_seen") is None else row["images_seen"]
        than = -1 if before.get("images_seen") is None else before["images_seen"]
        if row["outcome"] == "decoded" and (not before or seen > than):
            newest[row["model_id"]] = row
    examples = list(newest.values())
    weight = {
        row["model_id"]: row["likes"] / ((NOW - row["published_at"]) / MONTH) for row in examples
    }
    assert found.loras == len(examples)
    by_dim: Counter[int] = Counter()
    for row in examples:
        by_dim[row["network_dim"]] += weight[row["model_id"]]
    dim = found.findings["network_dim"]
    assert [one.value for one in dim.values] == [value for value, _ in by_dim.most_common()]
    for one in dim.values:
        assert one.count == sum(row["network_dim"] == one.value for row in examples)
        assert one.share == pytest.approx(by_dim[one.value] / sum(by_dim.values()), rel=1e-6)
    chosen = found.chosen("optimizer")
    rate = found.findings["effective_unet_lr"]
    alike = sorted(
        (row["effective_unet_lr"], weight[row["model_id"]])
        for row in examples
        if row["optimizer"] == chosen
    )
    reached = list(accumulate(part for _, part in alike))
    median = next(
        value for (value, _), part in zip(alike, reached, strict=True) if part >= reached[-1] / 2
    )
    assert (rate.chosen, rate.count, rate.given) == (median, len(alike), (("optimizer", chosen),))
