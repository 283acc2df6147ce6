"""Measurements of answers over a large database, and of the start of the command."""

import sys
from functools import partial

from bench.measure import COMMANDS, MB, NOTHING, Bench, Line

#: Questions for `query`, by what they are.
QUESTIONS = {
    "few rows match": ("network_dim>64 and likes>5000", "--sort=-images_seen", "--limit=20"),
    "a third matches, sorted": ("network_dim:16..32", "--sort=-images_seen,-likes", "--limit=20"),
    "counted": ("network_dim>=64 and optimizer:Prodigy", "--count"),
}

#: Commands that read most of the database.
ANSWERS = (
    ("authors",),
    ("suggest", "--base-model", "Pony"),
    ("stats", "--by", "base_model"),
    ("status",),
)

#: Seconds and MB of one of them.
ANSWER_SECONDS, ANSWER_MB = 1.5, 200


def query(bench: Bench) -> list[Line]:
    """`query` beside sqlite-utils with the statement that `--sql` prints."""
    database = bench.million()
    lines = []
    for name, words in QUESTIONS.items():
        statement = bench.crawler("query", *words, "--sql", "--db", database).output
        line = bench.compared(
            f"`query` over {bench.sizes.million:,} files: {name}",
            partial(bench.crawler, "query", *words, "--db", database),
            "`sqlite-utils query` of `--sql`",
            partial(bench.run, COMMANDS / "sqlite-utils", "query", database, statement, "--tsv"),
            goal=1.3,
        )
        lines.append(line)
    return lines


def answers(bench: Bench) -> list[Line]:
    """Seconds and memory of the commands that read most of the database."""
    database = bench.million()
    lines = []
    for words in ANSWERS:
        costs = [bench.crawler(*words, "--db", database) for _ in range(bench.sizes.rounds)]
        what = f"`{' '.join(words)}` over {bench.sizes.million:,} files"
        seconds, peaks = [one.seconds for one in costs], [one.peak / MB for one in costs]
        lines.append(Line(what, NOTHING, seconds, ANSWER_SECONDS, unit="s"))
        lines.append(Line(f"memory of {what}", NOTHING, peaks, ANSWER_MB, unit="MB"))
    return lines


def start(bench: Bench) -> list[Line]:
    """`--help` and `--version` beside the import of Typer."""
    return [
        bench.compared(
            f"`{option}`",
            partial(bench.crawler, option),
            "`python -c 'import typer'`",
            partial(bench.run, sys.executable, "-c", "import typer"),
            goal=1.2,
        )
        for option in ("--help", "--version")
    ]
