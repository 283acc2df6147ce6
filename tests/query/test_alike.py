"""Both databases against plain Python, and SQLite's own reading against ours."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.errors import QueryError
from crawler.query.parser import parse
from crawler.query.tree import Node
from crawler.store.read.search import Search, search, statement_text
from crawler.store.schema.fields import BY_NAME
from tests.query.expressions import EXTREME_ROWS, ROWS, conditions
from tests.query.reference import evaluate, overflows
from tests.stored import insert_loras

#: The rows are only read, so one database serves all examples.
READING = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def store(engine: sa.Engine, rows: Sequence[dict[str, Any]]) -> None:
    required = {"version_id": 1, "model_id": 1, "site": "local", "outcome": "decoded"}
    with engine.begin() as connection:
        insert_loras(
            connection,
            [{"file_id": i, "attempts": 1, **required, **row} for i, row in enumerate(rows)],
        )


def found(connection: sa.Connection, tree: Node | None) -> list[int]:
    asked = Search(tree=tree, columns=("file_id",), limit=0)
    with search(connection, asked) as answer:
        return [row[0] for row in answer.rows]


def tree_of(text: str) -> Node:
    tree = parse([text], BY_NAME)
    assert tree is not None
    return tree


def test_an_answer_is_what_the_condition_means(engine: sa.Engine) -> None:
    store(engine, ROWS)

    @READING
    @given(conditions(3))
    def check(text: str) -> None:
        tree = tree_of(text)
        expected = [i for i, row in enumerate(ROWS) if evaluate(tree, row) is True]
        assert found(connection, tree) == expected

    with engine.connect() as connection:
        check()


def test_unknown_is_kept_apart_from_false(engine: sa.Engine) -> None:
    """Asked for by itself, where a filter would not show the difference."""
    store(engine, ROWS)

    @READING
    @given(conditions(2))
    def check(text: str) -> None:
        tree = tree_of(f"({text}) is null")
        expected = [i for i, row in enumerate(ROWS) if evaluate(tree, row)]
        assert found(connection, tree) == expected

    with engine.connect() as connection:
        check()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_reads_the_same_text_alike(engine: sa.Engine) -> None:
    store(engine, ROWS)

    @READING
    @given(conditions(3, only_sql=True))
    def check(text: str) -> None:
        tree = tree_of(text)
        statement = f"SELECT file_id FROM loras WHERE {text} ORDER BY file_id"
        # Its own text goes to the driver as it is.
        cursor = connection.connection.cursor()
        cursor.execute(statement)
        assert found(connection, tree) == [row[0] for row in cursor.fetchall()]

    with engine.connect() as connection:
        check()


def test_only_an_overflow_may_differ(engine: sa.Engine) -> None:
    """PostgreSQL refuses arithmetic that leaves the range of numbers; everything else is alike."""
    store(engine, EXTREME_ROWS)

    @READING
    @given(conditions(3))
    def check(text: str) -> None:
        tree = tree_of(text)
        fine = [i for i, row in enumerate(EXTREME_ROWS) if not overflows(tree, row)]
        try:
            answer = found(connection, tree)
        except QueryError as error:
            connection.rollback()
            assert_refused(error, text)
            assert engine.dialect.name == "postgresql"
            assert len(fine) < len(EXTREME_ROWS)
        else:
            expected = [i for i in fine if evaluate(tree, EXTREME_ROWS[i]) is True]
            assert sorted({*answer} & {*fine}) == expected

    with engine.connect() as connection:
        check()


def assert_refused(error: QueryError, text: str) -> None:
    assert error.exit_code == 2
    assert "out of range" in error.message
    assert error.text == text
    assert error.start is not None
    assert {*text[error.start : error.end]} & {*"+-*/%"}


#: Both databases compute these for every row.
EXTREME_VALUES = (
    "seed * seed * seed * seed",
    "abs(seed)",
    "-seed",
    "seed / -1",
    "seed % -1",
    "seed + steps - network_dim",
    "(network_dim + 1) % 2.5",
    "round(network_alpha, 15)",
    "round(seed)",
)

#: PostgreSQL has no answer to these.
OVERFLOWS = (
    ("v2 or network_alpha * network_alpha > 1", "network_alpha * network_alpha"),
    ("unet_lr / network_alpha / network_alpha > 1", "unet_lr / network_alpha / network_alpha"),
    ("(unet_lr * 1e-300) > 1", "unet_lr * 1e-300"),
    ("network_alpha % 3 = 0", "network_alpha % 3"),
    (
        "unet_lr * unet_lr > 1 or nsfw or steps + 1 > 1",
        "unet_lr * unet_lr > 1 or nsfw or steps + 1",
    ),
)


def test_extremes_by_name(engine: sa.Engine) -> None:
    store(engine, EXTREME_ROWS)
    with engine.connect() as connection:
        for value in EXTREME_VALUES:
            tree = tree_of(f"({value}) is null or ({value}) >= 0 or ({value}) < 0")
            assert found(connection, tree) == list(range(len(EXTREME_ROWS))), value


@pytest.mark.parametrize(("text", "marked"), OVERFLOWS)
def test_an_overflow_is_marked(engine: sa.Engine, text: str, marked: str) -> None:
    store(engine, EXTREME_ROWS)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert found(connection, tree_of(text))
            return
        with pytest.raises(QueryError) as caught:
            found(connection, tree_of(text))
        assert_refused(caught.value, text)
        assert text[caught.value.start : caught.value.end] == marked
        connection.rollback()
        # The hint of the message works.
        ordinary = "abs(network_alpha) between 1e-9 and 1e9 and abs(unet_lr) between 1e-9 and 1e9"
        found(connection, tree_of(f"{ordinary} and ({text})"))


#: Whole numbers that a float holds and their neighbours, which it does not.
BIG_ROWS = [
    {"seed": seed, "steps": steps, "network_alpha": alpha, "unet_lr": 0.5}
    for seed in (2**53, 2**53 + 1, 2**63 - 1, -(2**63), 7)
    for steps in (2**53 + 1, 2**63 - 1, None)
    for alpha in (2.0**53, 2.0**63, 7.0, None)
]

BIG_VALUES = (
    "seed = network_alpha",
    "network_alpha <= seed",
    "seed in (steps, network_alpha)",
    "seed not in (network_alpha, 64)",
    "seed in (9007199254740993, 0.5)",
    "seed between network_alpha and steps",
    "seed between steps and 9.3e18",
    "round(seed) = seed",
    "coalesce(unet_lr, seed) < seed",
    "seed = 9007199254740993",
    "seed = steps",
)


def test_whole_and_broken_numbers_meet_as_floats(engine: sa.Engine) -> None:
    store(engine, BIG_ROWS)
    with engine.connect() as connection:
        for text in BIG_VALUES:
            tree = tree_of(text)
            expected = [i for i, row in enumerate(BIG_ROWS) if evaluate(tree, row) is True]
            assert found(connection, tree) == expected, text


@READING
@given(st.data())
def test_the_reference_knows_three_values(data: st.DataObject) -> None:
    """A condition, its negation and its being unknown divide all rows among them."""
    text = data.draw(conditions(2))
    texts = (text, f"not ({text})", f"({text}) is null")
    trees = [tree_of(each) for each in texts]
    for row in ROWS:
        assert [evaluate(tree, row) for tree in trees].count(True) == 1


HASHES = ("9910EF38", "0123", None)
HASH_ROWS = [
    {"sd_model_hash": one, "sd_model_sha256": one, "sha256": other}
    for one in HASHES
    for other in HASHES
]


def is_same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one == other.upper()


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("sd_model_hash = '9910EF38'", lambda row: is_same(row["sd_model_hash"], "9910ef38")),
        ("'9910eF38' = sd_model_hash", lambda row: is_same(row["sd_model_hash"], "9910ef38")),
        ("sha256 = '9910ef38'", lambda row: is_same(row["sha256"], "9910ef38")),
        (
            "sha256 != '9910ef38'",
            lambda row: row["sha256"] and not is_same(row["sha256"], "9910ef38"),
        ),
        ("not sha256 = '9910ef38'", lambda row: row["sha256"] == "0123"),
        ("sha256 in ('0123', '9910ef38')", lambda row: row["sha256"]),
        ("sha256 not in ('x', '9910ef38')", lambda row: row["sha256"] == "0123"),
        ("sha256 = sd_model_sha256", lambda row: is_same(row["sha256"], row["sd_model_sha256"])),
        (
            "sha256 in (sd_model_sha256, '0123')",
            lambda row: is_same(row["sha256"], row["sd_model_sha256"]) or row["sha256"] == "0123",
        ),
        ("sha256:9910ef*", lambda row: is_same(row["sha256"], "9910ef38")),
        ("(sha256 = 'x') is null", lambda row: row["sha256"] is None),
    ],
)
def test_hashes_are_compared_without_regard_to_case(
    engine: sa.Engine, text: str, matches: Callable[[dict[str, Any]], bool]
) -> None:
    store(engine, HASH_ROWS)
    expected = [at for at, row in enumerate(HASH_ROWS) if matches(row)]
    with engine.connect() as connection:
        assert found(connection, tree_of(text)) == expected
    assert expected


def test_a_hash_is_found_by_its_index(engine: sa.Engine) -> None:
    store(engine, HASH_ROWS)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        text = statement_text(connection, Search(tree=tree_of("sha256 = 'ab'"), sort=()))
        explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = connection.exec_driver_sql(f"{explain} {text}").all()
    assert "ix_loras_sha256" in str(plan)
