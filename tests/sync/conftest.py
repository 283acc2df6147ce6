"""A sandbox, and crawls of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from crawler.http import HttpSettings, Secret, Waits
from crawler.model import ListQuery, Order
from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sources.civitai.client import Civitai
from crawler.sync.progress import SyncTally
from crawler.sync.run import crawl
from crawler.sync.state import Plan, WriterThread
from crawler.sync.walk import Walk
from tests.conftest import Prepared

#: No test waits as long as a real crawl does before it tries again.
WAITS = Waits(shortest=0.01, longest=0.05, longest_asked=0.05)

OLDEST = Walk(ask=ListQuery(order=Order.OLDEST))

#: Both maturity passes.
WHOLE = replace(OLDEST, nsfw=True)

#: Sandboxes that show one catalogue at several times are one site.
ORIGIN = "http://sandbox.invalid"


@pytest.fixture(scope="package")
def catalogue() -> Catalogue:
    """40 models with everything that the real ones have."""
    return Catalogue(40, seed=7, faults=Faults.mild())


@pytest.fixture(scope="package")
def sandbox(catalogue: Catalogue) -> Iterator[Sandbox]:
    """The catalogue on a sound network."""
    with Sandbox(catalogue) as running:
        yield running


@pytest.fixture(scope="package")
def of_two_pages() -> Catalogue:
    """A catalogue whose mature pass is longer than a page of 100."""
    return Catalogue(110, seed=11, faults=Faults.mild())


@pytest.fixture
def two_pages(prepared: Prepared, of_two_pages: Catalogue) -> sa.Engine:
    """A database with the whole of `of_two_pages`."""
    return prepared("two_pages", lambda engine: crawl_catalogue(engine, of_two_pages))


def run_crawl(
    engine: sa.Engine,
    sandbox: Sandbox,
    walk: Walk = OLDEST,
    *,
    key: str | None = None,
    stop: anyio.Event | None = None,
    **plan: object,
) -> SyncTally:
    """Crawl into the database, and tell what was done."""
    tally = SyncTally()

    async def go() -> None:
        settings = HttpSettings(
            api_url=sandbox.url, api_key=Secret(key) if key else None, rate=0, waits=WAITS
        )
        async with Civitai(settings) as source:
            await crawl(
                source,
                WriterThread(engine),
                Plan(walk=walk, has_api_key=key is not None, **plan),  # type: ignore[arg-type]
                tally=tally,
                stop=stop or anyio.Event(),
            )

    anyio.run(go)
    return tally


def crawl_catalogue(
    engine: sa.Engine, catalogue: Catalogue, walk: Walk = WHOLE, **plan: Any
) -> SyncTally:
    """Crawl a catalogue, with a key, from a sandbox of its own."""
    with Sandbox(catalogue) as sandbox:
        tally = run_crawl(engine, sandbox, walk, key=sandbox.key, origin=ORIGIN, **plan)
        assert sandbox.counters.key_leaks == 0
    return tally
