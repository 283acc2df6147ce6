"""The page over databases with something in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from crawler.store.connect.database import open_for_reading
from crawler.store.stats.field_stats import refresh_statistics
from crawler.web.app import Site
from crawler.web.security import LOOPBACK, Hosts
from crawler.web.server import PageServer
from tests.conftest import Prepared
from tests.factories import NOW
from tests.web.browser import browser, open_tab
from tests.web.rows import ADDRESS, PORT, loras
from tests.web.told import fill as told_fill

__all__ = ["browser", "open_tab"]


def fill(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        loras(connection)
        refresh_statistics(connection, NOW)


@pytest.fixture
def browsed(prepared: Prepared) -> sa.Engine:
    """Forty files; the name of one, HOSTILE, is what a browser must not run."""
    return prepared("browsed", fill)


@contextmanager
def asking(engine: sa.Engine) -> Iterator[TestClient]:
    """Asks the page over a database as a browser on this machine does."""
    reading = open_for_reading(engine.url)
    site = Site(reading, Hosts(LOOPBACK, PORT))
    try:
        yield TestClient(site.application, base_url=ADDRESS, raise_server_exceptions=False)
    finally:
        site.close()
        reading.dispose()


@pytest.fixture
def client(browsed: sa.Engine) -> Iterator[TestClient]:
    """Asks the page over `browsed`."""
    with asking(browsed) as made:
        yield made


@pytest.fixture
def told(prepared: Prepared) -> sa.Engine:
    """Ten files, most with metadata; that of file 2 is hostile."""
    return prepared("told", told_fill)


@pytest.fixture
def pages(told: sa.Engine) -> Iterator[TestClient]:
    """Asks the page over `told`."""
    with asking(told) as made:
        yield made


@pytest.fixture
def served(browsed: sa.Engine) -> Iterator[PageServer]:
    """The page over `browsed` on a port of this machine."""
    engine = open_for_reading(browsed.url)
    with PageServer(engine) as server:
        yield server
    engine.dispose()
