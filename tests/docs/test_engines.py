"""docs/engines.md: each engine gives the answer of the command, over an export of each database."""

import importlib.util
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from tests.docs.conftest import run
from tests.docs.examples import ROOT, questions

PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")

QUESTIONS = questions(ROOT / "docs" / "engines.md")

Answer = Sequence[dict[str, Any]]

#: How the answer of each command becomes the rows of the engines.
ROWS: dict[str, Callable[[Answer], Iterable[Sequence[Any]]]] = {
    "How many files has each base model?": lambda answer: (
        (one["base_model"], one["count"]) for one in answer
    ),
    "Which optimizers are used for Pony?": lambda answer: (
        (one["optimizer"], one["count"]) for one in answer
    ),
    "Which rank is usual for each base model?": lambda answer: (
        (one["base_model"], one["count"], one["median_network_dim"]) for one in answer
    ),
    "Which learning rates are used with AdamW8bit?": lambda answer: (
        [one[name] for name in ("count", "quartile1", "median", "quartile3")] for one in answer
    ),
    "How did the rank change over the months?": lambda answer: (
        (*map(int, one["month"].split("-")), one["count"], one["median"])
        for one in answer
        if one["month"] is not None
    ),
}


def blocks(text: str, language: str, first: str = "") -> list[str]:
    """The blocks of a language, which begin with this line."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for block in found if block.startswith(first)]


#: The blocks behind each question.
PARTS = {
    heading: part
    for heading, _, part in (
        one.partition("\n") for one in re.split(r"^### ", PAGE, flags=re.MULTILINE)
    )
    if heading in QUESTIONS
}

SETUP, _, _ = PAGE.partition("## Ten questions")


def comparable(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    """Rows that compare equal if they are, in whatever order."""

    def plain(value: Any) -> Any:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return value if isinstance(value, str) else f"{float(value):.9g}"

    return sorted(tuple(map(plain, row)) for row in rows)


def by_duckdb(heading: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(blocks(SETUP, "sql")[0])
        (statement,) = blocks(PARTS[heading], "sql")
        return list(connection.execute(statement).fetchall())


def by_python(engine: str, heading: str) -> Any:
    names: dict[str, Any] = {}
    for block in (*blocks(SETUP, "python", engine), *blocks(PARTS[heading], "python", engine)):
        exec(block, names)
    return names["answer"]


@pytest.fixture
def catalogue(filled: sa.Engine) -> None:
    del filled
    told = run("export", "catalogue")
    assert told.exit_code == 0, told.stderr


def test_there_are_ten_questions() -> None:
    asked = {heading for heading, lines in QUESTIONS.items() if lines}
    assert len(asked & set(PARTS)) == 10
    assert set(ROWS) <= asked


@pytest.mark.usefixtures("catalogue")
def test_every_engine_gives_the_answer_of_the_command() -> None:
    for heading, lines in QUESTIONS.items():
        if not lines:
            continue
        line = lines[0]
        told = json.loads(run(*line.words, *(() if "--json" in line.words else ("--json",))).stdout)
        answer = told if isinstance(told, list) else [told]
        rows = ROWS.get(heading, lambda found: (one.values() for one in found))
        expected = comparable(rows(answer))
        assert expected, heading
        assert comparable(by_duckdb(heading)) == expected, heading
        assert comparable(by_python("# Polars", heading).rows()) == expected, heading
        if importlib.util.find_spec("pandas"):
            frame = by_python("# pandas", heading)
            found = comparable(frame.itertuples(index=False))
            assert found == expected, heading


@pytest.mark.usefixtures("catalogue")
def test_a_header_can_be_put_together() -> None:
    names: dict[str, Any] = {}
    (block,) = blocks(PAGE, "python", "# Header")
    exec(block, names)

    assert names["header"] == run("header", "726304").stdout_bytes
