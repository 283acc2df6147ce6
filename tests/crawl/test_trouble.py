"""What a crawl does when the site, and not one file, is in trouble."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest
import sqlalchemy as sa

from crawler.crawl.ledger import Ledger
from crawler.crawl.plan import Plan
from crawler.crawl.run import crawl
from crawler.crawl.tally import Tally
from crawler.crawl.walk import Walk
from crawler.errors import CursorError, QuotaError, SiteError
from crawler.model import Ask, Fetched, Model, Order, Outcome, Page, Target
from crawler.store.tables import crawls, loras
from tests.factories import make_header_bytes, make_model

WALK = Walk(ask=Ask(order=Order.OLDEST))


@dataclass
class Site:
    """Models 1 to 12 on pages of four, each with one file; `trouble` decides about each fetch."""

    trouble: Callable[[int], Exception | None] = lambda _: None
    refused_cursor: str | None = None  # when it is the first one asked for
    page_trouble: Exception | None = None
    fetched: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    origin: str = "http://site.invalid"

    async def page(self, ask: Ask, cursor: str | None) -> Page:
        assert not ask.mature
        self.asked.append(cursor)
        if self.page_trouble is not None:
            raise self.page_trouble
        if cursor is not None and self.asked == [self.refused_cursor]:
            raise CursorError(self.origin, "invalid cursor")
        first = int(cursor or 1)
        following = str(first + 4) if first + 4 <= 12 else None
        models = tuple(make_model(number) for number in range(first, first + 4))
        return Page(models=models, next_cursor=following)

    async def model(self, model_id: int) -> Model | None:
        raise AssertionError(model_id)

    async def fetch(self, target: Target) -> Fetched:
        self.fetched.append(target.file_id)
        if (trouble := self.trouble(len(self.fetched))) is not None:
            raise trouble
        return Fetched(target=target, prefix=make_header_bytes(), counted=1)


def run(engine: sa.Engine, site: Site, **plan: object) -> Tally:
    tally = Tally()

    async def go() -> None:
        wanted = Plan(walk=WALK, keyed=True, concurrency=1, **plan)  # type: ignore[arg-type]
        await crawl(site, Ledger(engine), wanted, tally=tally, stop=anyio.Event())

    anyio.run(go)
    return tally


def pending(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(sa.func.count()).where(loras.c.outcome == Outcome.PENDING)
        ).scalar_one()


def last_ending(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(crawls.c.ending).order_by(crawls.c.crawl_id.desc()).limit(1)
        ).scalar_one()


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
    run(engine, Site(), fetch_headers=False)
    site = Site(refused_cursor="9")

    tally = run(engine, site)

    assert site.asked[:2] == ["9", None]
    assert tally.outcomes == {Outcome.DECODED: 12}


def test_a_defect_tears_the_run_down_and_is_told_as_it_is(engine: sa.Engine) -> None:
    site = Site(trouble=lambda _: ZeroDivisionError("a defect"))

    with pytest.raises(ZeroDivisionError, match="a defect"):
        run(engine, site)

    assert last_ending(engine) == "cancelled"
