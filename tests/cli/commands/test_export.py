"""`lora-crawl export` as a person runs it; tests/share looks into the files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.headers import Run
from tests.conftest import ON_SQLITE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "to" / "catalogue"


def test_it_says_what_it_wrote(run: Run, database: str, folder: Path) -> None:
    told = run("export", str(folder), "--db", database)

    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith(f"wrote {folder}: 8 files with 6 headers, ")
    assert run("export", str(folder), "--db", database).stdout.startswith(
        f"{folder} is up to date: 8 files"
    )
    quiet = run("export", str(folder), "--db", database, "-q")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_the_summary_is_json(run: Run, database: str, folder: Path) -> None:
    where = ["--where", "network_dim >= 32", "--where", "likes:1.."]
    told = run("export", str(folder), *where, "--json", "--db", database)

    summary = json.loads(told.stdout)
    assert told.stderr == ""
    counted = run("query", "network_dim >= 32", "likes:1..", "--count", "--db", database)
    assert summary["files"] == int(counted.stdout) == summary["tables"]["loras"]["rows"] > 0
    assert summary["where"] == ["network_dim >= 32", "likes:1.."]
    assert summary["bytes"] == sum(path.stat().st_size for path in folder.glob("*.parquet"))


@ON_SQLITE
def test_progress_is_shown(
    run: Run, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.cli.progress.LINE_SECONDS", 0)

    told = run("export", str(folder), "--db", database)

    assert "writing loras · 8 rows · 2 of 13 tables done · " in told.stderr


@ON_SQLITE
@pytest.mark.parametrize("where", ["base_model = 'Ponny'", "noise_offset > 1"])
def test_an_empty_answer_is_explained_as_by_query(
    run: Run, database: str, folder: Path, where: str
) -> None:
    told = run("export", str(folder), "--where", where, "--db", database)

    assert told.exit_code == 0
    assert told.stdout.startswith(f"wrote {folder}: 0 files")
    assert told.stderr == run("query", where, "--count", "--db", database).stderr != ""


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--where", "rnk > 3"], 2, "there is no field named rnk"),
        (["--db", "none.db"], 3, "there is no database"),
    ],
)
def test_nothing_is_written_when_nothing_can_be(
    run: Run, database: str, folder: Path, words: list[str], *, code: int, said: str
) -> None:
    given = words if "--db" in words else [*words, "--db", database]

    told = run("export", str(folder), *given)

    assert (told.exit_code, told.stdout) == (code, "")
    assert said in told.stderr
    assert not folder.exists()


@ON_SQLITE
def test_without_the_extra_the_error_says_how_to_install_it(database: str, folder: Path) -> None:
    script = "import sys; sys.modules['pyarrow'] = None; from crawler.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "export", str(folder), "--db", database],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'lora-crawl[parquet]'" in done.stderr


@ON_SQLITE
def test_a_name_with_control_characters_is_escaped(run: Run, database: str, tmp_path: Path) -> None:
    odd = tmp_path / "odd\x1b]0;title\x07"
    for words in (
        ["export", str(odd), "--db", database],
        ["export", str(odd), "--db", database],
        ["db", "copy", database, f"{odd}.db"],
        ["db", "info", "--db", f"{odd}.db"],
    ):
        result = run(*words)
        assert result.exit_code == 0
        assert "\\x1b" in result.stdout
        assert "\x1b" not in result.output
