"""A catalogue that changes between two crawls."""

from dataclasses import replace
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from crawler.errors import SiteError
from crawler.model import Model, Outcome
from crawler.sandbox import Catalogue, Changes, Faults, Sandbox
from crawler.sources.civitai.client import Civitai
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from tests.conftest import ON_SQLITE, Prepared
from tests.sync.conftest import OLDEST, ORIGIN, WHOLE, run_crawl
from tests.sync.conftest import crawl_catalogue as crawl
from tests.sync.snapshots import snapshot

WEEK = Changes(
    new_models=0.1,
    new_versions=0.1,
    new_files=0.1,
    edited=0.1,
    stats=0.2,
    replaced_files=0.1,
    gone_models=0.05,
    gone_versions=0.1,
)


@pytest.fixture(scope="module")
def before() -> Catalogue:
    return Catalogue(40, seed=11, faults=Faults.mild())


@pytest.fixture(scope="module")
def after(before: Catalogue) -> Catalogue:
    return before.later(WEEK)


@pytest.fixture
def crawled(prepared: Prepared, before: Catalogue) -> sa.Engine:
    """A database with the whole of `before`."""
    return prepared("refresh_before", lambda engine: crawl(engine, before))


@pytest.fixture
def listed(prepared: Prepared, before: Catalogue) -> sa.Engine:
    """A database with what one pass lists of `before`, and no header."""
    return prepared(
        "refresh_listed", lambda engine: crawl(engine, before, OLDEST, fetch_headers=False)
    )


def outcomes(engine: sa.Engine, *, gone: bool) -> dict[int, str]:
    shown = loras.c.gone_at.is_not(None) if gone else loras.c.gone_at.is_(None)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome).where(shown))
        return {row.file_id: row.outcome for row in rows}


def ids(engine: sa.Engine, column: sa.Column[int], *, gone: bool) -> set[int]:
    table = column.table
    shown = table.c.gone_at.is_not(None) if gone else table.c.gone_at.is_(None)
    with engine.connect() as connection:
        return set(connection.execute(sa.select(column).where(shown)).scalars())


def test_a_refresh_ends_with_the_truth_and_with_what_a_first_crawl_stores(
    engine: sa.Engine, crawled: sa.Engine, before: Catalogue, after: Catalogue
) -> None:
    old, new = before.truth(), after.truth()
    assert outcomes(crawled, gone=False) == old
    models = ids(crawled, tables.models.c.model_id, gone=False)

    tally = crawl(crawled, after, refresh=True)

    assert outcomes(crawled, gone=False) == new
    assert outcomes(crawled, gone=True).keys() == old.keys() - new.keys() != set()
    gone_models = ids(crawled, tables.models.c.model_id, gone=True)
    assert tally.gone_models == len(gone_models) > 0
    assert gone_models < models
    assert tally.new_files == len(new.keys() - old.keys()) > 0
    assert tally.pending == 0
    with crawled.connect() as connection:
        kept = connection.execute(sa.select(tables.old_headers.c.file_id)).scalars().all()
        seen = connection.execute(sa.select(tables.stat_history.c.model_id)).scalars().all()
    assert 0 < len(kept) <= tally.replaced
    assert len(seen) > len(set(seen))

    crawl(engine, after)
    first, again = snapshot(engine), snapshot(crawled)
    for name in ("headers", "loras", "datasets", "directories", "file_tags", "problems"):
        assert set(map(str, first[name])) <= set(map(str, again[name])), name


@ON_SQLITE
def test_an_ordinary_sync_costs_one_list_call_a_pass_and_takes_what_moved(
    two_pages: sa.Engine, of_two_pages: Catalogue
) -> None:
    moved = of_two_pages.later(Changes(new_models=0.1, new_versions=0.1))
    assert len(ids(two_pages, tables.models.c.model_id, gone=False)) > 100

    tally = crawl(two_pages, moved)

    assert outcomes(two_pages, gone=False) == moved.truth()
    assert tally.list_calls == 2
    assert tally.files == len(moved.truth().keys() - of_two_pages.truth().keys())


def test_a_second_refresh_costs_list_calls_and_no_download(
    crawled: sa.Engine, before: Catalogue
) -> None:
    with Sandbox(before) as sandbox:
        how: Any = {"key": sandbox.key, "origin": ORIGIN, "refresh": True}
        run_crawl(crawled, sandbox, WHOLE, **how)  # links to files lead to this sandbox from now on
        stored = snapshot(crawled)
        tally = run_crawl(crawled, sandbox, WHOLE, **how)

    assert (tally.files, tally.counted_downloads, tally.replaced, tally.gone_models) == (0, 0, 0, 0)
    again = snapshot(crawled)
    of_the_lap = {"cursors", "walk_models"}
    assert {name: again[name] for name in stored if name not in of_the_lap} == {
        name: rows for name, rows in stored.items() if name not in of_the_lap
    }


