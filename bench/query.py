"""Questions to a database of many files, against the shell of SQLite: `python bench/query.py PLACE`.

python bench/make_database.py PLACE fills one with a million rows. For each question the shell runs the
statement that `--sql` prints, `lora-crawl query` runs as a command, and the same search runs inside
this process, opening of the database included. They take turns, and the ratios are of one round each.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crawler.query import fields
from crawler.query.parser import parse
from crawler.store.connect.database import open_for_reading
from crawler.store.read.search import Search, fill_rates, search, statement_text
from crawler.store.schema.fields import BY_NAME

#: What answers are held to: so many times the shell, and so many seconds for a page.
GOAL, GOAL_OF_SHOW = 1.3, 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a command and as a search."""

    name: str
    words: tuple[str, ...]
    asked: Search
    fields: tuple[str, ...] = ()


def question(
    name: str,
    *expr: str,
    sort: str = "",
    limit: int = 20,
    count: bool = False,
    group_by: str | None = None,
) -> Question:
    """Both spellings of one question."""
    words = [*expr, f"--limit={limit}"]
    words += [f"--sort={sort}"] if sort else []
    words += ["--count"] if count else []
    words += [f"--group-by={group_by}"] if group_by else []
    order = fields.order(sort, BY_NAME) if sort else ()
    asked = Search(
        tree=parse(expr, BY_NAME), sort=order, limit=limit, count=count, group_by=group_by
    )
    return Question(name, tuple(words), asked, tuple(field for field, _ in order))


QUESTIONS = (
    question("one file by its id", "file_id=777"),
    question("selective, sorted, first 20", "network_dim>64 and likes>5000", sort="-images_seen"),
    question("a text in names, sorted", "model_name like '%777%'", sort="-likes"),
    question("a third of all, sorted", "network_dim:16..32", sort="-images_seen,-likes"),
    question("no condition, sorted", sort="-likes"),
    question("counted", "network_dim>=64 and optimizer:Prodigy", count=True),
    question("counted by base model", group_by="base_model"),
    question("100,000 rows written", "likes>=1", limit=100_000),
)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def run(command: list[str], environment: Mapping[str, str], text: str = "") -> None:
    """A process from its start to its end, whose output is read and thrown away."""
    subprocess.run(
        command, input=text, env=environment, capture_output=True, check=True, encoding="utf-8"
    )


def inside(place: str, asked: Question) -> None:
    """What the command does once it has begun, but for writing the rows."""
    engine = open_for_reading(place)
    with engine.connect() as connection:
        with search(connection, asked.asked) as found:
            for _ in found.rows:
                pass
        fill_rates(connection, asked.fields)
    engine.dispose()


def statement(place: str, asked: Question) -> str:
    """What `--sql` prints."""
    engine = open_for_reading(place)
    with engine.connect() as connection:
        text = statement_text(connection, asked.asked)
    engine.dispose()
    return text


def measure(place: str, rounds: int, environment: Mapping[str, str]) -> None:
    """Print the table."""
    crawler = [sys.executable, "-m", "crawler"]
    start = [sys.executable, "-c", "import typer._adapters, sqlalchemy"]
    print(f"{'':39} {'times the shell':>16}")
    print(f"{'question':30} {'shell s':>8} {'inside':>7} {'command':>8}")
    for asked in QUESTIONS:
        works = {
            "shell": partial(
                run, ["sqlite3", "-readonly", place], environment, statement(place, asked)
            ),
            "inside": partial(inside, place, asked),
            "command": partial(run, [*crawler, "query", *asked.words, "--db", place], environment),
        }
        took = timed(works, rounds)
        ratios = {
            name: statistics.median(
                one / shell for one, shell in zip(took[name], took["shell"], strict=True)
            )
            for name in ("inside", "command")
        }
        shell = statistics.median(took["shell"])
        above = [name for name, ratio in ratios.items() if ratio > GOAL]
        print(
            f"{asked.name:30} {shell:8.3f} {ratios['inside']:7.2f} {ratios['command']:8.2f}"
            f"{'   above the goal: ' if above else ''}{', '.join(above)}"
        )
    works = {
        "show": partial(run, [*crawler, "show", "777", "--db", place], environment),
        "libraries": partial(run, start, environment),
    }
    took = timed(works, rounds)
    show, libraries = (statistics.median(took[name]) for name in ("show", "libraries"))
    print(f"show: {show:.2f} s, {'within' if show <= GOAL_OF_SHOW else 'above'} {GOAL_OF_SHOW} s;")
    print(f"Python with SQLAlchemy and Typer, doing nothing: {libraries:.2f} s")


def timed(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every work in every round; the first round, which fills caches, is left out."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            found = seconds(work)
            if number:
                took[name].append(found)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", help="the path of a SQLite database")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if shutil.which("sqlite3") is None:
        parser.error("the shell of SQLite is not installed")
    if options.rounds < 1:
        parser.error("at least one round")
    place = str(Path(options.place).absolute())
    with tempfile.TemporaryDirectory() as compiled:
        # Installed programs are compiled; so are these, whatever the shell's settings are.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        measure(place, options.rounds, environment)


if __name__ == "__main__":
    main()
