"""Workers that fetch side by side from a small site."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import (
    BudgetError,
    DatabaseError,
    LoginError,
    QuotaError,
    SiteError,
    StoppedError,
)
from crawler.fleet import queue, worker
from crawler.fleet.queue import MOST_DEATHS, Depth, Queue
from crawler.fleet.supply import POISON, FleetSupply
from crawler.model import Fetched, Outcome, Target
from crawler.store.connect.database import keeping_revision, open_for_writing
from crawler.store.connect.lock import fleet_lock, sync_lock
from crawler.store.read.fleet import fleet_state
from crawler.store.schema.tables import crawls, fleet, loras, workers
from crawler.store.write import fleet as shared
from crawler.store.write.pending import begin_attempts
from tests import postgres
from tests.conftest import ON_POSTGRESQL
from tests.factories import make_model
from tests.fleet.conftest import (
    TurnedSite,
    enqueued,
    on_queue,
    outcomes,
    worked,
)
from tests.sync.site import Site, sound

MODELS = tuple(make_model(number) for number in range(1, 21))

DECODED = ["decoded"] * len(MODELS)


def queue_depth(engine: sa.Engine) -> Depth:
    found = on_queue(engine, lambda opened: opened.depth())
    assert isinstance(found, Depth)
    return found


@ON_POSTGRESQL
def test_what_is_listed_is_fetched_once_by_one_of_several_workers(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    assert enqueued(engine, site).enqueued == 20
    assert enqueued(engine, site).enqueued == 0
    assert outcomes(engine) == ["pending"] * 20
    assert site.fetched == []

    ends = worked(engine, site, workers=3, concurrency=2)

    assert [end.error for end in ends] == [None] * 3
    assert outcomes(engine) == DECODED
    assert sorted(site.fetched) == sorted(set(site.fetched))
    assert len(site.fetched) == 20
    assert sum(end.tally.files for end in ends) == 20
    assert queue_depth(engine) == Depth(0, 0, 0)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(workers.c.ending, workers.c.files)).all()
        assert {row.ending for row in rows} == {"done"}
        assert sum(row.files for row in rows) == 20
        counted = sa.select(sa.func.count()).select_from(crawls).where(crawls.c.ending == "done")
        assert connection.execute(counted).scalar_one() == 5
        found = fleet_state(connection, datetime.now(UTC))
        assert found is not None
        assert (found.waiting, found.in_work, found.workers) == (0, 0, ())


@ON_POSTGRESQL
def test_what_was_pending_before_goes_on_the_queue_too(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)
    on_queue(engine, lambda opened: opened._ask(lambda queries: queries.clear_queue()))

    assert enqueued(engine, site).enqueued == 20
    assert enqueued(engine, site, refresh=True).enqueued == 0


@ON_POSTGRESQL
def test_a_worker_that_is_stopped_gives_its_files_back(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)

    (end,) = worked(engine, site, stop_after=5)

    assert end.error is None
    done = Counter(outcomes(engine))
    assert 5 <= done["decoded"] < 20
    assert queue_depth(engine).waiting > 0
    assert queue_depth(engine).in_work == 0
    worked(engine, site)
    assert outcomes(engine) == DECODED
    assert len(site.fetched) == 20


@ON_POSTGRESQL
def test_a_budget_is_one_for_all(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site, max_downloads=7)

    ends = worked(engine, site, workers=3)

    assert len(site.fetched) == 7
    assert any(isinstance(end.error, BudgetError) for end in ends)
    assert Counter(outcomes(engine))["decoded"] == 7
    enqueued(engine, site)
    worked(engine, site, workers=2)
    assert outcomes(engine) == DECODED
    assert len(site.fetched) == 20


class Died(BaseException):
    """No handler sees the end of a process, and nothing is given back."""


close = FleetSupply.close


async def close_unless_dead(supply: FleetSupply, *, whole: bool) -> None:
    if whole:
        await close(supply, whole=True)


def dies_with(engine: sa.Engine, file_id: int) -> Callable[[Queue], object]:
    """A worker that takes a batch, requests one of its files and is gone."""

    async def die(opened: Queue) -> None:
        batch = await opened.take()
        assert batch is not None
        assert file_id in batch.files
        with engine.begin() as connection:
            now = shared.server_time(connection)
            begin_attempts(connection, file_ids=[file_id], now=now)

    return die


@ON_POSTGRESQL
def test_a_file_that_ends_the_process_stops_neither_the_queue_nor_the_other_files(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)
    with engine.connect() as connection:
        ids = connection.execute(sa.select(loras.c.file_id).order_by(loras.c.file_id)).scalars()
        poison = [*ids][2]  # of the first batch
    monkeypatch.setattr(queue, "LOST_AFTER", timedelta(seconds=0.2))
    on_queue(engine, dies_with(engine, poison))

    def answer(target: Target, _renew: Callable[[], bool]) -> Fetched:
        if target.file_id == poison:
            raise Died
        return sound(target)

    deadly = TurnedSite(models=MODELS, answer=answer)
    for _ in range(MOST_DEATHS):
        with monkeypatch.context() as patch:
            patch.setattr(FleetSupply, "close", close_unless_dead)
            with pytest.raises(BaseExceptionGroup):
                worked(engine, deadly)
    assert Counter(outcomes(engine)) == {"decoded": 19, "pending": 1}

    (end,) = worked(engine, site)

    assert end.error is None
    with engine.connect() as connection:
        row = connection.execute(sa.select(loras).where(loras.c.file_id == poison)).one()
    assert (row.outcome, row.reason) == ("failed", POISON)
    assert site.fetched == []
    assert queue_depth(engine) == Depth(0, 0, 0)
    assert any(str(poison) in told for told in end.told)


@ON_POSTGRESQL
def test_when_the_site_refuses_one_worker_all_wait_and_then_one_tries_first(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = timedelta(seconds=0.3)
    monkeypatch.setattr(shared, "FIRST_PAUSE", pause)
    monkeypatch.setattr(worker, "FIRST_PAUSE", pause)
    monkeypatch.setattr(shared, "LOOK_AGAIN", timedelta(seconds=0.02))

    def refuse(number: int) -> Exception | None:
        return SiteError("http://site.invalid", "refuses us") if 10 <= number < 16 else None

    site = TurnedSite(models=MODELS, trouble=refuse)
    enqueued(engine, site)

    ends = worked(engine, site, workers=2)

    assert [end.error for end in ends] == [None, None]
    assert outcomes(engine) == DECODED
    told = [line for end in ends for line in end.told]
    assert any("all workers wait until" in line for line in told)
    assert any("gives files again" in line for line in told)
    with engine.connect() as connection:
        assert connection.execute(sa.select(fleet.c.pause_reason)).scalar_one() is None


@ON_POSTGRESQL
def test_a_quota_makes_all_wait_for_a_day_and_a_worker_can_be_stopped_meanwhile(
    engine: sa.Engine,
) -> None:
    def refuse(number: int) -> Exception | None:
        return QuotaError("http://site.invalid", "too many downloads") if number == 5 else None

    site = TurnedSite(models=MODELS, trouble=refuse)
    enqueued(engine, site)

    ends = worked(engine, site, workers=2, stop_after=5)

    assert len(site.fetched) <= 7
    with engine.connect() as connection:
        row = connection.execute(sa.select(fleet)).one()
        assert row.pause_reason.startswith("http://site.invalid: too many downloads")
        left = row.paused_until - shared.server_time(connection)
        assert timedelta(hours=23) < left <= timedelta(hours=24)
        assert [*connection.execute(sa.select(workers.c.ending)).scalars()] == ["interrupted"] * 2
    assert [end.error for end in ends] == [None, None]
    assert queue_depth(engine).in_work == 0


@ON_POSTGRESQL
def test_a_missing_key_ends_the_worker_that_lacks_it_alone(engine: sa.Engine) -> None:
    def answer(target: Target, _renew: Callable[[], bool]) -> Fetched:
        wants = Outcome.LOGIN_REQUIRED
        return Fetched(target=target, refusal=wants, reason="log in", counted_downloads=0)

    site = TurnedSite(models=MODELS, answer=answer)
    enqueued(engine, site)

    (end,) = worked(engine, site)

    assert isinstance(end.error, LoginError)
    with engine.connect() as connection:
        assert connection.execute(sa.select(fleet.c.pause_reason)).scalar_one() is None
    worked(engine, TurnedSite(models=MODELS))
    assert outcomes(engine) == DECODED


@ON_POSTGRESQL
def test_a_file_that_is_deferred_is_work_left_and_holds_up_nothing(engine: sa.Engine) -> None:
    def answer(target: Target, _renew: Callable[[], bool]) -> Fetched:
        if target.file_id == 7:
            raise SiteError("http://site.invalid", "shows a page")
        return sound(target)

    site = TurnedSite(models=MODELS, answer=answer)
    enqueued(engine, site)

    (end,) = worked(engine, site)

    assert (end.error, end.tally.pending) == (None, 1)
    assert outcomes(engine) == [*DECODED[:6], "pending", *DECODED[7:]]
    assert queue_depth(engine) == Depth(0, 0, 0)
    assert enqueued(engine, site).enqueued == 1


@ON_POSTGRESQL
def test_batches_of_another_version_are_left_and_told(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)
    on_queue(engine, lambda opened: opened._ask(lambda queries: queries.enqueue("fetch-2", b"{}")))

    (end,) = worked(engine, site)

    assert outcomes(engine) == DECODED
    assert isinstance(end.error, StoppedError)
    assert "another version" in str(end.error)
    assert queue_depth(engine) == Depth(0, 0, 1)


@ON_POSTGRESQL
def test_a_newer_schema_ends_a_worker_and_what_it_had_comes_back(engine: sa.Engine) -> None:
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)
    own = open_for_writing(engine.url)

    def upgrade(number: int) -> None:
        if number == 5:
            with engine.begin() as connection:
                connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    site.trouble = upgrade
    with fleet_lock(own), keeping_revision(own):
        (end,) = worked(own, site)
    own.dispose()

    assert isinstance(end.error, DatabaseError)
    assert "newer lora-crawl" in str(end.error)
    assert queue_depth(engine).in_work == 0


@ON_POSTGRESQL
def test_a_server_that_cuts_every_connection_costs_no_file(engine: sa.Engine) -> None:
    other = sa.create_engine(engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def cut(number: int) -> None:
        if number in {5, 12}:
            with other.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    site = TurnedSite(models=MODELS, trouble=cut)
    enqueued(engine, site)
    own = open_for_writing(engine.url)

    with fleet_lock(own), keeping_revision(own):
        ends = worked(own, site, workers=2)
    own.dispose()

    assert [end.error for end in ends] == [None, None]
    assert outcomes(engine) == DECODED
    assert len(site.fetched) == 20


@ON_POSTGRESQL
def test_a_sync_and_workers_keep_each_other_away_and_say_what_is_running(
    engine: sa.Engine,
) -> None:
    first, second = open_for_writing(engine.url), open_for_writing(engine.url)
    with fleet_lock(first), fleet_lock(second):
        with pytest.raises(StoppedError, match="workers are fetching"), sync_lock(engine):
            pass
        with fleet_lock(engine, lists=True):
            other = open_for_writing(engine.url)
            with pytest.raises(StoppedError, match="another sync --enqueue"):  # noqa: SIM117
                with fleet_lock(other, lists=True):
                    pass
            other.dispose()
    with sync_lock(engine):  # noqa: SIM117
        with pytest.raises(StoppedError, match="another sync is running"), fleet_lock(first):
            pass
    with fleet_lock(first), first.begin() as connection:
        connection.execute(sa.select(sa.func.count()).select_from(loras))
    first.dispose()
    second.dispose()


@ON_POSTGRESQL
def test_another_api_is_refused(engine: sa.Engine) -> None:
    enqueued(engine, Site(models=MODELS))

    (end,) = worked(engine, TurnedSite(models=MODELS, origin="http://elsewhere.invalid"))

    assert "was filled from" in str(end.error)


@pytest.mark.slow
def test_workers_go_on_when_a_server_that_crashed_is_back(
    own_server: tuple[Path, sa.URL], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes some seconds: a server starts twice."""
    # A worker counts as dead after a second here.
    monkeypatch.setattr("crawler.sync.state.LONGEST_RECONNECT_WAIT", 0.25)
    folder, url = own_server
    engine = open_for_writing(url)
    site = TurnedSite(models=MODELS)
    enqueued(engine, site)
    back = threading.Timer(1.0, postgres.start_again, [folder])

    def crash(number: int) -> None:
        if number == 5:
            postgres.crash(folder)
            back.start()

    site.trouble = crash
    with fleet_lock(engine), keeping_revision(engine):
        ends = worked(engine, site, workers=2)
    back.join()

    assert [end.error for end in ends] == [None, None]
    assert outcomes(engine) == DECODED
    assert len(site.fetched) == 20
    engine.dispose()
