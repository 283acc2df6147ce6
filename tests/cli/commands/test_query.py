"""`query` as a command: options, formats and what goes where. Its language is tested elsewhere."""

import csv
import io
import json
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from crawler.answers.visible import visible
from crawler.cli.app import app
from crawler.cli.options import complete_field
from crawler.query.fields import SHORT_NAMES
from crawler.store.read.search import DEFAULT_COLUMNS
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import loras
from tests.cli.conftest import HOSTILE_NAME
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE
from tests.faces import backend
from tests.stored import as_user

__all__ = ["backend"]

#: A command whose completion is asked for without a database.
CONTEXT = typer.Context(typer.main.get_command(app))


def ids(stdout: str) -> list[int]:
    return [row["file_id"] for row in json.loads(stdout)]


def test_rows_in_a_pipe_are_tsv(run: Run, database: str) -> None:
    result = run("query", "network_dim>=64", "--columns", "file_id,network_dim", "--db", database)
    assert result.exit_code == 0
    assert result.stdout == "file_id\tnetwork_dim\n5\t64\n6\t128\n"
    assert result.stderr == ""


def test_both_spellings_and_several_words(run: Run, database: str) -> None:
    words = ["network_dim:16..64", "optimizer = 'AdamW8bit'", "file_id<>2"]
    assert ids(run("query", *words, "--json", "--db", database).stdout) == [3, 4, 5]


def test_sort_limit_and_offset(run: Run, database: str) -> None:
    result = run(
        "query", "--sort", "-network_dim,-file_id", "--limit", "3", "--offset", "1",
        "--columns", "file_id", "--format", "tsv", "--db", database,
    )  # fmt: skip
    assert result.stdout == "file_id\n5\n4\n3\n"
    assert "first 3 rows; --limit 0 shows all, --count counts the matches\n" in result.stderr


def test_an_answer_that_is_whole_says_nothing(run: Run, database: str) -> None:
    for limit in ("0", "8", "50"):
        result = run("query", "--limit", limit, "--columns", "file_id", "--db", database)
        assert len(result.stdout.splitlines()) == 9
        assert result.stderr == ""


def test_a_table_has_a_footer_unless_quiet(run: Run, database: str) -> None:
    words = ("query", "network_dim>=64", "--format", "table", "--db", database)
    loud, quiet, first = run(*words), run(*words, "-q"), run("-q", *words)
    assert loud.stderr == "2 rows\n"
    assert quiet.stderr == first.stderr == ""
    assert loud.stdout == quiet.stdout == first.stdout
    assert loud.stdout.splitlines()[0].split()[:2] == ["file_id", "model_name"]


def test_quiet_hides_what_the_limit_left_out(run: Run, database: str) -> None:
    result = run("query", "--limit", "1", "-q", "--db", database)
    assert result.stderr == ""


def test_all_columns(run: Run, database: str) -> None:
    for every in ("all", "*"):
        result = run("query", "file_id=6", "--columns", every, "--json", "--db", database)
        (row,) = json.loads(result.stdout)
        assert list(row) == [field.name for field in FIELDS]
        assert row["is_primary"] is True
        assert row["model_tags"] == ["style", "stone"]
        assert row["published_at"] == "2025-01-02T03:04:05.678000Z"
        assert row["learning_rate"] == 0.0001


