"""`scan` as a command."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.scan import BATCH_FILES
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from tests.cli.headers import LANTERN, Run, write_lora


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with two sound files, one of them in a folder of its own."""
    folder = tmp_path / "shelf"
    (folder / "inner").mkdir(parents=True)
    write_lora(folder / "lantern.safetensors", LANTERN)
    write_lora(folder / "inner" / "bare.safetensors", None)
    return folder


def test_a_scan_makes_the_database_and_says_what_it_found(
    run: Run, shelf: Path, database_url: str
) -> None:
    result = run("scan", str(shelf), "--db", database_url)

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("2 files in 2 folders, 2 read in ")
    assert [line.split() for line in lines[1:3]] == [
        ["decoded", "1", "50%"],
        ["no", "metadata", "1", "50%"],
    ]
    assert result.stderr == ""
    found = run(
        "query",
        "site='local' and network_dim=16",
        "--columns",
        "file_id,model_name",
        "--db",
        database_url,
    )
    assert found.stdout == "file_id\tmodel_name\n-1\tlantern\n"


def test_what_is_not_sound_is_named_and_the_rest_is_stored(
    run: Run, shelf: Path, database_url: str
) -> None:
    (shelf / "\x1b[31mred.safetensors").write_bytes(b"PK\x03\x04 rest")

    result = run("scan", str(shelf), str(shelf / "nowhere"), "--db", database_url)

    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "\\x1b[31mred.safetensors: not_safetensors" in result.stderr
    assert "nowhere: no such file or directory" in result.stderr
    again = run("scan", str(shelf), "--db", database_url)
    assert again.exit_code == 1
    assert "0 read" in again.stdout


def test_the_summary_as_data(run: Run, shelf: Path, database_url: str) -> None:
    result = run("scan", str(shelf), "--json", "--hash", "--db", database_url)

    data = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert (data["files_found"], data["files_read"], data["ending"]) == (2, 2, "done")
    assert data["outcomes"] == {"decoded": 1, "no_metadata": 1}
    again = json.loads(run("scan", str(shelf), "--json", "--force", "--db", database_url).stdout)
    assert (again["files_read"], again["unchanged"]) == (2, 0)


def test_a_quiet_scan_says_nothing(run: Run, shelf: Path, database_url: str) -> None:
    result = run("-q", "scan", str(shelf), "--db", database_url)

    assert (result.exit_code, result.output) == (0, "")


def test_nothing_to_scan_makes_no_database(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "none.db"

    result = run("scan", str(tmp_path / "nowhere"), "", "--db", str(place))

    assert (result.exit_code, result.stdout) == (1, "")
    assert "nowhere: no such file or folder" in result.stderr
    assert not place.exists()
    assert run("scan").exit_code == 2


def test_an_empty_folder(run: Run, tmp_path: Path, database_url: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    result = run("scan", str(folder), "--db", database_url)

    assert result.exit_code == 0
    assert result.stdout.startswith("0 files in 1 folder, 0 read")


def test_not_beside_a_sync(run: Run, shelf: Path, database_url: str) -> None:
    engine = open_for_writing(database_url)
    with sync_lock(engine):
        result = run("scan", str(shelf), "--db", database_url)
    engine.dispose()

    assert (result.exit_code, result.stdout) == (4, "")
    assert "another sync is running" in result.stderr


#: A scan that waits behind its first batch until it is interrupted.
WAITING = """
import sys, time
import crawler.scan
from crawler.__main__ import main
store = crawler.scan._store
def stored(run, batch):
    store(run, batch)
    print("a batch is stored", file=sys.stderr, flush=True)
    while run.going():
        time.sleep(0.01)
crawler.scan._store = stored
main()
"""

#: More than a batch.
FILES = 2 * BATCH_FILES


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
def test_an_interrupt_stores_what_was_read_and_says_that_work_is_left(
    run: Run, tmp_path: Path
) -> None:
    shelf, place = tmp_path / "many", tmp_path / "loras.db"
    shelf.mkdir()
    content = write_lora(tmp_path / "lantern.safetensors", LANTERN).read_bytes()
    for number in range(FILES):
        (shelf / f"{number:04}.safetensors").write_bytes(content)
    command = [sys.executable, "-c", WAITING, "scan", str(shelf), "--json", "--db", str(place)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "a batch is stored\n" in iter(process.stderr.readline, "")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 4, stderr
    data = json.loads(stdout)
    assert data["ending"] == "interrupted"
    assert 0 < data["files_read"] < FILES
    assert data["left"] == FILES - data["files_read"]
    again = run("scan", str(shelf), "--json", "--db", str(place))
    assert again.exit_code == 0
    assert json.loads(again.stdout)["unchanged"] == data["files_read"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_path_stays_on_its_line(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a\nb"
    folder.mkdir()
    (folder / "c\rd\x1b[2J.safetensors").write_bytes(b"no header")
    place = tmp_path / "e\nf.db"

    told = run("scan", str(folder), "--db", str(place))

    assert "a\\nb" in told.stderr
    assert "c\\rd\\x1b[2J.safetensors: not_safetensors" in told.stderr
    assert "e\\nf.db" in told.stdout
    for line in ("b/c", "f.db"):
        assert not any(each.startswith(line) for each in told.output.splitlines())
    missing = run("scan", str(tmp_path / "g\nh"), "--db", str(place))
    assert "g\\nh: no such file" in missing.stderr
