"""A crawl of the sandbox, about which the questions of docs/ are asked."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from crawler.cli.app import app
from crawler.model import ListQuery, Order
from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sync.walk import Walk
from tests.cli.headers import LANTERN, write_lora
from tests.conftest import Prepared
from tests.stored import as_user
from tests.sync.conftest import OLDEST, run_crawl

#: The models that the pages name by an id: they are those of `sync --limit 500 --sandbox`.
NAMED_MODELS = (3764, 3653, 6282)

#: Models of the catalogue besides: enough that most questions have an answer.
MODELS = 50


def crawl(engine: sa.Engine) -> None:
    """A part of what `sync --sandbox` crawls."""
    with Sandbox(Catalogue(2_000, faults=Faults.mild())) as site:
        run_crawl(engine, site, Walk(ask=OLDEST.ask, model_ids=NAMED_MODELS))
        run_crawl(engine, site, Walk(ask=ListQuery(order=Order.MOST_DOWNLOADED), limit=MODELS))


@pytest.fixture
def filled(prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """The crawl in the database that commands take, and a folder to work in with one LoRA of one's
    own."""
    engine = prepared("questions", crawl)
    work = tmp_path / "work"
    (work / "mine").mkdir(parents=True)
    write_lora(work / "mine" / "lantern.safetensors", LANTERN)
    monkeypatch.chdir(work)
    monkeypatch.setenv("LORA_CRAWL_DB", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("COLUMNS", "80")
    return engine


def run(*words: str) -> Result:
    place = os.environ["LORA_CRAWL_DB"]
    # As a superuser nobody may run a statement.
    env = {"LORA_CRAWL_DB": as_user(place, "reader")} if words[0] == "sql" else {}
    return CliRunner().invoke(app, list(words), catch_exceptions=False, env=env)
