"""What commands read; on both databases."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, UsageError
from crawler.store.read.headers import header_lengths, stored_header
from crawler.store.read.loras import FieldStats, lora
from crawler.store.read.status import status, table_counts
from crawler.store.schema import tables
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.results import store_results
from tests.factories import (
    METADATA,
    NOW,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)
from tests.stored import list_models


def test_a_page_holds_all_that_is_stored(shelf: sa.Engine) -> None:
    tags = {"5_marble": {"b": 2, "a": 2, "z": 9}, "gone": {"b": 1}}
    odd = {**METADATA, "ss_tag_frequency": json.dumps(tags), "ss_seed": "many"}
    with shelf.begin() as connection:
        store_results(
            connection,
            [
                make_result(3, make_header_bytes(odd), version_id=101),
                make_result(5, version_id=200),
            ],
        )
        refresh_statistics(connection, NOW)

    with shelf.connect() as connection:
        page = lora(connection, 3)
        other = lora(connection, 1)

    assert page.row["network_dim"] == 32
    assert page.row["model_tags"] == ["style", "stone"]
    assert page.tags[0] == (("z", 9), ("a", 2), ("b", 2))
    assert [problem["field"] for problem in page.problems] == ["seed"]
    assert page.directories[0]["name"] == "5_marble"
    assert page.datasets[0]["resolution_width"] == 512
    assert "file_id" not in page.datasets[0]
    assert page.base_model_stats["network_dim"] == FieldStats(2, 32.0, 32.0, 32.0, [32] * 101)
    assert page.all_stats["file_id"].count == 9
    assert (other.tags, other.problems, other.datasets, other.directories) == ({}, (), (), ())


def test_a_page_without_a_base_model_is_compared_with_all_only(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        list_models(connection, make_model(1, versions=(make_version(1, base_model=None),)))
        refresh_statistics(connection, NOW)
        page = lora(connection, 1)

    assert page.base_model_stats == {}
    assert page.all_stats["file_id"].count == 1


def test_a_missing_file_or_header_is_an_error(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        with pytest.raises(UsageError, match="no file 99"):
            lora(connection, 99)
        with pytest.raises(UsageError, match="no header of file 1"):
            stored_header(connection, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"no zstd at all",
        # A frame of zstd that announces 2 GiB of content.
        bytes.fromhex("28b52ffda00000008001000000"),
    ],
)
def test_a_damaged_header_is_an_error(shelf: sa.Engine, data: bytes) -> None:
    with shelf.begin() as connection:
        row = {"file_id": 1, "data": data, "decoder_version": 1}
        connection.execute(tables.headers.insert(), row)
        with pytest.raises(DatabaseError, match="stored header of file 1"):
            stored_header(connection, 1)


def test_header_lengths_are_those_of_sound_headers(shelf: sa.Engine) -> None:
    long = make_header_bytes({**METADATA, "ss_training_comment": "x" * 5_000})
    with shelf.begin() as connection:
        results = [
            make_result(3, long, version_id=101),
            make_result(5, version_id=200),
            make_result(6, b"<!DOCTYPE html>", version_id=201),
        ]
        store_results(connection, results)

    with shelf.connect() as connection:
        found = header_lengths(connection)

    assert found == {"Pony": (len(make_header_bytes()) - 8, len(long) - 8)}


def test_rows_are_counted_by_table(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        counts = table_counts(connection)

    assert counts.keys() == tables.metadata.tables.keys()
    assert (counts["loras"], counts["models"], counts["headers"]) == (9, 4, 0)


def test_the_state_of_an_empty_database(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        found = status(connection, NOW)

    assert (found.files, found.crawls, found.last_crawl, found.go_on_at) == (0, 0, None, None)
    assert (found.outcomes, found.reasons, found.spent) == ({}, {}, {})


def test_the_state_of_a_crawl(shelf: sa.Engine) -> None:
    hour = timedelta(hours=1)
    with shelf.begin() as connection:
        store_results(
            connection,
            [
                make_result(1, version_id=100),
                make_result(2, b"", version_id=101),
                make_result(3, b"", version_id=101),
                make_result(4, b"", outcome="forbidden", reason="no", version_id=102),
                make_result(5, b"", outcome="pending", next_try_at=NOW + 2 * hour, version_id=200),
                make_result(6, b"", outcome="pending", next_try_at=NOW + hour, version_id=201),
                make_result(7, b"", outcome="pending", next_try_at=NOW - hour, version_id=300),
            ],
        )
        for bytes_read in (5, 7):
            crawl = begin_crawl(connection, origin="http://127.0.0.1:9000", walk="w", now=NOW)
            summary = {"bytes_read": bytes_read, "seconds": 0.5, "outcomes": {"decoded": 1}}
            finish_crawl(connection, crawl, ending="done", summary=summary, now=NOW + hour)
        worker = {"host": "h", "pid": 1, "started_at": NOW, "last_seen_at": NOW, "standing": 0}
        for ended_at in (NOW, None, None):  # the summary of one that ended has what it did
            row = worker | {"ended_at": ended_at, "files": 3, "downloads": 2}
            connection.execute(sa.insert(tables.workers).values(row))

    with shelf.connect() as connection:
        found = status(connection, NOW)

    assert (found.models, found.versions, found.files, found.headers) == (4, 7, 9, 1)
    assert found.outcomes == {"decoded": 1, "failed": 2, "forbidden": 1, "pending": 5}
    assert next(iter(found.reasons.items())) == (("pending", "the server did not answer"), 3)
    assert found.reasons["forbidden", "no"] == 1
    assert (found.due, found.waiting, found.go_on_at) == (3, 2, NOW + hour)
    assert found.crawls == 3
    assert found.last_crawl is not None
    assert (found.last_crawl.ending, found.last_crawl.finished_at) == ("done", NOW + hour)
    assert found.spent == {
        "bytes_read": 12,
        "seconds": 1.0,
        "files_ended": 6,
        "counted_downloads": 4,
    }
