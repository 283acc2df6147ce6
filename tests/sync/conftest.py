"""A sandbox, and crawls of it."""

from collections.abc import Callable, Iterator

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

#: No test waits as long as a real crawl does before it tries again.
WAITS = Waits(shortest=0.01, longest=0.05, longest_asked=0.05)

OLDEST = Walk(ask=ListQuery(order=Order.OLDEST))

Crawl = Callable[..., SyncTally]


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    """A catalogue of 80 models with everything the real one has, and a sound network."""
    with Sandbox(Catalogue(80, seed=7, faults=Faults.mild())) as running:
        yield running


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
