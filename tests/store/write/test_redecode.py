"""Stored headers decoded again, one batch."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.verdict import Verdict, verdict_of
from crawler.model import Outcome
from crawler.redecode import BATCH, BATCH_BYTES, batches
from crawler.store.read.headers import HeaderKey, count_headers, header_keys, stored_headers
from crawler.store.schema.tables import file_tags, headers, loras, problems
from crawler.store.write.results import store_again, store_results
from tests.factories import METADATA, make_header_bytes, make_model, make_result
from tests.stored import list_models


@pytest.fixture
def shelf(engine: sa.Engine) -> sa.Engine:
    """Five files; 1 to 4 have a header, those of 2 and 4 of an older decoder."""
    with engine.begin() as connection:
        list_models(connection, *(make_model(number) for number in range(1, 6)))
        store_results(connection, [make_result(number) for number in (4, 3, 2, 1)])
        old = sa.update(headers).where(headers.c.file_id.in_([2, 4]))
        connection.execute(old.values(decoder_version=DECODER_VERSION - 1))
    return engine


def verdict(**changes: str) -> Verdict:
    return verdict_of(make_header_bytes({**METADATA, **changes}), None)


def row(engine: sa.Engine, file_id: int) -> dict[str, Any]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(loras).where(loras.c.file_id == file_id))
        return dict(found.mappings().one())


def test_headers_come_in_the_order_of_their_lists(shelf: sa.Engine) -> None:
    """Whole ones first, then list by list, however many come at once."""
    other = make_header_bytes(METADATA, {"b.lora_A.weight": ("F16", (4, 8))})
    with shelf.begin() as connection:
        broken = make_result(1, b"\x05" + bytes(7) + b"{rest", outcome=Outcome.BAD_HEADER)
        store_results(connection, [make_result(3, other), broken])
    with shelf.connect() as connection:
        assert count_headers(connection, below=None) == 4
        assert count_headers(connection, below=DECODER_VERSION) == 2
        orders = [_walk(connection, limit, below=None) for limit in (1, 2, 9)]
        assert _walk(connection, 1, below=DECODER_VERSION) == [2, 4]
        assert [one.file_id for one in stored_headers(connection, [4, 5, 2])] == [2, 4]
    assert orders[0] in ([1, 2, 4, 3], [1, 3, 2, 4])
    assert orders == [orders[0]] * 3


def _walk(connection: sa.Connection, limit: int, *, below: int | None) -> list[int]:
    found: list[HeaderKey] = []
    after: HeaderKey | None = None
    while page := header_keys(connection, after=after, below=below, limit=limit):
        found += page
        after = page[-1]
    return [key.file_id for key in found]


def test_a_batch_is_limited_in_headers_and_in_bytes() -> None:
    small = dict.fromkeys(range(100), 100)
    assert [len(batch) for batch in batches(small)] == [BATCH, 100 - BATCH]
    large = {1: 10, 2: BATCH_BYTES, 3: 3 * BATCH_BYTES, 4: BATCH_BYTES - 5, 5: 5, 6: 1}
    assert list(batches(large)) == [[1], [2], [3], [4, 5], [6]]


def test_only_what_the_header_says_changes(shelf: sa.Engine) -> None:
    before = row(shelf, 2)
    with shelf.begin() as connection:
        changed = store_again(connection, {2: verdict(ss_network_dim="64", ss_tag_frequency="{}")})
        assert _walk(connection, 9, below=DECODER_VERSION) == [4]
        tags = sa.select(sa.func.count()).where(file_tags.c.file_id == 2)
        assert connection.execute(tags).scalar_one() == 0

    after = row(shelf, 2)
    assert changed == {}
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"network_dim", "network_scale", "alpha_ratio", "tag_count"}
    assert after["network_dim"] == 64


def test_an_outcome_of_the_header_may_change(shelf: sa.Engine) -> None:
    with shelf.begin() as connection:
        changed = store_again(connection, {2: verdict_of(make_header_bytes(None), None)})

    assert changed == {(Outcome.DECODED, Outcome.NO_METADATA): 1}
    assert (row(shelf, 2)["outcome"], row(shelf, 2)["network_dim"]) == ("no_metadata", None)
    assert row(shelf, 2)["reason"]
    with shelf.begin() as connection:
        back = store_again(connection, {2: verdict()})
    assert back == {(Outcome.NO_METADATA, Outcome.DECODED): 1}
    assert row(shelf, 2)["reason"] is None


def test_a_header_that_is_refused_now_says_nothing(shelf: sa.Engine) -> None:
    with shelf.begin() as connection:
        changed = store_again(connection, {2: verdict_of(b"\x05\0\0\0\0\0\0\0nonsense", None)})
        of_file = sa.select(sa.func.count()).where(problems.c.file_id == 2)
        assert connection.execute(of_file).scalar_one() == 0

    assert changed == {(Outcome.DECODED, Outcome.BAD_HEADER): 1}
    assert row(shelf, 2)["tensor_rank"] is None


@pytest.mark.parametrize("outcome", [Outcome.FORBIDDEN, Outcome.PENDING, Outcome.FAILED])
def test_what_happened_since_is_kept(shelf: sa.Engine, outcome: Outcome) -> None:
    late = datetime(2027, 1, 1, tzinfo=UTC)
    refused = make_result(2, b"", outcome=outcome, reason="since then", fetched_at=late)
    with shelf.begin() as connection:
        store_results(connection, [refused])
        changed = store_again(connection, {2: verdict(ss_network_dim="64")})

    found = row(shelf, 2)
    assert changed == {}
    assert (found["outcome"], found["reason"]) == (outcome.value, "since then")
    assert (found["network_dim"], found["attempts"], found["fetched_at"]) == (64, 2, late)


def test_the_stored_bytes_stay_as_they_are(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        [before] = stored_headers(connection, [2])
    with shelf.begin() as connection:
        store_again(connection, {2: verdict()})
        [after] = stored_headers(connection, [2])

    assert dataclasses.astuple(after) == dataclasses.astuple(before)


def test_no_batch_is_no_work(shelf: sa.Engine) -> None:
    with shelf.begin() as connection:
        assert store_again(connection, {}) == {}
