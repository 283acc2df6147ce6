"""Whole crawls of a sandbox into both databases."""

from collections import Counter
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model import ListQuery, Order, Outcome
from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.sync.breaker import LOGIN_SAMPLE
from tests.conftest import ON_SQLITE
from tests.sync.conftest import OLDEST, run_crawl
from tests.sync.snapshots import snapshot


def outcomes(engine: sa.Engine) -> dict[int, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome))
        return {row.file_id: row.outcome for row in rows}


def model_count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(sa.func.count()).select_from(tables.models)
        ).scalar_one()


def test_a_crawl_ends_with_the_truth_and_a_second_one_changes_nothing(engine: sa.Engine) -> None:
    catalogue = Catalogue(60, seed=7, faults=Faults.mild())
    with Sandbox(catalogue) as sandbox:
        tally = run_crawl(engine, sandbox)
        seen = sandbox.counters

        assert outcomes(engine) == catalogue.truth(mature=False, key=False)
        assert tally.pending == 0
        assert tally.counted_downloads == seen.downloads
        assert Counter(seen.counted.values()).keys() == {1}
        assert seen.key_leaks == 0

        before = snapshot(engine)
        again = run_crawl(engine, sandbox)

    assert snapshot(engine) == before
    assert (again.counted_downloads, again.files, again.new_files) == (0, 0, 0)
    assert again.list_calls == 1


@ON_SQLITE
def test_both_passes_are_the_whole_catalogue(two_pages: sa.Engine, of_two_pages: Catalogue) -> None:
    assert outcomes(two_pages) == of_two_pages.truth(mature=True, key=True)


def test_a_limit_stores_that_many_models_and_can_be_raised(
    engine: sa.Engine, sandbox: Sandbox
) -> None:
    most = replace(OLDEST, ask=ListQuery(order=Order.MOST_DOWNLOADED))

    run_crawl(engine, sandbox, replace(most, limit=10))
    assert model_count(engine) == 10

    run_crawl(engine, sandbox, replace(most, limit=10))
    assert model_count(engine) == 10

    run_crawl(engine, sandbox, replace(most, limit=15))
    assert model_count(engine) == 15


def test_a_limit_takes_the_most_downloaded_of_both_passes(engine: sa.Engine) -> None:
    catalogue = Catalogue(60, seed=9, faults=replace(Faults.plain(), mature_only=0.5))
    most = replace(OLDEST, ask=ListQuery(order=Order.MOST_DOWNLOADED), nsfw=True)
    with Sandbox(catalogue) as sandbox:
        run_crawl(engine, sandbox, replace(most, limit=20), fetch_headers=False)
        with engine.connect() as connection:
            taken = set(connection.execute(sa.select(tables.models.c.downloads)).scalars())

    every = sorted((model.downloads for model in catalogue.models), reverse=True)
    assert taken == set(every[:20])


@ON_SQLITE
def test_listing_alone_leaves_the_files_pending_and_costs_no_download(
    engine: sa.Engine, sandbox: Sandbox, catalogue: Catalogue
) -> None:
    truth = catalogue.truth(mature=False, key=False).values()

    listed = run_crawl(engine, sandbox, fetch_headers=False)
    assert listed.counted_downloads == 0
    assert listed.pending == sum(one is not Outcome.NOT_SAFETENSORS for one in truth) > 20
    assert set(outcomes(engine).values()) <= {Outcome.PENDING, Outcome.NOT_SAFETENSORS}

    fetched = run_crawl(engine, sandbox)
    assert fetched.pending == 0
    assert fetched.files == listed.pending


@ON_SQLITE
def test_a_download_budget_is_kept_and_the_rest_stays_pending(
    engine: sa.Engine, sandbox: Sandbox
) -> None:
    first = run_crawl(engine, sandbox, max_downloads=10)
    assert first.counted_downloads == 10
    assert first.pending > 0

    rest = run_crawl(engine, sandbox)
    assert rest.pending == 0


def test_failed_files_are_tried_again_only_when_asked(engine: sa.Engine) -> None:
    catalogue = Catalogue(20, seed=3, faults=replace(Faults.plain(), gone=0.5))
    with Sandbox(catalogue) as sandbox:
        first = run_crawl(engine, sandbox)
        again = run_crawl(engine, sandbox)
        retried = run_crawl(engine, sandbox, retry_failed=True)

    assert first.outcomes[Outcome.NOT_FOUND] > 5
    assert again.files == 0
    assert retried.outcomes == {Outcome.NOT_FOUND: first.outcomes[Outcome.NOT_FOUND]}


def test_a_database_takes_nothing_from_another_api(engine: sa.Engine, sandbox: Sandbox) -> None:
    run_crawl(engine, sandbox, replace(OLDEST, limit=5))

    with Sandbox(Catalogue(5)) as other, pytest.raises(UsageError, match=other.url):
        run_crawl(engine, other)


@ON_SQLITE
def test_where_every_file_wants_a_login_nothing_is_stored_for_them(engine: sa.Engine) -> None:
    catalogue = Catalogue(24, seed=3, faults=replace(Faults.plain(), login_required=1.0))
    with Sandbox(catalogue) as sandbox:
        with pytest.raises(Exception, match="lora-crawl login") as stopped:
            run_crawl(engine, sandbox)
        asked = sandbox.counters.resolutions
        with_key = run_crawl(engine, sandbox, key=sandbox.key)

    assert getattr(stopped.value, "exit_code", None) == 4
    assert LOGIN_SAMPLE <= asked < with_key.files
    assert with_key.outcomes.keys() == {Outcome.DECODED}
    assert with_key.pending == 0


@ON_SQLITE
def test_a_few_wanted_logins_are_outcomes(engine: sa.Engine) -> None:
    catalogue = Catalogue(12, seed=3, faults=replace(Faults.plain(), login_required=1.0))
    with Sandbox(catalogue) as sandbox:
        tally = run_crawl(engine, sandbox)

    assert tally.outcomes.keys() == {Outcome.LOGIN_REQUIRED}


def test_a_walk_reads_only_the_files_of_its_own_models(engine: sa.Engine, sandbox: Sandbox) -> None:
    run_crawl(engine, sandbox, fetch_headers=False)
    few = replace(OLDEST, ask=ListQuery(order=Order.MOST_DOWNLOADED), limit=3)

    tally = run_crawl(engine, sandbox, few)

    with engine.connect() as connection:
        models = connection.execute(
            sa.select(sa.func.count(sa.distinct(loras.c.model_id))).where(
                loras.c.fetched_at.is_not(None)
            )
        ).scalar_one()
    assert models == 3
    assert tally.pending == 0
