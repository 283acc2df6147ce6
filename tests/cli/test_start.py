"""What a command imports: most of its start."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Slow to import, and of no use to a question to SQLite.
NEEDLESS = (
    "aiohttp",
    "alembic",
    "crawler.sync",
    "crawler.http",
    "crawler.sandbox",
    "httpx",
    "pydantic",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
    "starlette",
)

#: Of no use to `--help` and `--version`.
OF_COMMANDS = (
    "crawler.cli.commands.query",
    "crawler.model",
    "crawler.store",
    "importlib.metadata",
    "msgspec",
    "platformdirs",
    "rich",
    "sqlalchemy",
)

_SCRIPT = """
import gc, sys
from crawler.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
assert gc.get_freeze_count() > 0, "the last collection takes long"
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "words", [["query", "network_dim>=64", "--sort", "-images_seen"], ["show", "1"], ["fields"]]
)
def test_a_question_imports_nothing_needless(database: str, words: list[str]) -> None:
    output, imported = start(*words, "--quiet", "--db", database)

    assert output
    assert imported.intersection(NEEDLESS) == set()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_help_and_the_version_import_no_command(option: str) -> None:
    output, imported = start(option)

    assert output
    assert imported.intersection(NEEDLESS + OF_COMMANDS) == set()


def start(*words: str) -> tuple[str, set[str]]:
    """Run `lora-crawl`; return its output and the names of all imported modules."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(done.stderr.split())
