"""A small site that does what a test wants, and crawls of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
import sqlalchemy as sa

from crawler.errors import CursorError
from crawler.model import Fetched, ListQuery, Model, Order, Page, Target
from crawler.sources.base import PAGE_MODELS
from crawler.sync.progress import SyncTally
from crawler.sync.run import crawl, utc_now
from crawler.sync.state import Plan, WriterThread
from crawler.sync.walk import Walk
from tests.factories import make_header_bytes, make_model

WALK = Walk(ask=ListQuery(order=Order.OLDEST))

PAGE = 4


def sound(target: Target, **changes: Any) -> Fetched:
    """A header that was read."""
    given: dict[str, Any] = {"prefix": make_header_bytes(), "counted_downloads": 1}
    return Fetched(target=target, **given | changes)


@dataclass
class Site:
    """Models 1 to 12 on pages of four, each with one file.

    Attributes:
        trouble: What the n-th fetch raises, None for nothing.
        answer: What becomes of a file otherwise; it may ask whether a link may be renewed.
        refused_cursor: Refused when it is the first one asked for.
        page_trouble: What every page raises.
        hurried: The run asked to end what is in flight.
    """

    trouble: Callable[[int], Exception | None] = lambda _: None
    answer: Callable[[Target, Callable[[], bool]], Fetched] = lambda target, _: sound(target)
    models: Sequence[Model] = tuple(make_model(number) for number in range(1, 13))
    refused_cursor: str | None = None
    page_trouble: Exception | None = None
    hurried: bool = False
    fetched: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    origin: str = "http://site.invalid"

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        assert not ask.mature
        self.asked.append(cursor)
        if self.page_trouble is not None:
            raise self.page_trouble
        if cursor is not None and self.asked == [self.refused_cursor]:
            raise CursorError(self.origin, "invalid cursor")
        first = int(cursor or 1)
        behind = first + min(PAGE, limit)
        following = str(behind) if behind <= len(self.models) else None
        return Page(models=tuple(self.models[first - 1 : behind - 1]), next_cursor=following)

    async def model(self, model_id: int) -> Model | None:
        raise AssertionError(model_id)

    def hurry(self) -> None:
        self.hurried = True

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        raise AssertionError(model_ids)

    async def tags(self, text: str) -> tuple[str, ...]:
        raise AssertionError(text)

    async def base_models(self) -> tuple[str, ...]:
        return ()

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        self.fetched.append(target.file_id)
        if (trouble := self.trouble(len(self.fetched))) is not None:
            raise trouble
        await anyio.lowlevel.checkpoint()
        return self.answer(target, renew)


def run(
    engine: sa.Engine, site: Site, *, clock: Callable[[], datetime] = utc_now, **plan: Any
) -> SyncTally:
    """Crawl the site into the database, one file at a time unless the plan says otherwise."""
    tally = SyncTally()
    given: dict[str, Any] = {"walk": WALK, "has_api_key": True, "concurrency": 1}
    wanted = Plan(**given | plan)

    async def go() -> None:
        await crawl(
            site, WriterThread(engine), wanted, tally=tally, stop=anyio.Event(), clock=clock
        )

    anyio.run(go)
    return tally
