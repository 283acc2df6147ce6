"""Counts and quartiles; on both databases."""

import math
import random
import statistics
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import field_stats, loras
from crawler.store.stats.field_stats import (
    Age,
    age,
    count_changes,
    refresh_if_due,
    refresh_statistics,
)
from crawler.store.stats.numbers import quartiles
from crawler.store.write.crawls import begin_crawl
from tests.factories import NOW
from tests.stored import insert_loras

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def _insert(engine: sa.Engine, rows: list[dict[str, Any]]) -> None:
    row = {
        "version_id": 1,
        "model_id": 1,
        "site": "civitai",
        "outcome": "decoded",
        "attempts": 1,
        "base_model": None,
        "network_dim": None,
        "learning_rate": None,
        "optimizer": None,
        "other_settings": None,
    }
    with engine.begin() as connection:
        insert_loras(connection, [{"file_id": n} | row | r for n, r in enumerate(rows)])


def _stats(engine: sa.Engine) -> dict[tuple[str, str], tuple[Any, ...]]:
    with engine.begin() as connection:
        refresh_statistics(connection, NOW)
        rows = connection.execute(sa.select(*list(field_stats.c)[:7]))
        return {(base, field): tuple(rest) for base, field, *rest in rows}


def test_an_empty_database_has_no_statistics(engine: sa.Engine) -> None:
    assert _stats(engine) == {}


def test_counts_are_of_all_rows_and_quartiles_of_those_read(engine: sa.Engine) -> None:
    _insert(
        engine,
        [
            {"base_model": "Pony", "network_dim": 8, "optimizer": "Lion"},
            {"base_model": "Pony", "network_dim": 16},
            {"base_model": "SDXL 1.0", "network_dim": 64, "outcome": "no_metadata"},
            {"base_model": "Pony", "network_dim": 1000, "outcome": "failed"},
            {"network_dim": 32, "other_settings": {"a": 1}},
            {"base_model": "", "network_dim": None, "other_settings": {}},
        ],
    )

    found = _stats(engine)

    assert found["", "network_dim"][:4] == (5, 14.0, 24.0, 40.0)
    assert found["Pony", "network_dim"][:4] == (3, 10.0, 12.0, 14.0)
    assert found["SDXL 1.0", "network_dim"] == (1, 64.0, 64.0, 64.0, [64] * 101)
    assert found["Pony", "network_dim"][4] == [8] * 50 + [16] * 51
    assert found["", "file_id"] == (6, None, None, None, None)
    assert found["Pony", "optimizer"] == (1, None, None, None, None)
    assert found["", "other_settings"] == (2, None, None, None, None)
    assert ("", "learning_rate") not in found
    assert {base for base, _ in found} == {"", "Pony", "SDXL 1.0"}
    assert {field for _, field in found} <= {field.name for field in FIELDS}


def test_they_are_made_anew(engine: sa.Engine) -> None:
    _insert(engine, [{"base_model": "Pony", "network_dim": 8}])
    before = _stats(engine)
    assert _stats(engine) == before
    with engine.begin() as connection:
        connection.execute(sa.update(loras).values(base_model="NoobAI", network_dim=None))

    after = _stats(engine)

    assert ("NoobAI", "file_id") in after
    assert not {key for key in after if key[0] == "Pony" or key[1] == "network_dim"}


def test_both_databases_give_the_same_as_plain_python(engine: sa.Engine) -> None:
    chance = random.Random(7)
    values = [chance.lognormvariate(-9, 2) for _ in range(500)]
    _insert(engine, [{"base_model": "Pony", "learning_rate": value} for value in values])

    count, *found, percentiles = _stats(engine)["Pony", "learning_rate"]

    assert count == 500
    assert percentiles[0] == min(values)
    assert percentiles[100] == max(values)
    assert percentiles[50] == statistics.median_high(values)
    assert found == pytest.approx(statistics.quantiles(values, n=4, method="inclusive"), rel=1e-12)


