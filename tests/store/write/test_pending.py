"""What is left to fetch, and the runs of a crawl; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model import Outcome
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.pending import (
    begin_attempts,
    count_pending,
    retry_failed,
    take_pending,
)
from crawler.store.write.results import settle, store_results
from tests.factories import NOW, make_file, make_model, make_result, make_target, make_version
from tests.stored import rows_of, store_models

LATER = NOW + timedelta(days=1)

#: The size of a file of `make_model`.
LISTED = 151_000_000


def test_pending_files_come_by_id_and_those_that_were_put_off_last(engine: sa.Engine) -> None:
    store_models(engine, *(make_model(n) for n in (5, 3, 1, 4, 2)))
    store_models(engine, make_model(6), walk="another")
    with engine.begin() as connection:
        waiting: dict[str, Any] = {"outcome": "pending", "next_try_at": LATER}
        store_results(connection, [make_result(2, b"", **waiting), make_result(3, b"")])

    with engine.connect() as connection:
        taken = take_pending(connection, walk="w", now=NOW, limit=2, exclude={1})
        assert [target.file_id for target in taken] == [4, 5]
        assert taken[0].file_name == "marble_4.safetensors"
        assert (taken[0].version_id, taken[0].base_model) == (4, "Pony")
        assert taken[0].size_bytes == 151_000_000
        ids = [t.file_id for t in take_pending(connection, walk=None, now=LATER, limit=9)]
        assert ids == [1, 4, 5, 6, 2]
        assert count_pending(connection) == 5
        assert count_pending(connection, walk="w") == 4
        assert count_pending(connection, walk="w", now=NOW) == 3


def test_failed_files_of_a_walk_can_be_tried_again(engine: sa.Engine) -> None:
    store_models(engine, *(make_model(n) for n in range(1, 5)))
    store_models(engine, make_model(5), walk="another")
    outcomes = ["failed", "not_found", "forbidden", "decoded", "failed"]
    with engine.begin() as connection:
        store_results(
            connection,
            [make_result(n, b"", outcome=outcome) for n, outcome in enumerate(outcomes, start=1)],
        )

    with engine.begin() as connection:
        assert retry_failed(connection, walk="w") == 2
    assert [row["outcome"] for row in rows_of(engine, loras)] == [
        "pending",
        "pending",
        "forbidden",
        "decoded",
        "failed",
    ]
    with engine.begin() as connection:
        assert retry_failed(connection, walk=None) == 1


@pytest.mark.parametrize(
    ("outcome", "changes", "again"),
    [
        ("login_required", {}, True),
        ("forbidden", {}, False),
        ("archived", {}, False),
        ("early_access", {}, True),
        ("early_access", {"early_access_until": LATER}, False),
        # Less than the site lists, as much, and no length.
        ("bad_header", {"header": bytes(5), "file_bytes": 5}, True),
        ("bad_header", {"header": b"{" * 20, "file_bytes": LISTED}, False),
        ("not_safetensors", {"header": b"<html>" * 9, "file_bytes": None}, True),
        ("not_safetensors", {"header": b"PK" * 20, "file_bytes": LISTED}, False),
        # As much, but zeros.
        ("bad_header", {"header": bytes(99), "file_bytes": LISTED}, True),
    ],
)
def test_what_is_tried_again_on_request(
    engine: sa.Engine, outcome: str, changes: dict[str, Any], *, again: bool
) -> None:
    refused = {"forbidden", "archived"}
    store_models(engine, make_model(1))
    ended = {"header": b"", "reason": "no", "decoded": None} | changes
    with engine.begin() as connection:
        store_results(connection, [make_result(1, outcome=Outcome(outcome), **ended)])
        assert retry_failed(connection, walk="w") == again
        assert retry_failed(connection, walk="w", refused=True) == (outcome in refused)

    (row,) = rows_of(engine, loras)
    assert (row["outcome"] == "pending") is (again or outcome in refused)
    assert (row["reason"] is None) is (again or outcome in refused)


def test_the_least_tried_come_first_and_a_time_of_a_wrong_clock_does_not_count(
    engine: sa.Engine,
) -> None:
    store_models(engine, *(make_model(n) for n in range(1, 6)))
    in_2040 = NOW + timedelta(days=5000)
    waiting: dict[str, Any] = {"outcome": "pending", "attempts": 1}
    with engine.begin() as connection:
        results = [
            make_result(1, b"", **waiting | {"attempts": 2}),
            make_result(2, b"", **waiting, next_try_at=in_2040),
            make_result(3, b"", **waiting, next_try_at=NOW + timedelta(hours=1)),
        ]
        store_results(connection, results)
        begin_attempts(connection, file_ids=[4], now=NOW)

    with engine.connect() as connection:
        taken = take_pending(connection, walk="w", now=NOW, limit=9)
        assert [(target.file_id, target.attempts) for target in taken] == [
            *((5, 0), (4, 0), (2, 1), (1, 2))
        ]
        assert count_pending(connection, now=NOW) == 4


def test_a_provisional_result_is_pending_until_it_is_settled(engine: sa.Engine) -> None:
    store_models(engine, *(make_model(n) for n in (1, 2, 3)))
    bad = make_result(1, b"{" * 20, provisional=True, next_try_at=NOW, attempts=3)
    with engine.begin() as connection:
        store_results(connection, [bad, make_result(2, b"", provisional=True)])

    first, second, _ = rows_of(engine, loras)
    assert (first["outcome"], second["outcome"]) == ("pending", "pending")
    assert (first["reason"], first["attempts"], first["next_try_at"]) == (bad.reason, 3, NOW)
    assert [row["file_id"] for row in rows_of(engine, tables.headers)] == [1]

    with engine.begin() as connection:
        ended = {1: Outcome.BAD_HEADER, 2: Outcome.PENDING, 3: Outcome.FAILED}
        settle(connection, {make_target(number): ended[number] for number in ended})
        store_results(connection, [make_result(3)])
        settle(connection, {make_target(3): Outcome.FAILED})  # it was read meanwhile
    assert [row["outcome"] for row in rows_of(engine, loras)] == [
        *("bad_header", "pending", "decoded")
    ]
    assert rows_of(engine, loras)[0]["next_try_at"] is None


@pytest.mark.parametrize("header", [None, b""])
def test_a_result_of_a_version_that_the_file_has_left_changes_nothing(
    engine: sa.Engine, header: bytes | None
) -> None:
    store_models(engine, make_model(1), make_model(2))
    moved = make_version(9, files=(make_file(1, version_id=9),))
    store_models(engine, make_model(9, versions=(moved,)))
    before = rows_of(engine, loras)
    late = make_result(1, header)

    with engine.begin() as connection:
        stored = store_results(connection, [late, make_result(2)])
        settle(connection, {late.target: Outcome.NOT_FOUND})

    assert [one.target.file_id for one in stored] == [2]
    assert rows_of(engine, loras)[0] == before[0]
    assert (before[0]["version_id"], before[0]["outcome"]) == (9, "pending")
    assert [row["file_id"] for row in rows_of(engine, tables.headers)] == [2]


def test_a_database_takes_from_one_api_only(engine: sa.Engine) -> None:
    store_models(engine, make_model(1))
    with engine.begin() as connection:
        local = begin_crawl(connection, origin="local", walk="scan", now=NOW)
        first = begin_crawl(connection, origin="https://civitai.com", walk="w", now=NOW)
        finish_crawl(connection, first, ending="done", summary={"headers": 3}, now=LATER)
        begin_crawl(connection, origin="local", walk="scan", now=NOW)
        with pytest.raises(UsageError) as caught:
            begin_crawl(connection, origin="http://127.0.0.1:8000", walk="w", now=NOW)

    assert "https://civitai.com" in str(caught.value)
    assert "http://127.0.0.1:8000" in str(caught.value)
    rows = {row["crawl_id"]: row for row in rows_of(engine, tables.crawls)}
    assert len(rows) == 3
    assert rows[local]["finished_at"] is None
    assert rows[first] == {
        "crawl_id": first,
        "origin": "https://civitai.com",
        "walk": "w",
        "started_at": NOW,
        "finished_at": LATER,
        "ending": "done",
        "summary": {"headers": 3},
        "keyed": None,
        "go_on_at": None,
    }
