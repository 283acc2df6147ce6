"""What every command has in common."""

from pathlib import Path

import pytest
import typer.main

from crawler.cli.app import app, load
from crawler.errors import StoppedError
from tests.cli.headers import Run

NAMED = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = {name: load(name) for name in NAMED}
COMMANDS |= {f"db {name}": one for name, one in COMMANDS.pop("db").commands.items()}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_quiet_and_verbose_and_explains_itself(run: Run, name: str) -> None:
    options = {option for one in COMMANDS[name].params for option in getattr(one, "opts", ())}

    assert {"-q", "--quiet", "-v", "--verbose"} <= options
    told = run(*name.split(), "--help")
    assert told.exit_code == 0
    assert max(map(len, told.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_help_shows_the_first_line_of_every_command(name: str) -> None:
    assert NAMED[name].help == load(name).help.partition("\n")[0]


def test_a_command_that_is_mistyped_is_suggested(run: Run) -> None:
    told = run("quer")

    assert told.exit_code == 2
    assert "Did you mean 'query'?" in told.stderr


def test_quiet_and_verbose_stand_before_the_command_too(run: Run, tmp_path: Path) -> None:
    words = ("db", "path", "--db", str(tmp_path / "none.db"))

    assert run(*words).stderr == ""
    assert "missing" in run(*words, "-v").stderr
    assert "missing" in run("-v", *words).stderr
    assert run("-q", *words, "-v").stderr == ""


@pytest.mark.parametrize("name", ["show", "diff", "recipe", "header"])
def test_the_id_of_a_local_file_needs_no_colon(run: Run, name: str, tmp_path: Path) -> None:
    refs = ["-2"] * (2 if name == "diff" else 1)
    told = run(name, *refs, "--db", str(tmp_path / "none.db"))

    assert told.exit_code == 3
    assert "there is no database" in told.stderr


def test_the_version_is_one_line(run: Run) -> None:
    told = run("--version")

    assert told.exit_code == 0
    assert told.stdout.startswith("lora-crawl")
    assert told.stdout.count("\n") == 1


def test_the_first_error_of_a_group_is_told_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_where: object) -> None:
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [StoppedError("the site is gone")])])

    monkeypatch.setattr("crawler.store.connect.database.open_for_reading", fails)
    told = run("status")

    assert (told.exit_code, told.stderr) == (4, "Error: the site is gone\n")
