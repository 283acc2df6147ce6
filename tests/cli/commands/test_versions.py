"""`lora-crawl versions` as a person runs it, on both databases."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.model import Outcome
from crawler.store.write.results import store_results
from tests.cli.headers import LANTERN, Run, write_lora
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

#: The ranks of the versions that were read; the one between them was not, and the last equals the first.
RANKS = {11: "8", 13: "16", 14: "16"}


def _stock(engine: sa.Engine) -> None:
    """Four versions, listed in another order than that of time, and another model."""
    versions = tuple(
        make_version(
            number,
            name=f"v{number}",
            published_at=NOW + timedelta(days=number),
            files=(make_file(number), make_file(number + 100, is_primary=False)),
        )
        for number in (13, 11, 14, 12)
    )
    results = [
        make_result(
            number, make_header_bytes({**METADATA, "ss_network_dim": rank}), version_id=number
        )
        for number, rank in RANKS.items()
    ]
    results.append(make_result(12, b"", version_id=12, outcome=Outcome.ARCHIVED, reason="put away"))
    with engine.begin() as connection:
        list_models(
            connection,
            make_model(10, name="Marble", versions=versions),
            make_model(
                20, name="Marble and sand", versions=(make_version(20, files=(make_file(20),)),)
            ),
        )
        store_results(connection, results)


@pytest.fixture
def database(prepared: Prepared) -> str:
    return prepared("versions", _stock).url.render_as_string(hide_password=False)


def test_versions_are_in_the_order_of_time_with_what_changed(run: Run, database: str) -> None:
    told = run("versions", "model:10", "--json", "--db", database)
    rows: list[dict[str, Any]] = json.loads(told.stdout)
    assert [row["version_name"] for row in rows] == ["v11", "v12", "v13", "v14"]
    assert [row["file_id"] for row in rows] == [11, 12, 13, 14]
    assert [row["changed"] for row in rows] == [None, None, {"network_dim": [8, 16]}, {}]


def test_a_file_stands_for_its_version(run: Run, database: str) -> None:
    rows = json.loads(run("versions", "113", "--json", "--db", database).stdout)
    assert [row["file_id"] for row in rows] == [11, 12, 113, 14]


def test_the_page(run: Run, database: str) -> None:
    page = run("versions", "name:marble", "--format", "table", "--db", database).stdout
    lines = page.splitlines()
    assert lines[0] == "Marble by stonecutter"
    assert "v11 · 2026-03-15 · Pony · file 11" in lines
    assert "  network_dim                  8" in lines
    assert "  archived: put away" in lines
    assert "  network_dim                  8 → 16" in lines
    assert lines[-1] == "  no setting changed"
    assert max(map(len, lines)) <= 80


def test_a_model_by_its_name(run: Run, database: str) -> None:
    assert "file 20" in run("show", "name:SAND marble", "--db", database).stdout
    several = run("show", "name:mar", "--db", database)
    assert several.exit_code == 2
    assert several.stderr.splitlines()[1:] == [
        "  model:10  Marble  by stonecutter",
        "  model:20  Marble and sand  by stonecutter",
    ]


def test_a_path_has_no_versions(run: Run, database: str, tmp_path: Any) -> None:
    path = write_lora(tmp_path / "mine.safetensors", LANTERN)
    told = run("versions", str(path), "--db", database)
    assert told.exit_code == 2
    assert "a path has no versions" in told.stderr


def test_a_page_is_opened_in_the_browser(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    told = run("show", "11", "--open", "--db", database)
    assert (told.exit_code, told.stdout) == (0, "")
    assert opened == ["https://civitai.com/models/10?modelVersionId=11"]
    assert opened[0] in told.stderr

    path = write_lora(tmp_path / "mine.safetensors", LANTERN)
    assert "has no page" in run("show", str(path), "--open").stderr
    monkeypatch.setattr("webbrowser.open", lambda _url: False)
    assert "no browser" in run("show", "11", "--open", "--db", database).stderr
