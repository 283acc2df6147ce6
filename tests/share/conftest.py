"""A small database to share, and one to import into."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crawler.model import Outcome
from crawler.store.connect.database import open_for_writing
from crawler.store.write.crawls import begin_crawl
from crawler.store.write.results import store_results
from tests.conftest import Prepared
from tests.factories import METADATA, NOW, make_header_bytes, make_model, make_result
from tests.share.exports import write_export
from tests.stored import list_models

ORIGIN = "https://civitai.com"

#: When the other database saw its models.
SEEN = NOW - timedelta(days=1)

#: A tensor list of its own.
OTHER_LIST = {"lora_unet_x.lora_down.weight": ("F16", (8, 320))}


@pytest.fixture
def theirs(prepared: Prepared) -> sa.Engine:
    """Files 1 to 3 are decoded, 4 has no metadata, 5 is refused, 6 is pending, 7 is bad."""
    return prepared("theirs", _fill)


@pytest.fixture
def exported(theirs: sa.Engine, tmp_path: Path) -> Path:
    """The export of `theirs`."""
    return write_export(theirs, tmp_path / "catalogue")


@pytest.fixture
def other(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database on the other system than `backend`."""
    if backend == "postgresql":
        engine = open_for_writing(tmp_path / "other.db")
        yield engine
        engine.dispose()
        return
    with request.getfixturevalue("copies").copy(f"other_{uuid4().hex}") as url:
        engine = open_for_writing(url)
        yield engine
        engine.dispose()


def _fill(engine: sa.Engine) -> None:
    results = [
        make_result(number, make_header_bytes({**METADATA, "ss_network_dim": str(8 * number)}))
        for number in (1, 2)
    ]
    results += [
        make_result(3, make_header_bytes(METADATA, OTHER_LIST)),
        make_result(4, make_header_bytes(None)),
        make_result(5, b"", outcome=Outcome.FORBIDDEN, reason="the site said no"),
        make_result(7, (9).to_bytes(8, "little") + b'{"a": 1 }', file_bytes=151_000_000),
    ]
    with engine.begin() as connection:
        begin_crawl(connection, origin=ORIGIN, walk="w", now=SEEN)
        list_models(connection, *map(make_model, range(1, 8)), now=SEEN)
        store_results(connection, results)