@ON_SQLITE
@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_a_reader_that_has_seen_enough(database: str, form: str) -> None:
    words = ["query", "--columns", "all", "--limit", "3", "--format", form, "--db", database]
    with subprocess.Popen(
        [sys.executable, "-m", "crawler", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@ON_SQLITE
def test_an_answer_that_finds_no_room(database: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crawler", "query", "--db", database],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write the result: No space left on device\n"


def test_count_is_a_number_alone(run: Run, database: str) -> None:
    assert run("query", "network_dim:32", "--count", "--db", database).stdout == "2\n"
    assert run("query", "--count", "--limit", "1", "--db", database).stdout == "8\n"
    result = run("query", "network_dim:32", "--count", "--json", "--db", database)
    assert json.loads(result.stdout) == [{"count": 2}]


def test_groups(run: Run, database: str) -> None:
    result = run("query", "--group-by", "network_dim", "--limit", "2", "--db", database)
    assert result.stdout.splitlines() == [
        "network_dim\tcount\tshare\tmedian_likes",
        "32\t2\t0.25\t10.0",
        "\t2\t0.25\t10.0",
    ]
    assert "first 2 groups; --limit 0 shows all" in result.stderr
    words = ("query", "--group-by", "base_model,rank", "--columns", "steps", "--db", database)
    lines = run(*words, "-f", "table").stdout.splitlines()
    assert lines[0].split() == [
        *("base_model", "network_dim", "count", "share", "median_likes", "median_steps"),
    ]
    assert lines[1].split() == ["Pony", "32", "2", "25%", "10", "1,200"]


def test_options_that_change_nothing_are_told(run: Run, database: str) -> None:
    plain = run("query", "--group-by", "network_dim", "--db", database)
    sorted_ = run("query", "--group-by", "network_dim", "--sort", "network_dim", "--db", database)
    shown = run("query", "--count", "--columns", "file_id", "--db", database)

    assert plain.stderr == ""
    assert sorted_.stdout == plain.stdout
    assert sorted_.stderr == "--sort has no effect when rows are counted\n"
    assert (shown.stdout, shown.stderr) == (
        "8\n",
        "--columns has no effect when rows are counted\n",
    )


def test_sparse_fields_are_named(run: Run, database: str) -> None:
    result = run("query", "noise_offset>0.05", "reason is null", "--db", database)
    assert result.exit_code == 0
    assert "no row has noise_offset\n" in result.stderr
    assert "only 12% of rows have reason\n" in result.stderr
    assert "network_dim" not in run("query", "network_dim>4", "--db", database).stderr


def test_what_cannot_be_understood_gets_a_caret(run: Run, database: str) -> None:
    for words in (
        ["network_dmi>64"],
        ["network_dim>'abc'"],
        ["network_dim>"],
        ['model_name="Prodigy"'],
        ["--sort", "nothing"],
        ["--columns", "file_id,file_id"],
        ["--group-by", "model_tags"],
        ["1; drop table loras"],
    ):
        result = run("query", *words, "--db", database)
        assert (result.exit_code, result.stdout) == (2, ""), words
        assert result.stderr.startswith("Error: ")
        assert "^" in result.stderr


def test_a_bad_expression_needs_no_database_to_be_told(run: Run, tmp_path: Path) -> None:
    result = run("query", "network_dmi>64", "--db", str(tmp_path / "none.db"))
    assert result.exit_code == 2
    assert "network_dim" in result.stderr


def test_options_that_make_no_sense(run: Run, database: str) -> None:
    for words in (
        ["--count", "--group-by", "optimizer"],
        ["--json", "--format", "csv"],
        ["--safe-csv", "--json"],
        ["--limit", "-1"],
        ["--format", "xml"],
    ):
        result = run("query", *words, "--db", database)
        assert (result.exit_code, result.stdout) == (2, ""), words


def test_no_database(run: Run, tmp_path: Path) -> None:
    result = run("query", "--db", str(tmp_path / "none.db"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert not (tmp_path / "none.db").exists()


def test_hostile_names_in_every_format(run: Run, database: str) -> None:
    for form in ("table", "tsv", "csv", "markdown", "json", "jsonl"):
        words = ("query", "file_id=3", "--format", form, "--columns", "model_name")
        out = run(*words, "--db", database).stdout
        assert all(visible(line) == line for line in out.splitlines())
    name = json.loads(out)["model_name"]
    assert name == HOSTILE_NAME
    safe = ("query", "file_id=3", "--safe-csv", "--columns", "model_name,file_id")
    rows = list(csv.reader(io.StringIO(run(*safe, "--db", database).stdout)))
    assert rows[1] == [r"'=1+1 \x1b[31m[red]Marble\u202e", "3"]


def test_the_statement_is_ready_to_paste(run: Run, database: str, backend: str) -> None:
    words = ("query", "network_dim>=64", "--columns", "file_id,network_dim")
    statement = run(*words, "--sql", "--db", database).stdout
    if backend == "sqlite":
        path = database.removeprefix("sqlite+pysqlite:///")
        with sqlite3.connect(path) as connection:
            assert connection.execute(statement).fetchall() == [(5, 64), (6, 128)]
        connection.close()
    else:
        result = run("sql", "-", "--db", as_user(database, "reader"), text=statement)
        assert result.stdout == "file_id\tnetwork_dim\n5\t64\n6\t128\n"


def test_verbose_tells_the_statement(run: Run, database: str) -> None:
    result = run("query", "network_dim>=64", "-v", "--db", database)
    assert "SELECT" in result.stderr
    assert "SELECT" not in result.stdout


def completed(shell: str, words: list[str]) -> str:
    """What the shell is told when the last word is to be completed."""
    line = " ".join(["lora-crawl", *words])
    asked = {
        "_LORA_CRAWL_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    return CliRunner().invoke(app, [], prog_name="lora-crawl", env=asked).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["query", "network_di"], "network_dim"),
        (["query", "network_dim:64..", "opti"], "optimizer"),
        (["query", "--columns", "file_id,network_di"], "file_id,network_dim"),
        (["query", "--sort", "images_s"], "images_seen"),
        (["query", "--sort", "steps,-images_s"], "steps,-images_seen"),
        (["query", "--group-by", "opti"], "optimizer"),
        (["fields", "network_di"], "network_dim"),
    ],
)
def test_the_shell_completes_fields(shell: str, words: list[str], expected: str) -> None:
    assert expected in completed(shell, words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer='adamw8bit'"], "no row has optimizer 'adamw8bit'; did you mean 'AdamW8bit'?"),
        (["optimizer:qqqq"], "no row has optimizer 'qqqq'; the most frequent are 'AdamW8bit'"),
        (["has(tags, 'girl')"], "no row has 'girl' in tags; did you mean '1girl'?"),
        (["tags:1*l"], "members are compared as a whole; did you mean '1girl'?"),
        (["optimizer:adamw"], "did you mean 'AdamW8bit'? optimizer:*adamw* finds it as a part"),
        (["other_settings.nothing:x"], "no row has other_settings.nothing"),
    ],
)
def test_an_empty_answer_says_why_on_stderr(
    run: Run, database: str, words: list[str], said: str
) -> None:
    for more in ([], ["--count"], ["--json"], ["--group-by", "optimizer"]):
        asked = run("query", *words, *more, "--db", database)
        assert asked.exit_code == 0
        assert said in asked.stderr, more
    assert run("query", *words, "--db", database, "-q").stderr == ""
    for command in ("stats", "authors"):
        assert (
            said.split("; ", maxsplit=1)[0]
            in run(command, "--where", words[0], "--db", database).stderr
        )


def test_an_answer_with_rows_and_one_behind_the_last_row_explain_nothing(
    run: Run, database: str
) -> None:
    for words in (["optimizer:adamw8bit"], ["optimizer:adamw8bit", "--offset", "100"]):
        assert "no row" not in run("query", *words, "--db", database).stderr


def test_a_missing_key_gets_the_nearest_one(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        keys = {"weight_decay": 0.1, "d coef": 2}
        connection.execute(sa.update(loras).values(optimizer_args=keys))
    asked = run("query", "optimizer_args.weight_decy > 0", "--db", database)
    assert "no row has optimizer_args.weight_decy; did you mean optimizer_args.weight_decay?" in (
        asked.stderr
    )
    asked = run("query", "optimizer_args.d_coef > 0", "--db", database)
    assert "did you mean optimizer_args.'d coef'?" in asked.stderr


def test_the_fields_of_the_order_are_shown_unless_columns_are_chosen(
    run: Run, database: str
) -> None:
    words = ("query", "--sort", "-likes,rank", "--db", database)
    assert run(*words).stdout.splitlines()[0].split("\t") == [*DEFAULT_COLUMNS, "likes"]
    chosen = run(*words, "--columns", "file_id,rank")
    assert chosen.stdout.splitlines()[0] == "file_id\tnetwork_dim"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["query", "optimizer_args.wei"], "optimizer_args.weight_decay"),
        (["query", "--sort", "steps,-optimizer_args.dec"], "steps,-optimizer_args.decouple"),
        (["query", "steps:2..", "optimizer_args."], "optimizer_args.weight_decay"),
        (["query", "optimizer.x"], ""),
    ],
)
def test_the_shell_completes_keys_of_the_database(
    stocked: sa.Engine,
    database: str,
    words: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stocked.begin() as connection:
        keys = {"weight_decay": 0.1, "decouple": True}
        connection.execute(sa.update(loras).values(optimizer_args=keys))
    monkeypatch.setenv("LORA_CRAWL_DB", database)
    found = completed("bash", words)
    assert expected in found.splitlines() if expected else not found.strip()


def test_keys_without_a_database_are_not_completed(tmp_path: Path) -> None:
    context = typer.Context(typer.main.get_command(app))
    context.params["db"] = str(tmp_path / "none.db")
    assert complete_field(context, "optimizer_args.wei") == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [
        ("bash", ["query", "--sort", "-images_seen_"], ["-images_seen_is_lower_bound"]),
        ("bash", ["query", "optimizer", ":"], ["AdamW8bit"]),
        ("bash", ["query", "optimizer", ":", "ad"], ["AdamW8bit"]),
        ("bash", ["query", "optimizer", ":", "Lion,ad"], ["Lion,AdamW8bit"]),
        ("bash", ["query", "optimizer:ad"], ["optimizer:AdamW8bit"]),  # in quotes
        ("bash", ["query", "model_name", ":"], ["Marble"]),  # and not HOSTILE_NAME
        ("bash", ["suggest", "--base-model", "p"], ["Pony"]),
        ("bash", ["query", "steps", ":", "1"], [""]),
        ("bash", ["help", "db", "ch"], ["check"]),
        ("fish", ["query", "optimizer:Lion,Ad"], ["optimizer:Lion,AdamW8bit"]),
        ("fish", ["sync", "--base-model", "Po"], ["Pony"]),
    ],
)
def test_values_and_columns_are_completed(
    database: str, monkeypatch: pytest.MonkeyPatch, shell: str, words: list[str], offered: list[str]
) -> None:
    monkeypatch.setenv("LORA_CRAWL_DB", database)
    monkeypatch.setenv("_LORA_CRAWL_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", shlex.join(["lora-crawl", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", shlex.join(["lora-crawl", *words]))
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")

    told = CliRunner().invoke(app, [], prog_name="lora-crawl").stdout

    assert [line.split("\t")[0] for line in told.splitlines()] == offered


def test_a_condition_is_completed_at_its_end() -> None:
    assert [name for name, _ in complete_field(CONTEXT, "network_dim>64 and optimizer_p")] == [
        "network_dim>64 and optimizer_path"
    ]
    assert complete_field(CONTEXT, "network_dim>") == []
    assert len(complete_field(CONTEXT, "")) == len(FIELDS) + len(SHORT_NAMES)
    assert complete_field(CONTEXT, "network_dim>64 and te_l") == [
        ("network_dim>64 and te_lr", "short for text_encoder_lr")
    ]
