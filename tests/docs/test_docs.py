"""What is promised in docs/ and README.md is what the code has, and the other way round."""

import re
from pathlib import Path

import pytest
import typer.main

from crawler.cli.app import app, load
from crawler.decode.problems import CODES
from crawler.model import Outcome
from crawler.store.schema import tables
from crawler.store.schema.views import VIEWS
from tests.docs import fields_page

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
TABLES = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "picture.png"
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: Options that every command shares, explained once at the top of the page.
SHARED = {"--help", "--quiet", "--verbose", "--db", "--api-url", "--no-pager"}

NAMES = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def section(name: str) -> str:
    """What docs/commands.md says of a command."""
    for part in re.split(r"^## ", COMMANDS, flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        if name in heading.split(", "):
            return text
    raise AssertionError(f"docs/commands.md has no section on {name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    command = load(name)
    assert command.help

    options = {
        option
        for parameter in command.params
        for option in getattr(parameter, "opts", ())
        if option.startswith("--")
    }

    assert {option for option in options - SHARED if f"{option}" not in text} == set()


@pytest.mark.parametrize("name", sorted(load("db").commands))
def test_every_command_of_db_is_documented(name: str) -> None:
    assert f"db {name}" in section("db")


def test_every_outcome_is_documented_in_the_order_of_the_code() -> None:
    outcomes = TABLES.partition("## Outcomes")[2].partition("## Problems")[0]

    assert re.findall(r"^\| `(\w+)` \|", outcomes, flags=re.MULTILINE) == [*map(str, Outcome)]


def test_every_problem_code_is_documented_with_its_meaning() -> None:
    found = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TABLES, flags=re.MULTILINE))

    assert {code: found.get(code) for code in CODES} == dict(CODES)


def test_every_table_is_documented() -> None:
    listed = TABLES.partition("## Outcomes")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", listed, flags=re.MULTILINE)) == {
        *tables.metadata.tables,
        *(view.name for view in VIEWS),
    }


def test_the_page_of_fields_is_made_from_the_registry() -> None:
    assert fields_page.PAGE.read_text(encoding="utf-8") == fields_page.text()


def test_the_picture_of_readme_is_small() -> None:
    """`python -m tests.docs.picture` draws it."""
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size < 300_000


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), (page, target)


def test_readme_has_its_lines_in_the_order_of_a_first_try() -> None:
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv")]

    assert [("pytest" in line, "--sandbox" in line) for line in lines] == [
        (False, False),
        (False, True),
        (True, False),
    ]
