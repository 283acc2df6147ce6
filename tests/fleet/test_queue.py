"""The queue: each file once, to one worker, until it is done."""

import time
from datetime import timedelta
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa
from pgqueuer.queries import Queries

from crawler.errors import StoppedError
from crawler.fleet import queue
from crawler.fleet.queue import BATCH, Depth, Queue, batches, queue_of
from crawler.store.connect.database import State, state
from crawler.store.read.fleet import QUEUE_SCHEMA
from crawler.store.read.status import check_derived, check_tables
from tests.conftest import ON_POSTGRESQL
from tests.fleet.conftest import on_queue


def test_files_with_the_same_bytes_are_in_one_batch() -> None:
    files = [(n, "AA" if n < 3 else None) for n in range(BATCH - 1)]
    same = [(1000 + n, "BB") for n in range(5)]
    many = [(2000 + n, "CC") for n in range(BATCH + 10)]

    found = [*batches([*files, *same, *many, (9, "DD")])]

    assert [len(one) for one in found] == [BATCH - 1, 5, BATCH + 10, 1]
    assert found[1] == [1000, 1001, 1002, 1003, 1004]
    assert [*batches([])] == []


@ON_POSTGRESQL
def test_a_batch_is_on_the_queue_once_and_handed_to_one_worker(engine: sa.Engine) -> None:
    async def scenario(first: Queue) -> None:
        assert await first.put([[1, 2], [3]]) == 2
        assert await first.put([[2, 1], [4]]) == 1
        assert await first.file_ids() == {1, 2, 3, 4}
        async with queue_of(engine.url) as second:
            taken = [await one.take() for one in (first, second, first, second)]
            assert [one and one.files for one in taken] == [(1, 2), (3,), (4,), None]
            assert await second.depth() == Depth(waiting=0, in_work=3, unknown=0)
            assert await second.put([[1, 2]]) == 0  # somebody has it
            for one in taken[:2]:
                assert one is not None
                assert one.deaths == 0
                await first.done(one)
            assert await second.depth() == Depth(waiting=0, in_work=1, unknown=0)
            assert await second.put([[1, 2]]) == 1

    on_queue(engine, scenario)


@ON_POSTGRESQL
def test_a_batch_comes_back_from_a_dead_worker_and_not_from_a_living_one(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(living: Queue) -> None:
        await living.put([[1]])
        batch = await living.take()
        assert batch is not None
        async with queue_of(engine.url) as other:
            assert await other.take() is None
            monkeypatch.setattr(queue, "LOST_AFTER", _no_time())
            again = await other.take()
            assert again is not None
            assert (again.deaths, again.begun is not None) == (1, True)
            await other.give_back(again)
            third = await other.take()
            assert third is not None
            assert third.deaths == 1  # giving back is no death

    on_queue(engine, scenario)


def _no_time() -> timedelta:
    time.sleep(0.01)
    return timedelta(0)


async def _add(kind: str, payload: bytes | None, queries: Queries) -> None:
    await queries.enqueue(kind, payload)


@ON_POSTGRESQL
def test_what_makes_no_sense_is_an_empty_batch_and_other_versions_are_left(
    engine: sa.Engine,
) -> None:
    async def scenario(opened: Queue) -> None:
        for kind, payload in (
            ("fetch-1", b"\xff nonsense"),
            ("fetch-1", None),
            ("fetch-1", msgspec.json.encode({"files": ["x"]})),
            ("fetch-2", b"{}"),
        ):
            await opened._ask(partial(_add, kind, payload))
        found = [await opened.take() for _ in range(4)]
        assert [one and one.files for one in found] == [(), (), (), None]
        assert (await opened.depth()).unknown == 1

    on_queue(engine, scenario)


@ON_POSTGRESQL
def test_the_tables_of_the_queue_are_no_tables_of_ours(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PgQueuer reads names of its tables here; we do not.
    for name in ("PGQUEUER_PREFIX", "PGQUEUER_QUEUE_TABLE", "FUNCTION", "TRIGGER"):
        monkeypatch.setenv(name, "elsewhere")

    async def nothing(opened: Queue) -> None:
        await opened.install()

    on_queue(engine, nothing)
    place = engine.url.render_as_string(hide_password=False)

    assert state(place) is State.CURRENT
    with engine.connect() as connection:
        check_tables(connection)
        check_derived(connection)
        tables = sa.inspect(connection).get_table_names(schema="lora_crawl_queue")
        assert "pgqueuer" in tables
        assert not [name for name in sa.inspect(connection).get_table_names() if "pgq" in name]


@ON_POSTGRESQL
def test_a_queue_in_an_empty_database_does_not_make_it_foreign(database_url: str) -> None:
    empty = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg"))

    async def nothing(_opened: Queue) -> None:
        pass

    on_queue(empty, nothing)
    empty.dispose()

    assert state(database_url) is State.EMPTY


@ON_POSTGRESQL
@pytest.mark.parametrize(
    "change", ["DROP SCHEMA {0} CASCADE", "ALTER TABLE {0}.pgqueuer DROP COLUMN heartbeat CASCADE"]
)
def test_a_queue_that_is_removed_during_the_work_is_told(engine: sa.Engine, change: str) -> None:
    async def scenario(queue: Queue) -> None:
        await queue.put([[1]])
        with engine.begin() as connection:
            connection.exec_driver_sql(change.format(QUEUE_SCHEMA))
        with pytest.raises(StoppedError, match="the queue was removed or changed; run the command"):
            await queue.take()

    on_queue(engine, scenario)
