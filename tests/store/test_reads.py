"""What commands read; on both databases."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, UsageError
from crawler.store import tables
from crawler.store.reads import (
    FieldStats,
    find_file,
    header_lengths,
    lora,
    status,
    stored_header,
    table_counts,
)
from crawler.store.writes import (
    begin_crawl,
    finish_crawl,
    refresh_statistics,
    store_page,
    store_results,
)
from tests.factories import (
    METADATA,
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)

SHA = "ABCD" + "0" * 59


def _page(connection: sa.Connection, *models: Any) -> None:
    store_page(
        connection,
        models,
        site="civitai",
        origin="https://civitai.com",
        walk="w",
        lap=1,
        cursors={},
        now=NOW,
    )


@pytest.fixture
def shelf(engine: sa.Engine) -> sa.Engine:
    """Three models: 10 with versions 100 (older) and 101, 20 whose newest version has no primary
    file, and 30 with none marked at all.
    """
    year = timedelta(days=365)
    with engine.begin() as connection:
        begin_crawl(connection, origin="http://127.0.0.1:9000", walk="w", now=NOW)
        _page(
            connection,
            make_model(
                10,
                versions=(
                    make_version(100, published_at=NOW - year, files=(make_file(1),)),
                    make_version(
                        101,
                        published_at=NOW,
                        files=(
                            make_file(2, is_primary=False),
                            make_file(3, sha256=f"{SHA}1", autov2="ABCD000000", autov3="FEDCBA"),
                        ),
                    ),
                    make_version(102, published_at=None, files=(make_file(4),)),
                ),
            ),
            make_model(
                20,
                versions=(
                    make_version(
                        200, published_at=NOW - year, files=(make_file(5, sha256=f"{SHA}2"),)
                    ),
                    make_version(201, published_at=NOW, files=(make_file(6, is_primary=False),)),
                ),
            ),
            make_model(
                30,
                versions=(
                    make_version(
                        300,
                        files=(make_file(8, is_primary=False), make_file(7, is_primary=False)),
                    ),
                ),
            ),
            make_model(-1, versions=(make_version(-2, files=(make_file(-5),)),)),
        )
    return engine


@pytest.mark.parametrize(
    ("ref", "file_id"),
    [
        ("2", 2),
        (" 2 ", 2),
        ("-5", -5),
        ("file:-5", -5),
        ("FILE:4", 4),
        ("model:10", 3),
        ("model:20", 5),
        ("model:30", 7),
        ("model:-1", -5),
        ("version:100", 1),
        ("version:101", 3),
        ("version:201", 6),
        ("version:-2", -5),
        ("https://civitai.com/models/10", 3),
        ("https://www.civitai.com/models/10/marble-and-more?modelVersionId=100", 1),
        ("https://civitai.red/models/10?modelVersionId=101&x=y#z", 3),
        ("civitai.green/models/20", 5),
        ("https://civitai.com/model-versions/201", 6),
        ("https://civitai.com/api/download/models/101", 3),
        ("https://civitai.com/api/download/models/101?type=Model&fileId=2", 2),
        ("http://127.0.0.1:9000/models/10?modelVersionId=100", 1),
        (f"sha256:{SHA}1", 3),
        (f"sha256:{SHA.lower()}2", 5),
        ("autov2:abcd", 3),
        ("autov3:FEDCBA", 3),
    ],
)
def test_references_find_their_file(shelf: sa.Engine, ref: str, file_id: int) -> None:
    with shelf.connect() as connection:
        assert find_file(connection, ref) == file_id


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("99", "no file 99"),
        ("9" * 19, "too large"),
        ("9" * 5000, "points at nothing"),
        ("٣", "points at nothing"),
        ("file:99", "no file 99"),
        ("model:99", "no model 99"),
        ("version:99", "no version 99"),
        ("model:x", "points at nothing"),
        ("", "points at nothing"),
        ("marble", "points at nothing"),
        ("sha256:12", "no file whose sha256"),
        ("sha256:", "no hash"),
        ("sha256:xyz", "no hash"),
        (f"autov2:{SHA}", "no hash"),
        ("https://civitai.com/models/99", "no model 99"),
        ("https://civitai.com/models/x", "neither"),
        ("https://civitai.com/", "neither"),
        ("https://example.org/models/10", "no address of the site"),
        ("https://civitai.com.example.org/models/10", "no address of the site"),
        ("https://[/models/10", "no address"),
        ("https://civitai.com/api/download/models/101?fileId=99", "no file 99"),
    ],
)
def test_other_references_are_answered_in_words(shelf: sa.Engine, ref: str, words: str) -> None:
    with shelf.connect() as connection, pytest.raises(UsageError, match=words):
        find_file(connection, ref)


def test_an_ambiguous_hash_names_the_files(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        with pytest.raises(UsageError) as two:
            find_file(connection, "sha256:abcd")
        with pytest.raises(UsageError) as many:
            find_file(connection, "sha256:0")

    assert [line.split()[0] for line in str(two.value).splitlines()[1:]] == ["3", "5"]
    assert len(str(many.value).splitlines()) == 7
    assert str(many.value).endswith("…")


def test_a_page_holds_all_that_is_stored(shelf: sa.Engine) -> None:
    tags = {"5_marble": {"b": 2, "a": 2, "z": 9}, "gone": {"b": 1}}
    odd = {**METADATA, "ss_tag_frequency": json.dumps(tags), "ss_seed": "many"}
    with shelf.begin() as connection:
        store_results(connection, [make_result(3, make_header_bytes(odd)), make_result(5)])
        refresh_statistics(connection)

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
    assert page.base_model_stats["network_dim"] == FieldStats(2, 32.0, 32.0, 32.0)
    assert page.all_stats["file_id"].count == 9
    assert (other.tags, other.problems, other.datasets, other.directories) == ({}, (), (), ())


def test_a_page_without_a_base_model_is_compared_with_all_only(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        _page(connection, make_model(1, versions=(make_version(1, base_model=None),)))
        refresh_statistics(connection)
        page = lora(connection, 1)

    assert page.base_model_stats == {}
    assert page.all_stats["file_id"].count == 1


def test_what_is_not_there_is_told(shelf: sa.Engine) -> None:
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
def test_a_damaged_header_is_told(shelf: sa.Engine, data: bytes) -> None:
    with shelf.begin() as connection:
        row = {"file_id": 1, "data": data, "decoder_version": 1}
        connection.execute(tables.headers.insert(), row)
        with pytest.raises(DatabaseError, match="stored header of file 1"):
            stored_header(connection, 1)


def test_header_lengths_are_those_of_sound_headers(shelf: sa.Engine) -> None:
    long = make_header_bytes({**METADATA, "ss_training_comment": "x" * 5_000})
    with shelf.begin() as connection:
        results = [make_result(3, long), make_result(5), make_result(6, b"<!DOCTYPE html>")]
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
                make_result(1),
                make_result(2, b""),
                make_result(3, b""),
                make_result(4, b"", outcome="forbidden", reason="no"),
                make_result(5, b"", outcome="pending", next_try_at=NOW + 2 * hour),
                make_result(6, b"", outcome="pending", next_try_at=NOW + hour),
                make_result(7, b"", outcome="pending", next_try_at=NOW - hour),
            ],
        )
        for bytes_read in (5, 7):
            crawl = begin_crawl(connection, origin="http://127.0.0.1:9000", walk="w", now=NOW)
            summary = {"bytes_read": bytes_read, "seconds": 0.5, "outcomes": {"decoded": 1}}
            finish_crawl(connection, crawl, ending="done", summary=summary, now=NOW + hour)

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
    assert found.spent == {"bytes_read": 12, "seconds": 1.0}
