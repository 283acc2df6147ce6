"""Usual questions about few of many files are answered from an index, on both databases."""

import re
from itertools import pairwise

import pytest
import sqlalchemy as sa

from crawler.answers.conditions import tree_of
from crawler.store.read.search import Search, statement_on
from tests.conftest import Prepared
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


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_usual_question_walks_no_table(full: sa.Engine, question: str) -> None:
    text, count = QUESTIONS[question]
    asked = Search(tree=tree_of(text), count=count)
    is_server = full.dialect.name == "postgresql"
    statement = statement_on(full.dialect.name, asked).rstrip(";")

    with full.connect() as connection:
        if is_server:
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN" if is_server else "EXPLAIN QUERY PLAN"
        raw = {"no_parameters": True}
        rows = connection.exec_driver_sql(f"{explain} {statement}", execution_options=raw).all()

    plan = [str(row[-1]).strip() for row in rows]
    if question == "the first rows":  # in the order of the key, up to the limit
        assert plan[-1] == "SCAN loras" or "using pk_loras" in plan[-1]
        return
    assert [step for step in plan if walks(step)] == []
    for step, following in pairwise([*plan, ""]):
        # The whole key is an index too, which would be walked without a condition.
        assert not re.search("using pk_loras", step) or following.startswith("Index Cond"), plan
