"""`header` as a command."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from crawler.cli.app import app
from crawler.cli.commands import header as module
from crawler.store.schema.tables import tensor_lists
from tests.cli.conftest import DIMS
from tests.cli.headers import Run
from tests.faces import backend
from tests.factories import METADATA, TENSOR_BYTES, make_header_bytes

__all__ = ["backend"]

FIRST = make_header_bytes({**METADATA, "ss_network_dim": str(DIMS[0])})


def test_the_bytes_go_to_a_pipe(database: str) -> None:
    result = CliRunner().invoke(app, ["header", "1", "--db", database])
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, FIRST, "")


def test_the_bytes_go_to_a_file(run: Run, database: str, tmp_path: Path) -> None:
    place = tmp_path / "marble.header"
    result = run("header", "model:1", "-o", str(place), "--db", database)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {len(FIRST):,} bytes to {place}\n"
    assert place.read_bytes() == FIRST

    again = run("header", "2", "-o", str(place), "--db", database)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert place.read_bytes() == FIRST
    assert run("header", "2", "-o", str(place), "--force", "--db", database).exit_code == 0
    assert place.read_bytes() != FIRST


def test_force_is_for_files_only(run: Run, database: str) -> None:
    result = run("header", "1", "--force", "--db", database)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--force needs --output FILE" in result.stderr


def test_a_file_on_this_machine_needs_no_database(run: Run, tmp_path: Path) -> None:
    path, place = tmp_path / "marble.safetensors", tmp_path / "marble.header"
    path.write_bytes(FIRST + bytes(TENSOR_BYTES))
    assert run("header", str(path), "-o", str(place)).exit_code == 0
    assert place.read_bytes() == FIRST


@pytest.mark.parametrize(
    ("ref", "part"),
    [("7", "no header of file 7"), ("99", "no file 99"), ("none.safetensors", "no such file")],
)
def test_what_has_no_header(run: Run, database: str, ref: str, part: str) -> None:
    result = run("header", ref, "--db", database)
    assert (result.exit_code, result.stdout) == (2, "")
    assert part in result.stderr


def test_a_page_under_the_name_of_a_lora(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.safetensors"
    path.write_text("<!DOCTYPE html><html></html>")
    result = run("header", str(path))
    assert result.exit_code == 2
    assert "HTML page" in result.stderr


def test_a_terminal_is_spared(run: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True), stdin=sys.stdin)
    )
    result = run("header", "1", "--db", database)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "use -o FILE or a pipe" in result.stderr


def test_a_list_that_is_missing(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        connection.execute(sa.delete(tensor_lists))
    result = run("header", "1", "--db", database)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "is missing" in result.stderr
