"""Commands run as a person runs them, on databases with something in them."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from crawler.cli.app import app
from crawler.model import Outcome
from crawler.model.catalogue import CursorState
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.results import store_results
from tests.cli.headers import Run
from tests.conftest import Prepared
from tests.factories import (
    METADATA,
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)
from tests.stored import list_models

#: Ranks of the files 1 to 6 of `database`.
DIMS = (8, 16, 32, 32, 64, 128)

#: A title that means harm to a terminal, to rich's markup and to a spreadsheet.
HOSTILE_NAME = "=1+1 \x1b[31m[red]Marble\u202e"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `lora-crawl` with the given words, in a pipe 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*words: str, text: str = "") -> Result:
        return CliRunner().invoke(app, list(words), input=text, catch_exceptions=False)

    return invoke


@pytest.fixture
def stocked(prepared: Prepared) -> sa.Engine:
    """Six decoded files (1 to 6), one in early access (7), one pending (8)."""
    return prepared("stocked", _stock)


@pytest.fixture
def database(stocked: sa.Engine) -> str:
    """The database `stocked` as `--db` takes it."""
    return stocked.url.render_as_string(hide_password=False)


def _stock(engine: sa.Engine) -> None:
    models = [make_model(number) for number in range(1, 9)]
    models[2] = make_model(
        3,
        name=HOSTILE_NAME,
        versions=(make_version(3, files=(make_file(3, name="p.safetensors"),)),),
    )
    results = [
        make_result(number, make_header_bytes({**METADATA, "ss_network_dim": str(dim)}))
        for number, dim in enumerate(DIMS, start=1)
    ]
    results.append(
        make_result(
            7,
            b"",
            outcome=Outcome.EARLY_ACCESS,
            reason="in early access until 2027-01-01 00:00 UTC",
            early_access_until=datetime(2027, 1, 1, tzinfo=UTC),
        )
    )
    with engine.begin() as connection:
        list_models(
            connection,
            *models,
            walk="oldest",
            cursors={"sfw": CursorState(cursor=None, pass_number=1, ended=True)},
        )
        store_results(connection, results)
        refresh_statistics(connection, NOW)