def test_what_is_listed_again_is_not_gone_any_more(
    crawled: sa.Engine, before: Catalogue, after: Catalogue
) -> None:
    crawl(crawled, after, refresh=True, fetch_headers=False)
    assert outcomes(crawled, gone=True)

    crawl(crawled, before, refresh=True, fetch_headers=False)

    assert outcomes(crawled, gone=False).keys() == before.truth().keys()


@ON_SQLITE
def test_a_walk_that_shows_only_a_part_marks_nothing(crawled: sa.Engine, after: Catalogue) -> None:
    for walk in (OLDEST, replace(WHOLE, limit=20)):
        assert crawl(crawled, after, walk, refresh=True, fetch_headers=False).gone_models == 0

    assert ids(crawled, tables.models.c.model_id, gone=True) == set()


def test_one_pass_marks_what_it_met_before_and_the_site_has_no_more(
    listed: sa.Engine, before: Catalogue, after: Catalogue
) -> None:
    old, new = before.truth(mature=False), after.truth(mature=False)

    tally = crawl(listed, after, OLDEST, refresh=True, fetch_headers=False)

    assert outcomes(listed, gone=False).keys() == new.keys()
    assert outcomes(listed, gone=True).keys() == old.keys() - new.keys() != set()
    assert tally.gone_models == len(ids(listed, tables.models.c.model_id, gone=True)) > 0


def test_what_became_mature_is_not_gone(engine: sa.Engine) -> None:
    shown = Catalogue(30, seed=3, faults=Faults.plain())
    grown_up = Catalogue(30, seed=3, faults=replace(Faults.plain(), mature_only=0.3))
    hidden = shown.truth(mature=False).keys() - grown_up.truth(mature=False).keys()
    assert hidden
    crawl(engine, shown, OLDEST, fetch_headers=False)

    tally = crawl(engine, grown_up, OLDEST, refresh=True, fetch_headers=False)

    assert tally.gone_models == 0
    assert outcomes(engine, gone=True) == {}
    # One call for the page, and one for all the models that are not on it any more.
    assert tally.list_calls == 2


@ON_SQLITE
def test_an_odd_answer_does_not_keep_the_lap_from_its_end(
    listed: sa.Engine, after: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def odd(_self: Civitai, _model_id: int) -> Model | None:
        raise SiteError("http://sandbox.invalid", "answers 404: a page")

    with monkeypatch.context() as patched:
        patched.setattr(Civitai, "model", odd)
        tally = crawl(listed, after, OLDEST, refresh=True, fetch_headers=False)

    assert tally.gone_models == 0
    assert [notice for notice in tally.notices if "unknown whether" in notice]
    assert crawl(listed, after, OLDEST, refresh=True, fetch_headers=False).gone_models > 0


@ON_SQLITE
def test_a_run_that_is_stopped_while_it_asks_asks_again(
    listed: sa.Engine, before: Catalogue, after: Catalogue
) -> None:
    stop = anyio.Event()
    stop.set()
    crawl(listed, after, OLDEST, refresh=True, fetch_headers=False, stop=stop)
    assert outcomes(listed, gone=True) == {}

    crawl(listed, after, OLDEST, refresh=True, fetch_headers=False)

    old, new = before.truth(mature=False), after.truth(mature=False)
    assert outcomes(listed, gone=True).keys() == old.keys() - new.keys()


def test_a_list_that_lost_nearly_everything_is_not_believed(crawled: sa.Engine) -> None:
    tally = crawl(crawled, Catalogue(3, seed=11, faults=Faults.plain()), refresh=True)

    assert tally.gone_models == 0
    assert "too many to be credible" in tally.notices[0]
    assert ids(crawled, tables.models.c.model_id, gone=True) == set()


def test_a_small_catalogue_may_lose_most_of_what_it_had(engine: sa.Engine) -> None:
    crawl(engine, Catalogue(12, seed=4, faults=Faults.plain()), fetch_headers=False)

    tally = crawl(engine, Catalogue(3, seed=4, faults=Faults.plain()), refresh=True)

    assert tally.gone_models == 9


def test_a_refusal_outlives_a_replaced_file(engine: sa.Engine) -> None:
    shut = Catalogue(20, seed=2, faults=replace(Faults.plain(), downloads_disabled=1.0))
    crawl(engine, shut)

    tally = crawl(engine, shut.later(Changes(replaced_files=1.0)), refresh=True)

    assert tally.replaced == 0
    assert set(outcomes(engine, gone=False).values()) == {Outcome.DOWNLOADS_DISABLED}
