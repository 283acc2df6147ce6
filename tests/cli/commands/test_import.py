"""`import` as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.model.site import SANDBOX_URL
from crawler.share.form import file_of
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.schema import tables
from crawler.store.write.crawls import begin_crawl
from tests.cli.conftest import DIMS
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE
from tests.factories import NOW
from tests.share.exports import place_of, rewrite, with_values, write_export
from tests.stored import rows_of

#: Kills itself after that many batches.
KILLED = """
import os, signal, sys
from crawler.share.importing import import_from, open_source
from crawler.store.connect.database import open_for_writing
from crawler.sync.progress import ImportTally

def going(left=iter(range(int(sys.argv[3])))):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

with open_source(sys.argv[1]) as source:
    engine = open_for_writing(sys.argv[2])
    import_from(engine, source, tally=ImportTally(), going=going, max_header=2**20)
"""


@pytest.fixture
def source(stocked: sa.Engine, tmp_path: Path) -> Path:
    """The export of the database `stocked`."""
    with stocked.begin() as connection:
        begin_crawl(connection, origin="https://civitai.com", walk="oldest", now=NOW)
    return write_export(stocked, tmp_path / "catalogue")


def test_it_says_what_came_in(run: Run, source: Path, database_url: str) -> None:
    result = run("import", str(source), "--db", database_url)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("8 new models, 8 new versions, 8 new files, 6 headers in ")
    assert lines[1].split() == ["decoded", str(len(DIMS)), "100%"]
    assert lines[2] == f"source: {source}, files of https://civitai.com"
    assert lines[3].startswith("then: lora-crawl sync --db ")
    found = run("query", "--columns", "network_dim", "--sort", "file_id", "--db", database_url)
    assert found.stdout.split()[1 : 1 + len(DIMS)] == [str(dim) for dim in DIMS]

    again = json.loads(run("import", str(source), "--json", "--db", database_url).stdout)
    assert (again["headers_imported"], again["left_out"], again["ending"]) == (0, 0, "done")
    status = json.loads(run("status", "--json", "--db", database_url).stdout)
    assert (status["outcomes"], status["runs"]) == ({"decoded": 6, "pending": 2}, 2)


@ON_SQLITE
def test_a_dry_run_stores_nothing(run: Run, source: Path, database_url: str) -> None:
    result = run("import", str(source), "--dry-run", "--db", database_url)

    assert result.exit_code == 0
    assert "headers                   6" in result.stdout
    assert not Path(database_url).exists()
    told = json.loads(run("import", str(source), "--dry-run", "--json").stdout)
    assert told["rows"]["loras"] == 8


@ON_SQLITE
def test_rows_that_are_left_out_are_told(run: Run, source: Path, database_url: str) -> None:
    rewrite(source, "models", with_values("likes", {0: -1}))

    result = run("import", str(source), "--db", database_url)

    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "left out: models 1: likes: -1 is negative"
    assert "4 rows left out" in result.stdout


@ON_SQLITE
def test_a_damaged_export_is_an_error(run: Run, source: Path, database_url: str) -> None:
    (source / file_of("loras")).write_bytes(b"PAR1")

    result = run("import", str(source), "--db", database_url)

    assert result.exit_code == 3
    assert result.stderr.startswith("Error: ")


@ON_SQLITE
@pytest.mark.parametrize(
    ("origin", "option"),
    [(SANDBOX_URL, "--sandbox"), ("http://127.0.0.1:9/a", "--api-url http://127.0.0.1:9/a")],
)
def test_the_next_sync_asks_the_api_that_the_files_are_from(
    run: Run, stocked: sa.Engine, database_url: str, origin: str, option: str
) -> None:
    with stocked.begin() as connection:
        begin_crawl(connection, origin=origin, walk="oldest", now=NOW)

    told = run("import", place_of(stocked), "--db", database_url)

    assert told.stdout.splitlines()[-1] == f"then: lora-crawl sync {option} --db {database_url}"


def test_messages_about_an_argument_do_not_name_an_option(run: Run, tmp_path: Path) -> None:
    notes, target = tmp_path / "notes.txt", str(tmp_path / "target.db")
    notes.write_text("no database\n" * 100)
    for words in (
        ["import", str(notes), "--db", target],
        ["db", "copy", str(notes), target],
        ["db", "copy", str(tmp_path), target],
    ):
        told = run(*words)
        assert told.exit_code == 3, words
        assert "--db" not in told.stderr


def test_one_writer_at_a_time(run: Run, source: Path, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    other = open_for_writing(place)
    with sync_lock(other):
        result = run("import", str(source), "--db", place)
    other.dispose()

    assert result.exit_code == 4
    assert "another sync is running" in result.stderr


@ON_SQLITE
@pytest.mark.skipif(sys.platform == "win32", reason="no process can kill itself so there")
def test_a_killed_import_is_finished_by_the_next(run: Run, source: Path, database_url: str) -> None:
    command = [sys.executable, "-c", KILLED, str(source), database_url, "4"]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()

    result = run("import", str(source), "--db", database_url)

    assert result.exit_code == 0
    engine = open_for_writing(database_url)
    assert len(rows_of(engine, tables.headers)) == len(DIMS)
    engine.dispose()
