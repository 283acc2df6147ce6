"""Every example of docs/query.md is run, on both databases."""

import re
import shlex
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.query.fields import SHORT_NAMES, columns, grouping, measures, order
from crawler.query.parser import MAX_CONDITIONS, MAX_LENGTH, parse
from crawler.query.types import MAX_DEPTH
from crawler.store.read.search import Search, search, statement_text
from crawler.store.schema.fields import BY_NAME
from tests.query.expressions import ROWS
from tests.query.test_alike import found, store

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
PAIRS = re.findall(r"^\| `([a-z0-9_]+:[^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
QUOTED = [text for text in re.findall(r"`([^`\n]+)`", PAGE) if re.match(r"'(\d{4}|[+-]\d)", text)]
LENGTHS = [text for text in re.findall(r"`([^`\n]+)`", PAGE) if re.match(r"'\d+[a-z]", text)]


def test_the_page_has_examples() -> None:
    assert len(COMMANDS) > 20
    assert len(PAIRS) > 20
    assert len(QUOTED) > 5


def test_the_commands_run(engine: sa.Engine) -> None:
    store(engine, ROWS)
    with engine.connect() as connection:
        for command in COMMANDS:
            asked = meant(command)
            with search(connection, asked) as answer:
                assert all(len(row) == len(answer.columns) for row in answer.rows), command
            assert statement_text(connection, asked).startswith("SELECT "), command


def meant(command: str) -> Search:
    words = shlex.split(command)
    assert words[:2] == ["lora-crawl", "query"]
    options = {"--count": "", "--sql": ""}
    expression = []
    rest = iter(words[2:])
    for word in rest:
        if word in options:
            options[word] = "given"
        elif word.startswith("--"):
            options[word] = next(rest)
        else:
            expression.append(word)
    return Search(
        tree=parse(expression, BY_NAME),
        columns=columns(options.get("--columns", "file_id"), BY_NAME),
        medians=measures(options["--columns"], BY_NAME)
        if {"--columns", "--group-by"} <= {*options}
        else (),
        sort=order(options["--sort"], BY_NAME) if "--sort" in options else (),
        limit=int(options.get("--limit", 0)),
        offset=int(options.get("--offset", 0)),
        count=bool(options["--count"]),
        group_by=grouping(options["--group-by"], BY_NAME) if "--group-by" in options else (),
    )


def test_both_columns_of_the_table_give_the_same_rows(engine: sa.Engine) -> None:
    store(engine, ROWS)
    with engine.connect() as connection:
        for short, sql in PAIRS:
            left, right = (parse([text], BY_NAME) for text in (short, sql))
            assert found(connection, left) == found(connection, right), short


@pytest.mark.parametrize("date", QUOTED)
def test_a_date_is_one(date: str) -> None:
    assert parse([f"published_at >= {date}"], BY_NAME) is not None


@pytest.mark.parametrize("text", LENGTHS)
def test_a_length_of_time_is_one(text: str) -> None:
    assert parse([f"seconds_per_image > {text}"], BY_NAME) is not None


def test_the_short_names_are_all_there() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| `([a-z_]+)`[^|]*\|$", PAGE, re.MULTILINE)
    assert rows == list(SHORT_NAMES.items())


def test_the_limits_are_the_true_ones() -> None:
    assert f"{MAX_LENGTH:,} characters, {MAX_DEPTH} levels and {MAX_CONDITIONS} parts" in PAGE