def test_they_are_the_same_however_few_columns_a_scan_reads(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(8)
    bases = ("Pony", "SDXL 1.0", "", None)
    _insert(
        engine,
        [
            {
                "base_model": chance.choice(bases),
                "network_dim": chance.choice((4, 8, None)),
                "learning_rate": chance.choice((1e-4, 0.0, -0.0, None)),
                "optimizer": "Lion",
            }
            for _ in range(200)
        ],
    )
    together = _stats(engine)
    monkeypatch.setattr("crawler.store.stats.field_stats.VALUES_PER_SCAN", 1)
    monkeypatch.setattr("crawler.store.stats.numbers._FETCH_ROWS", 7)

    assert _stats(engine) == together
    assert None not in together["", "network_dim"]


@given(st.lists(FLOATS, min_size=1))
@example([5e-324, 5e-324])
@example([-1.7e308, 1.7e308])
def test_quartiles_are_finite_and_in_order(values: list[float]) -> None:
    first, median, third = quartiles(sorted(values))

    assert min(values) <= first <= median <= third <= max(values)
    assert math.isfinite(median)


def _age(engine: sa.Engine) -> Age | None:
    with engine.connect() as connection:
        return age(connection)


def _change(engine: sa.Engine, rows: int) -> None:
    with engine.begin() as connection:
        count_changes(connection, rows)


def test_they_are_made_once_enough_rows_have_changed(engine: sa.Engine) -> None:
    later = NOW + timedelta(hours=1)

    def refreshed(now: datetime) -> bool:
        assert refresh_if_due(engine, now=now, going=lambda: True)
        found = _age(engine)
        return found is not None and found.made_at == now

    assert not refreshed(NOW)  # there are no rows
    _insert(engine, [{"network_dim": 8}] * 300)
    assert refreshed(NOW)
    assert _age(engine) == Age(NOW, 300, 0)
    assert not refreshed(later)
    _change(engine, 2)
    assert not refreshed(later)
    _change(engine, 1)
    assert _age(engine) == Age(NOW, 300, 3)
    assert refreshed(later)


def test_a_thousand_rows_are_enough_and_a_killed_run_may_have_changed_as_many(
    engine: sa.Engine,
) -> None:
    _insert(engine, [{"network_dim": 8}])
    assert refresh_if_due(engine, now=NOW, going=lambda: True)
    with engine.begin() as connection:
        connection.execute(sa.update(field_stats).values(count=10_000_000))
    for rows, made_at in ((999, NOW), (1, NOW + timedelta(hours=1))):
        _change(engine, rows)
        assert refresh_if_due(engine, now=NOW + timedelta(hours=1), going=lambda: True)
        assert getattr(_age(engine), "made_at", None) == made_at
    later = NOW + timedelta(hours=2)
    with engine.begin() as connection:
        begin_crawl(connection, origin="local", walk="scan", now=later)
    assert refresh_if_due(engine, now=later, going=lambda: True)
    assert getattr(_age(engine), "made_at", None) == later


def test_they_can_be_stopped_and_leave_the_old_ones(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _insert(engine, [{"base_model": f"Made-up {n}", "network_dim": 8} for n in range(50)])
    before = _stats(engine)
    _change(engine, 50)
    begun = threading.Event()

    def endless(connection: sa.Connection, _now: datetime) -> None:
        connection.execute(sa.delete(field_stats))
        begun.set()
        one = sa.select(sa.literal(1).label("n")).cte(recursive=True)
        numbers = one.union_all(sa.select(one.c.n + 1))
        connection.execute(sa.select(sa.func.count()).select_from(numbers))

    monkeypatch.setattr("crawler.store.stats.field_stats.refresh_statistics", endless)
    monkeypatch.setattr("crawler.store.stats.field_stats.GRACE_SECONDS", 0)

    assert not refresh_if_due(engine, now=NOW, going=lambda: not begun.is_set())

    with engine.connect() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(field_stats)).scalar_one()
    assert kept == len(before)
    assert getattr(_age(engine), "changed", None) == 50
