"""What a crawl does when the site, and not one file, is in trouble."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crawler.errors import QuotaError, SiteError
from crawler.model import ListQuery, Order, Outcome, Page
from crawler.sources.base import PAGE_MODELS
from crawler.store.schema.tables import crawls, loras
from crawler.sync.walk import Walk
from tests.factories import make_model, make_version
from tests.sync.site import Site, run


def pending(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(sa.func.count()).where(loras.c.outcome == Outcome.PENDING)
        ).scalar_one()


def last_ending(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        ending: str | None = connection.execute(
            sa.select(crawls.c.ending).order_by(crawls.c.crawl_id.desc()).limit(1)
        ).scalar_one()
    return ending


def blocked(_: int) -> SiteError:
    return SiteError("http://site.invalid", "answers 403: Forbidden")


def test_three_refusals_of_us_in_a_row_stop_the_run_and_change_no_file(engine: sa.Engine) -> None:
    site = Site(trouble=blocked)

    with pytest.raises(SiteError, match="Forbidden"):
        run(engine, site)

    assert len(site.fetched) == 3
    assert pending(engine) > 0
    with engine.connect() as connection:
        assert set(connection.execute(sa.select(loras.c.outcome)).scalars()) == {Outcome.PENDING}
    assert "Forbidden" in (last_ending(engine) or "")


def test_a_refusal_now_and_then_is_tried_again_in_the_same_run(engine: sa.Engine) -> None:
    site = Site(trouble=lambda number: blocked(0) if number % 3 == 0 else None)

    tally = run(engine, site)

    assert tally.pending == 0
    assert tally.outcomes == {Outcome.DECODED: 12}
    assert len(site.fetched) > 12


def test_a_spent_quota_stops_fetching_at_once_and_the_list_goes_on(engine: sa.Engine) -> None:
    spent = QuotaError("http://site.invalid", "an unusual amount of downloading")
    site = Site(trouble=lambda number: spent if number > 2 else None)

    with pytest.raises(QuotaError):
        run(engine, site)

    assert len(site.fetched) == 3
    assert site.asked == [None, "5", "9"]
    assert pending(engine) == 10


def test_an_unreachable_list_keeps_what_was_stored_and_the_next_run_goes_on(
    engine: sa.Engine,
) -> None:
    run(engine, Site(), max_downloads=2)
    with pytest.raises(SiteError, match="no connection"):
        run(engine, Site(page_trouble=SiteError("http://site.invalid", "no connection")))

    tally = run(engine, Site())

    assert tally.pending == 0
    assert pending(engine) == 0


def test_a_cursor_that_the_site_no_longer_takes_begins_the_list_anew(engine: sa.Engine) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    models = tuple(
        make_model(
            number,
            versions=(make_version(number, published_at=start + timedelta(weeks=number)),),
        )
        for number in range(1, 13)
    )
    run(engine, Site(models=models), fetch_headers=False)
    site = Site(models=models, refused_cursor="9")

    tally = run(engine, site)

    assert site.asked[:2] == ["9", None]
    assert tally.outcomes == {Outcome.DECODED: 12}


def test_a_list_that_goes_in_a_circle_does_not_keep_its_files_from_being_read(
    engine: sa.Engine,
) -> None:
    class Circle(Site):
        async def page(
            self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS
        ) -> Page:
            return replace(await super().page(ask, cursor, limit=limit), next_cursor="1")

    walk = Walk(ask=ListQuery(order=Order.MOST_DOWNLOADED))
    site = Circle()

    with pytest.raises(SiteError, match="circle"):
        run(engine, site, walk=walk)

    assert site.fetched == [1, 2, 3, 4]
    assert pending(engine) == 0
    assert "circle" in str(last_ending(engine))


def test_a_defect_tears_the_run_down_and_is_told_as_it_is(engine: sa.Engine) -> None:
    site = Site(trouble=lambda _: ZeroDivisionError("a defect"))

    with pytest.raises(ZeroDivisionError, match="a defect"):
        run(engine, site)

    assert last_ending(engine) == "cancelled"
