"""Every command line of README.md and docs/ is run, and docs/questions.md answers what it asks."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import pytest
import sqlalchemy as sa
import typer.main

from crawler.cli.app import app
from crawler.cli.help import EXAMPLES
from crawler.store.schema.tables import loras
from tests.conftest import ON_SQLITE
from tests.docs.conftest import run
from tests.docs.examples import PAGES, ROOT, examples, questions

Row = Mapping[str, Any]

QUESTIONS = questions(ROOT / "docs" / "questions.md")

#: How a word that the reader replaces is replaced here. A path is one in the working folder.
STANDS_FOR = {
    "REF": "726304",
    "DIR": "written",
    "FOLDER": "mine",
    "PATH": "mine",
    "FILE_OR_URL": "mine/lantern.safetensors",
    "PATH_OR_URL": "mine/lantern.safetensors",
    "COMMAND": "query",
    "STATEMENT": "select count(*) from loras",
    "NAME": "Pony",
    "my-lora.safetensors": "mine/lantern.safetensors",
}

#: How the lines begin that are not run here, and why.
NOT_RUN = {
    "sync --limit 500 --sandbox": "takes its time; tests/cli/commands/test_sync.py runs a small one",
    "sync --limit 50": "asks civitai.com",
    "sync --nsfw --enqueue": "asks civitai.com",
    "sync --enqueue": "asks civitai.com",
    "worker ": "asks civitai.com; tests/cli/commands/test_worker.py runs it on a sandbox",
    "login ": "asks civitai.com",
    "logout ": "removes the key of the user",
    "sync --api-url ADDRESS": "needs a sandbox; tests/cli/commands/test_sync.py runs it on one",
    "import ": "needs what another has crawled; tests/share does",
    "sandbox ": "serves until it is stopped; tests/sandbox does",
    "serve ": "serves until it is stopped; tests/cli/commands/test_serve.py does",
    "db copy ": "needs two databases; tests/cli/commands/test_db_copy.py has them",
    "--install-completion": "changes the files of the shell",
}

#: Commands whose examples in the help are not run: they ask a site or others, or serve
#: until they are stopped.
HELP_NOT_RUN = {"", "sync", "worker", "import", "inspect", "sandbox", "serve", "mcp"}

#: What stands for files of the reader in the examples of the help.
HELP_STANDS_FOR = {"~/loras": "mine", "my-lora.safetensors": "mine/lantern.safetensors"}

#: What the public description of `query` promises, beside what docs/query.md shows.
PROMISED = (
    ["network_dim>64"],
    ["network_dim>=64 and optimizer='Prodigy'"],
    ["has(tags, '1girl')"],
    ["has(model_tags, 'character')"],
    ["has(trained_words, 'low_poly_style')"],
    ["published_at >= '2025-01'"],
    ["network_dim:65.."],
    ["network_dim:16..64"],
    ["optimizer:Prodigy"],
    ["optimizer:Lion,Prodigy"],
    ["optimizer:*w8*"],
    ["network_dim:65..", "optimizer like 'prod%' or not v2"],
    ["abs(network_alpha - network_dim) / 2 < 8", "upper(base_model) = 'PONY'"],
    ["--sort", "-images_seen,network_dim", "--columns", "file_id,images_seen"],
    ["--limit", "0"],
    ["--limit", "5", "--offset", "5"],
    ["x_is_no_field is null or network_dim>64"],
    ["--count"],
    ["--group-by", "optimizer"],
    *(["--format", name] for name in ("table", "json", "jsonl", "csv", "tsv", "markdown")),
    ["--json"],
    ["--safe-csv"],
    ["--sql", "network_dim>64"],
)

#: What some questions mean, in Python; a missing value matches nothing.
MEANT: dict[str, Callable[[Row], bool]] = {
    "Characters on Illustrious with under 40 images and over 100 likes": lambda row: (
        row["base_model"] == "Illustrious"
        and "character" in row["model_tags"]
        and (row["image_count"] or 40) < 40
        and (row["likes"] or 0) > 100
    ),
    "What was published since the beginning of 2026, the newest first": lambda row: (
        row["published_at"] is not None and row["published_at"] >= datetime(2026, 1, 1, tzinfo=UTC)
    ),
    "Everything by one creator": lambda row: row["creator"] == "lumensmith2",
    "LoRAs whose name I half remember": lambda row: "print" in row["model_name"].lower(),
    "Which settings do people use with Prodigy?": lambda row: row["optimizer"] == "Prodigy",
    "How many repeats, epochs and steps for 10 to 20 images?": lambda row: (
        10 <= (row["image_count"] or 0) <= 20
    ),
    "Who uses min-SNR weighting and a noise offset together?": lambda row: (
        row["min_snr_gamma"] is not None and (row["noise_offset"] or 0) > 0
    ),
    "At most an hour of training, and over 50 likes all the same": lambda row: (
        row["training_seconds"] is not None
        and row["training_seconds"] <= 3600
        and (row["likes"] or 0) > 50
    ),
    "LoRAs that saw each of their images more than 100 times": lambda row: (
        bool(row["image_count"]) and (row["images_seen"] or 0) // row["image_count"] > 100
    ),
}


def meant(words: tuple[str, ...]) -> list[str]:
    """The words with everything in place that the reader puts there; `[EXPR]...` is left out."""
    given = [word for word in words if not word.startswith("[")]
    return [STANDS_FOR.get(word.removesuffix("..."), word) for word in given]


def not_run(words: Sequence[str]) -> str | None:
    """How a line begins that is not run."""
    line = " ".join(words) + " "
    return next((begin for begin in NOT_RUN if line.startswith(begin)), None)


# The statements of both databases are tested one by one elsewhere.
@pytest.mark.parametrize(
    "backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
@pytest.mark.usefixtures("filled")
def test_every_line_of_the_pages_runs() -> None:
    ran = 0
    for page in PAGES:
        for example in examples(page):
            if example.is_name or not_run(example.words):
                continue
            words = meant(example.words)
            if "-o" in words:  # a folder that is not there yet, for each line
                words[words.index("-o") + 1] += f"-{ran}"
            if words[0] == "export":
                words[1] += f"-{ran}"
            if words[0] == "report":
                words.append("--force")
            result = run(*words)
            shown = f"{page.name}: {example.line}\n{result.stderr}"
            assert result.exit_code == 0, shown
            assert result.stdout or {"-o", "report"} & {*words}, shown
            ran += 1
    assert ran > 80


@ON_SQLITE
@pytest.mark.usefixtures("filled")
def test_the_examples_of_the_help_run() -> None:
    ran = 0
    for line in (one for name in EXAMPLES if name not in HELP_NOT_RUN for one in EXAMPLES[name]):
        words = list(takewhile(lambda word: word not in "|<>", shlex.split(line)))
        if words[0] != "lora-crawl" or words[-1] == "-" or not_run(words[1:]):
            continue
        result = run(*(HELP_STANDS_FOR.get(word, word) for word in words[1:]))
        assert result.exit_code == 0, f"{line}\n{result.stderr}"
        ran += 1
    assert ran > 30


def test_commands_named_in_a_sentence_are_there() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    named = {example.words[0] for page in PAGES for example in examples(page) if example.is_name}

    assert named - set(commands) == set()
    assert named


def test_there_are_thirty_questions_and_each_has_an_answer() -> None:
    assert len(QUESTIONS) == 30
    assert {heading for heading, lines in QUESTIONS.items() if len(lines) not in (1, 2)} == set()
    assert set(MEANT) - set(QUESTIONS) == set()


@ON_SQLITE
@pytest.mark.usefixtures("filled")
def test_both_spellings_of_a_question_give_the_same() -> None:
    pairs = {heading: lines for heading, lines in QUESTIONS.items() if len(lines) == 2}
    for heading, (sql, short) in pairs.items():
        assert sql.words != short.words, heading
        answer = run(*sql.words)
        assert answer.exit_code == 0, heading
        assert answer.stdout == run(*short.words).stdout, heading
    assert len(pairs) > 15


def test_the_answers_are_those_that_python_finds(filled: sa.Engine) -> None:
    with filled.connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(loras)).mappings()]
    for heading, matches in MEANT.items():
        words = QUESTIONS[heading][0].words
        answer = run(*words, "--columns", "file_id", "--limit", "0", "--json")
        found = {row["file_id"] for row in json.loads(answer.stdout)}
        assert found == {row["file_id"] for row in rows if matches(row)}, heading
        assert found, heading


def test_a_limit_takes_the_most_of_a_column(filled: sa.Engine) -> None:
    words = QUESTIONS["Which LoRAs were trained the longest?"][0].words
    answer = json.loads(run(*words, "--json").stdout)
    with filled.connect() as connection:
        known = connection.scalars(
            sa.select(loras.c.images_seen).where(loras.c.images_seen.is_not(None))
        ).all()

    assert [row["images_seen"] for row in answer] == sorted(known, reverse=True)[:10]


@pytest.mark.usefixtures("filled")
def test_every_tag_of_the_sql_is_counted() -> None:
    (line,) = QUESTIONS["Which caption tags are in the most LoRAs?"]
    answer = json.loads(run(*line.words, "--json").stdout)
    assert len(answer) == 20
    for row in answer[:3]:
        assert run("query", f"tags:'{row['name']}'", "--count").stdout == f"{row['files']}\n"
        assert row["captions"] >= row["files"]


@ON_SQLITE
@pytest.mark.usefixtures("filled")
def test_the_promises_of_query_hold() -> None:
    for words in PROMISED:
        result = run("query", *words)
        unknown = any("x_is_no_field" in word for word in words)
        assert result.exit_code == (2 if unknown else 0), (words, result.stderr)
        assert bool(result.stdout) is not unknown, words
        if unknown:
            assert "\n^^^^^^^^^^^^^\n" in result.stderr


def test_each_reason_not_to_run_a_line_is_needed() -> None:
    met = {not_run(one.words) for page in PAGES for one in examples(page)}

    assert set(NOT_RUN) - met == set()
