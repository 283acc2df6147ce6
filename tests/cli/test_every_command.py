"""What every command has in common."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shellingham
import typer.main
from typer.testing import CliRunner

from crawler.cli.app import app, load
from crawler.cli.help import EXAMPLES, NOTES
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
    assert "<list[" not in told.stdout
    for words in ([*name.split(), "-h"], ["help", *name.split()]):
        assert run(*words).stdout == told.stdout
    before, _, examples = told.stdout.partition("\nExamples:\n")
    assert before
    assert any(f"lora-crawl {name}" in line for line in examples.splitlines())


@pytest.mark.parametrize("words", [[], ["db"]])
def test_the_help_cuts_no_line(run: Run, words: list[str]) -> None:
    told = run(*words, "--help").stdout

    assert run("help", *words).stdout == told == run(*words).output
    assert max(map(len, told.splitlines())) <= 80
    assert "..." not in told.replace("[ARGS]...", "")


def test_the_manual_page_has_every_command_option_and_example(run: Run) -> None:
    text = run("help", "--man").stdout
    assert text.isascii()
    plain = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\(ga", "`")

    for name, command in COMMANDS.items():
        assert f"\n.SS lora-crawl {name}\n" in plain
        for param in command.params:
            assert all(one in plain for one in getattr(param, "opts", ()) if one.startswith("-"))
    assert all(
        f"\n{line}\n" in plain
        for lines in EXAMPLES.values()
        for line in lines
        if lines is not EXAMPLES[""]
    )
    groff = shutil.which("groff")
    for device in ("ascii", "utf8") if groff else ():
        done = subprocess.run(
            [str(groff), "-man", "-ww", "-Kutf8", f"-T{device}"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""


def test_examples_are_there_for_every_command_and_no_other() -> None:
    assert set(EXAMPLES) == {"", "db", *COMMANDS}


def test_the_pages_that_the_help_names_are_there() -> None:
    pages = [line.split()[0] for line in NOTES["Learn more"] if line.startswith("docs/")]

    assert pages
    assert all((Path(__file__).parents[2] / page).is_file() for page in pages)


@pytest.mark.parametrize("words", [["nonsense"], ["help", "nonsense"], ["sync", "--nonsense"]])
def test_an_error_begins_alike_wherever_it_is_found(run: Run, words: list[str]) -> None:
    told = run(*words)

    assert told.exit_code == 2
    assert "\nError: No such " in told.stderr


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_help_shows_the_first_line_of_every_command(name: str) -> None:
    assert NAMED[name].help == load(name).help.partition("\n")[0]


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
@pytest.mark.parametrize(
    ("shell", "said"),
    [("dash", "no completion for dash"), ("nu", "no completion for nu"), (None, "not be found")],
)
def test_a_shell_without_completion_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, option: str, shell: str | None, said: str
) -> None:
    def detect() -> tuple[str, str]:
        if shell is None:
            raise shellingham.ShellDetectionFailure
        return shell, f"/bin/{shell}"

    monkeypatch.setattr(shellingham, "detect_shell", detect)

    told = run(option)

    assert told.exit_code == 2
    assert told.stdout == ""
    *_, error, advice = told.stderr.splitlines()
    assert error.startswith("Error: ")
    assert said in error
    assignment, _program = advice.split()
    name, _, value = assignment.partition("=")
    script = CliRunner().invoke(app, [], prog_name="lora-crawl", env={name: value}).stdout
    assert script.rstrip().endswith("complete -o default -F _lora_crawl_completion lora-crawl")


@pytest.mark.skipif(sys.platform == "win32", reason="programs are no symbolic links there")
@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _lora_crawl_completion lora-crawl"),
        ("zsh", "#compdef lora-crawl"),
        ("fish", "complete --command lora-crawl"),
        ("pwsh", "Register-ArgumentCompleter -Native -CommandName lora-crawl"),
    ],
)
def test_each_shell_gets_its_own_completion(tmp_path: Path, shell: str, line: str) -> None:
    """The parent is a Python that has the name of the shell."""
    parent = tmp_path / shell
    parent.symlink_to(Path(sys.executable).resolve())
    words = [sys.executable, "-m", "crawler", "--show-completion"]
    program = f"import subprocess; subprocess.run({words})"
    told = subprocess.run(
        [parent, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert line in told


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


@pytest.mark.parametrize(
    "words",
    [
        "import LONG --db DB",
        "db copy LONG new.db",
        "export LONG --db DB",
        "report LONG --db DB",
        "show LONG --db DB",
        "header LONG --db DB",
        "status --db LONG",
        "diff LONG LONG --db DB",
        "recipe LONG --db DB",
        "inspect LONG",
    ],
)
def test_a_path_that_cannot_be_looked_at_is_told(run: Run, database: str, words: str) -> None:
    long = f"./{'n' * 300}.safetensors"

    told = run(*({"LONG": long, "DB": database}.get(word, word) for word in words.split()))

    assert told.exit_code in {1, 2, 3}
    assert "unexpected" not in told.output
    assert "name too long" in told.output.lower()


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
