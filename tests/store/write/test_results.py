"""How files ended, stored; on both databases."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.verdict import verdict_of
from crawler.model import Decoded, Directory, Header, Outcome, Problem, Recipe, Result, Weights
from crawler.store.read.headers import stored_header
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.store.write.results import TRAINING_COLUMNS, store_results
from crawler.store.write.tags import tag_id
from tests.conftest import ON_POSTGRESQL
from tests.factories import METADATA, NOW, make_header_bytes, make_model, make_result
from tests.stored import list_models

LATER = NOW + timedelta(days=1)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    """A database with the pending files 1, 2 and 3."""
    with engine.begin() as connection:
        list_models(connection, *(make_model(number) for number in (1, 2, 3)))
    return engine


def _store(engine: sa.Engine, *results: Result) -> None:
    with engine.begin() as connection:
        store_results(connection, results)


def _rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]


def _everything(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    return {table.name: _rows(engine, table) for table in tables.metadata.sorted_tables}


def _made(**changes: Any) -> Decoded:
    """A decoded header put together by hand."""
    given: dict[str, Any] = {
        "header": Header(2, {}, None),
        "outcome": Outcome.DECODED,
        "recipe": Recipe(),
        "weights": Weights(),
        "tags": {},
    }
    return Decoded(**given | changes)


def test_a_decoded_header_fills_its_row_and_its_parts(filled: sa.Engine) -> None:
    _store(filled, make_result(1, reason="", file_bytes=40_000))

    row = _rows(filled, loras)[0]
    assert (row["outcome"], row["reason"], row["attempts"]) == ("decoded", None, 1)
    assert row["fetched_at"] == NOW
    assert (row["network_dim"], row["optimizer"], row["tensor_rank"]) == (32, "AdamW8bit", 32)
    assert row["training_seconds"] == 3600.5
    [header] = _rows(filled, tables.headers)
    assert header["length"] == len(make_header_bytes()) - 8
    assert header["file_bytes"] == 40_000
    assert header["decoder_version"] == DECODER_VERSION
    [directory] = _rows(filled, tables.directories)
    assert (directory["name"], directory["repeats"]) == ("5_marble", 5)
    counts = {row["tag_id"]: row["count"] for row in _rows(filled, tables.file_tags)}
    assert counts == {tag_id("1girl"): 40, tag_id("空"): 3, tag_id("a 'quoted' tag"): 1}
    assert {row["name"] for row in _rows(filled, tables.tags)} == {"1girl", "空", "a 'quoted' tag"}


def test_the_row_is_what_the_stored_header_says(filled: sa.Engine) -> None:
    odd = {**METADATA, "ss_network_dim": "Dynamic", "ss_seed": "many", "ss_steps": "12.5"}
    _store(
        filled,
        make_result(1),
        make_result(2, make_header_bytes(odd)),
        make_result(3, make_header_bytes(None)),
    )

    rows = {row["file_id"]: row for row in _rows(filled, loras)}
    problems = _rows(filled, tables.problems)
    for file_id, row in rows.items():
        with filled.connect() as connection:
            again = verdict_of(stored_header(connection, file_id), None)
        assert again.decoded is not None
        assert row["outcome"] == again.outcome
        said = {
            name: getattr(again.decoded.recipe, name, None)
            if hasattr(again.decoded.recipe, name)
            else getattr(again.decoded.weights, name)
            for name in TRAINING_COLUMNS
        }
        assert {name: row[name] for name in TRAINING_COLUMNS} == said
        assert [
            Problem(problem["code"], problem["field"], problem["detail"])
            for problem in problems
            if problem["file_id"] == file_id
        ] == list(again.decoded.problems)
    assert problems != []


def test_the_same_result_again_only_counts_the_attempt(filled: sa.Engine) -> None:
    _store(filled, make_result(1))
    before = _everything(filled)

    _store(filled, make_result(1, attempts=3, fetched_at=LATER))

    after = _everything(filled)
    assert after["loras"][0]["attempts"] == 4
    before["loras"][0] |= {"attempts": 4, "fetched_at": LATER}
    assert after == before


def test_another_header_replaces_all_that_the_first_one_said(filled: sa.Engine) -> None:
    _store(filled, make_result(1))

    _store(filled, make_result(1, make_header_bytes({"format": "pt"})))

    row = _rows(filled, loras)[0]
    assert (row["outcome"], row["network_dim"], row["optimizer"]) == ("no_metadata", None, None)
    assert row["tensor_rank"] == 32
    for table in (tables.datasets, tables.directories, tables.file_tags):
        assert _rows(filled, table) == []


def test_a_broken_header_keeps_its_bytes_and_says_nothing(filled: sa.Engine) -> None:
    broken = (30).to_bytes(8, "little") + b'{"a": [1, 2'
    _store(filled, make_result(1))

    _store(filled, make_result(1, broken))

    row = _rows(filled, loras)[0]
    assert row["outcome"] == "bad_header"
    assert row["reason"]
    assert {row[name] for name in TRAINING_COLUMNS} == {None}
    with filled.connect() as connection:
        assert stored_header(connection, 1) == broken
    [header] = _rows(filled, tables.headers)
    assert header["length"] == 30


@pytest.mark.parametrize("header", [b"\x02", b"<!DOCT", b"\xff" * 8 + b"more"])
def test_bytes_without_a_length_have_none(filled: sa.Engine, header: bytes) -> None:
    _store(filled, make_result(1, header))

    [row] = _rows(filled, tables.headers)
    assert row["length"] is None
    with filled.connect() as connection:
        assert stored_header(connection, 1) == header


def test_a_refusal_stores_the_outcome_and_takes_nothing_away(filled: sa.Engine) -> None:
    _store(filled, make_result(1))
    before = _everything(filled)

    refused = make_result(
        1, b"", outcome=Outcome.EARLY_ACCESS, reason="in early access", early_access_until=LATER
    )
    _store(filled, refused, make_result(2, b"", outcome=Outcome.PENDING, next_try_at=LATER))

    after = _everything(filled)
    before["loras"][0] |= {
        "outcome": "early_access",
        "reason": "in early access",
        "attempts": 2,
        "early_access_until": LATER,
    }
    before["loras"][1] |= {
        "reason": "the server did not answer",
        "attempts": 1,
        "fetched_at": NOW,
        "next_try_at": LATER,
    }
    assert after == before


def test_a_batch_is_stored_whole_or_not_at_all(filled: sa.Engine) -> None:
    before = _everything(filled)
    stranger = make_result(404)

    with pytest.raises(sa.exc.IntegrityError):
        _store(filled, make_result(1), make_result(2), stranger)

    assert _everything(filled) == before


def test_the_last_of_two_results_for_one_file_counts(filled: sa.Engine) -> None:
    _store(filled, make_result(1, b""), make_result(1))

    assert _rows(filled, loras)[0]["outcome"] == "decoded"


def test_unlisted_directories_keep_their_tags_apart(filled: sa.Engine) -> None:
    decoded = _made(
        directories=(Directory(number=0, name="5_a"), Directory(number=1, name="5_a")),
        tags={"5_a": {"x": 1}, "left": {"x": 2, "y": 3}, "right": {"x": 4}},
    )

    _store(filled, replace(make_result(1), decoded=decoded))

    found = {
        (row["directory_number"], row["tag_id"]): row["count"]
        for row in _rows(filled, tables.file_tags)
    }
    assert found == {
        (0, tag_id("x")): 1,
        (-1, tag_id("x")): 2,
        (-1, tag_id("y")): 3,
        (-2, tag_id("x")): 4,
    }


def test_files_share_tags(filled: sa.Engine) -> None:
    _store(filled, make_result(1), make_result(2))
    _store(filled, make_result(3))

    assert len(_rows(filled, tables.tags)) == 3
    assert len(_rows(filled, tables.file_tags)) == 9


def test_a_header_with_very_many_tags_is_stored(filled: sa.Engine) -> None:
    tags = {f"tag {number}": number for number in range(40_000)}
    metadata = {**METADATA, "ss_tag_frequency": json.dumps({"5_marble": tags})}

    _store(filled, make_result(1, make_header_bytes(metadata)))

    with filled.connect() as connection:
        total = sa.select(sa.func.count()).select_from(tables.file_tags)
        assert connection.execute(total).scalar() == 40_000


@ON_POSTGRESQL
def test_a_file_that_two_writers_read_is_stored_twice(filled: sa.Engine) -> None:
    """As when a job of a fleet comes back while its worker still lives."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    first, second = make_result(1), make_result(1, make_header_bytes({"ss_network_dim": "8"}))
    with ThreadPoolExecutor(1) as pool:
        with filled.begin() as connection:
            store_results(connection, [first, make_result(2)])
            other = pool.submit(_store, filled, make_result(2), second)
            while not connection.scalar(waiting):
                assert not other.done()
        other.result(timeout=60)

    assert [row["attempts"] for row in _rows(filled, loras)] == [2, 2, 0]
    assert _rows(filled, loras)[0]["network_dim"] == 8
    assert [row["file_id"] for row in _rows(filled, tables.directories)] == [2]
    assert [row["file_id"] for row in _rows(filled, tables.old_headers)] == [1]


KILLED = """
import os, sys
from crawler.store.connect.database import open_for_writing
from crawler.store.write.results import store_results
from tests.factories import make_result
engine = open_for_writing(sys.argv[1])
with engine.begin() as connection:
    store_results(connection, [make_result(1)])
with engine.begin() as connection:
    store_results(connection, [make_result(2), make_result(3)])
    os._exit(9)
"""


def test_a_killed_writer_leaves_whole_batches(filled: sa.Engine) -> None:
    place = filled.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, place],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (9, "")
    assert [row["outcome"] for row in _rows(filled, loras)] == ["decoded", "pending", "pending"]
    assert [row["file_id"] for row in _rows(filled, tables.headers)] == [1]
    _store(filled, make_result(2), make_result(3))
    assert [row["attempts"] for row in _rows(filled, loras)] == [1, 1, 1]
