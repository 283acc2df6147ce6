"""Every command of docs/sql.md runs, with each tool that is installed, and Datasette with our settings."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from crawler.cli.app import app
from tests.conftest import ON_SQLITE, Prepared
from tests.docs.conftest import crawl
from tests.docs.examples import ROOT
from tests.docs.test_questions import QUESTIONS

PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")

#: Language and content of each block, by the heading above it.
BLOCKS = [
    (part.partition("\n")[0], language, text)
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
]

#: What DuckDB says where it cannot get the extension for SQLite.
NO_EXTENSION = "Failed to download extension"


@pytest.fixture
def filled(prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    engine = prepared("questions", crawl)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LORA_CRAWL_DB", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return engine


def is_here(tool: str, language: str) -> bool:
    if language == "sh":
        return shutil.which(tool) is not None
    return importlib.util.find_spec(tool) is not None


@pytest.mark.parametrize(
    ("tool", "language", "text"),
    BLOCKS,
    ids=[f"{tool}-{at}" for at, (tool, *_) in enumerate(BLOCKS)],
)
def test_the_commands_of_the_page_run(
    filled: sa.Engine, tool: str, language: str, text: str
) -> None:
    if (tool == "psql") is not (filled.dialect.name == "postgresql"):
        return
    if not is_here(tool.lower(), language):
        pytest.skip(f"{tool} is not installed")
    # Datasette would serve until it is stopped.
    text = re.sub(r"^(datasette .+)$", r"\1 --get /", text, flags=re.MULTILINE)
    words = ["bash", "-euc", text] if language == "sh" else [sys.executable, "-c", text]

    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    if NO_EXTENSION in ended.stderr:
        pytest.skip("DuckDB has no extension for SQLite here")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") > 3


def fetched(*paths: str, place: str, metadata: Path) -> dict[str, str]:
    """What a Datasette answers to each path."""
    program = (
        "import asyncio, json, sys, yaml\n"
        "from datasette.app import Datasette\n"
        "place, metadata, *paths = sys.argv[1:]\n"
        "async def main():\n"
        "    shown = Datasette([place], metadata=yaml.safe_load(open(metadata)))\n"
        "    answers = [await shown.client.get(path) for path in paths]\n"
        "    assert all(one.status_code == 200 for one in answers), [one.text for one in answers]\n"
        "    print(json.dumps([one.text for one in answers]))\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, place, str(metadata), *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(zip(paths, json.loads(ended.stdout), strict=True))


@ON_SQLITE
def test_datasette_shows_the_descriptions_and_answers_the_questions(
    filled: sa.Engine, tmp_path: Path
) -> None:
    printed = CliRunner().invoke(app, ["db", "datasette"], catch_exceptions=False)
    assert printed.exit_code == 0
    metadata = tmp_path / "datasette.yaml"
    metadata.write_text(printed.stdout, encoding="utf-8")
    place = str(filled.url.database)
    asked = [
        "-".join(re.findall(r"\w+", heading.lower()))
        for heading, lines in QUESTIONS.items()
        if lines[0].words[0] in ("query", "sql")
    ]
    assert len(asked) > 15

    pages = fetched(
        "/questions/lora_tags",
        "/questions/loras",
        "/questions/loras.json?_extra=facet_results",
        "/questions/lora_tags.json?_shape=array&tag=1girl",
        *(f"/questions/{name}.json?_shape=array" for name in asked),
        place=place,
        metadata=metadata,
    )

    assert (
        "how often a caption tag occurs in a training folder of a file"
        in pages["/questions/lora_tags"]
    )
    assert "shortest side of a bucket (px)" in pages["/questions/loras"]
    facets = json.loads(pages["/questions/loras.json?_extra=facet_results"])["facet_results"]
    assert {"base_model", "outcome", "trainer"} <= set(facets.get("results", facets))
    assert json.loads(pages["/questions/lora_tags.json?_shape=array&tag=1girl"])
    lines = [lines[0] for lines in QUESTIONS.values() if lines[0].words[0] in ("query", "sql")]
    for name, line in zip(asked, lines, strict=True):
        told = CliRunner().invoke(app, [*line.words, *("--json",)], catch_exceptions=False)
        answer = json.loads(told.stdout)
        shown = json.loads(pages[f"/questions/{name}.json?_shape=array"])
        if isinstance(answer, int):
            assert shown == [{"count": answer}]
        else:
            assert [row.get("file_id") for row in shown] == [row.get("file_id") for row in answer]


@ON_SQLITE
def test_datasette_cannot_read_postgresql(filled: sa.Engine) -> None:
    del filled
    words = ["db", "datasette", "--db", "postgresql://localhost/loras"]

    told = CliRunner().invoke(app, words, catch_exceptions=False)

    assert told.exit_code == 2
    assert "Datasette reads SQLite files" in told.stderr
