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
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
    "starlette",
)

_SCRIPT = f"""
import sys
from crawler.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
print(*(name for name in {NEEDLESS} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "words", [["query", "network_dim>=64", "--sort", "-images_seen"], ["show", "1"], ["fields"]]
)
def test_a_question_imports_nothing_needless(database: str, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *words, "--quiet", "--db", database],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout
    assert done.stderr.split() == []
