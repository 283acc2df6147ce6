"""Usual questions about few of many files are answered from an index, on both databases."""

import re
from itertools import pairwise

import pytest
import sqlalchemy as sa

from crawler.answers.conditions import tree_of
from crawler.store.read.search import Search, statement_on
from tests.conftest import ON_POSTGRESQL, Prepared
from tests.sync.test_statements import _store_rows, walks

#: By what they are: a condition, and whether the rows are counted.
QUESTIONS = {
    "the first rows": ("", False),
    "a creator": ("creator = 'stonecutter'", False),
    "a model": ("model_id = 5", False),
    "a hash": ("sha256 = 'abcdef0123456789'", False),
    "a caption tag": ("has(tags, '1girl')", False),
    "a base model, counted": ("base_model = 'Pony'", True),
    "what is gone, counted": ("gone_at is not null", True),
}


@pytest.fixture
def full(prepared: Prepared) -> sa.Engine:
    return prepared("many_rows", _store_rows)


def plan_of(engine: sa.Engine, asked: Search) -> list[str]:
    """The steps that the database would take, without regard to how small the table is."""
    is_server = engine.dialect.name == "postgresql"
    statement = statement_on(engine.dialect.name, asked).rstrip(";")
    with engine.connect() as connection:
        if is_server:
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN" if is_server else "EXPLAIN QUERY PLAN"
        raw = {"no_parameters": True}
        rows = connection.exec_driver_sql(f"{explain} {statement}", execution_options=raw).all()
    return [str(row[-1]).strip() for row in rows]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_usual_question_walks_no_table(full: sa.Engine, question: str) -> None:
    text, count = QUESTIONS[question]

    plan = plan_of(full, Search(tree=tree_of(text), count=count))

    if question == "the first rows":  # in the order of the key, up to the limit
        assert plan[-1] == "SCAN loras" or "using pk_loras" in plan[-1]
        return
    assert [step for step in plan if walks(step)] == []
    for step, following in pairwise([*plan, ""]):
        # The whole key is an index too, which would be walked without a condition.
        assert not re.search("using pk_loras", step) or following.startswith("Index Cond"), plan


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("text", "sort", "index"),
    [
        ("creator:stonecutter", "", "lower_creator"),
        ("creator like 'Stone%'", "", "lower_creator"),
        ("has(model_tags, 'style')", "", "model_tags"),
        ("trained_words:marble", "", "trained_words"),
        ("base_model:Pony", "likes", "likes"),
        ("", "published_at", "published_at"),
    ],
)
def test_a_usual_question_has_its_index_on_postgresql(
    full: sa.Engine, text: str, sort: str, index: str
) -> None:
    asked = Search(tree=tree_of(text), sort=((sort, True),) if sort else (), count=not sort)

    assert f"ix_loras_{index}" in " ".join(plan_of(full, asked))
