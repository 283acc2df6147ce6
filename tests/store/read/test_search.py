"""Rows found, sorted, counted, grouped; and the statement that finds them, run as text."""

import contextlib
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.query.parser import parse
from crawler.store.read.search import (
    DEFAULT_COLUMNS,
    Search,
    condition_on,
    search,
    sparse_fields,
    statement_text,
)
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import field_stats, file_tags, loras, tags
from tests.conftest import Prepared
from tests.query.test_alike import store
from tests.stored import insert_loras

SPRING = datetime(2025, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)

#: file_id -> what differs from row to row.
ROWS: dict[int, dict[str, Any]] = {
    -3: {"network_dim": 128, "optimizer": "prodigy", "v2": True, "images_seen": 10},
    1: {"network_dim": 64, "optimizer": "Prodigy", "v2": False, "published_at": SPRING},
    2: {"network_dim": 16, "optimizer": "PRODIGY", "model_tags": ["character", "it's"]},
    3: {"network_dim": None, "optimizer": None, "model_tags": [], "text_encoder_lrs": [1e-5, 5]},
    4: {"network_dim": 65, "optimizer": "Ärger 100%", "tag_count": 0, "images_seen": 10},
    5: {"network_dim": 64, "optimizer": "ärger\n\\'", "tag_count": 2, "images_seen": 30},
}


def _fill(engine: sa.Engine) -> None:
    required = {"version_id": 1, "model_id": 1, "site": "civitai", "outcome": "decoded"}
    with engine.begin() as connection:
        for file_id, row in ROWS.items():
            values = {"file_id": file_id, "attempts": 1, **required, **row}
            insert_loras(connection, [values])
        connection.execute(tags.insert(), [{"tag_id": 7, "name": "1girl"}])
        connection.execute(
            file_tags.insert(),
            [{"file_id": 5, "directory_number": n, "tag_id": 7, "count": 3} for n in (0, 1)],
        )


@pytest.fixture
def filled(prepared: Prepared) -> sa.Engine:
    return prepared("searched", _fill)


def rows(engine: sa.Engine, *words: str, **options: Any) -> list[tuple[Any, ...]]:
    asked = Search(tree=parse(words, BY_NAME), **options)
    with engine.connect() as connection, search(connection, asked) as answer:
        return list(answer.rows)


def ids(engine: sa.Engine, *words: str, **options: Any) -> list[int]:
    return [row[0] for row in rows(engine, *words, columns=("file_id",), **options)]


CONDITIONS: tuple[tuple[list[str], list[int]], ...] = (
    ([], [-3, 1, 2, 3, 4, 5]),
    (["network_dim>64"], [-3, 4]),
    (["not network_dim>64"], [1, 2, 5]),
    (["network_dim != 64"], [-3, 2, 4]),
    (["network_dim is null"], [3]),
    (["network_dim:65.."], [-3, 4]),
    (["network_dim:16..64"], [1, 2, 5]),
    (["optimizer:Prodigy"], [-3, 1, 2]),
    (["optimizer = 'Prodigy'"], [1]),
    (["optimizer:Lion,Prodigy", "network_dim>16"], [-3, 1]),
    (["optimizer like 'ä%'"], [5]),
    (["optimizer:ä*"], [5]),
    (["optimizer:*100%"], [4]),
    (["optimizer like '%\\%'"], [5]),
    (["optimizer:*\\\\'"], []),
    (["optimizer:*\\'"], [5]),
    (["optimizer > 'Z'"], [-3, 4, 5]),
    (["optimizer < 'a'"], [1, 2]),
    (["optimizer between 'Prodigy' and 'prodigy'"], [-3, 1]),
    (["optimizer not between 'Prodigy' and lower(optimizer)"], [2]),
    (["'Q' between upper('p') and optimizer"], [-3, 4, 5]),
    (["lower(optimizer) = 'prodigy'"], [-3, 1, 2]),
    (["upper(optimizer) like 'äRGER%'"], [5]),
    (["length(optimizer) = 10"], [4]),
    (["published_at >= '2025-01'"], [1]),
    (["published_at < '2025-03-01T12:30:00.250001'"], [1]),
    (["published_at > '2025-03-01 12:30:00.25'"], []),
    (["published_at = '2025-03-01T13:30:00.25+01:00'"], [1]),
    (["published_at:2025-03"], [1]),
    (["published_at:..2025-03"], []),
    (["has(tags, '1girl')"], [5]),
    (["not has(tags, '1girl')"], [4]),
    (["has(tags, '1Girl')"], []),
    (["has(tags, '1girl') is null"], [-3, 1, 2, 3]),
    (["has(model_tags, 'character')"], [2]),
    (["model_tags:'it''s'"], [2]),
    (["not has(model_tags, 'character')"], [3]),
    (["has(text_encoder_lrs, 1e-5)"], [3]),
    (["text_encoder_lrs:5"], [3]),
    (["has(text_encoder_lrs, '5')"], []),
    (["has(trained_words, 'x') or v2"], [-3]),
    (["v2"], [-3]),
    (["not v2"], [1]),
    (["v2 is not true"], [1, 2, 3, 4, 5]),
    (["coalesce(v2, false) = false"], [1, 2, 3, 4, 5]),
    (["network_dim / 0 = 1 or network_dim % 0 = 1"], []),
    (["network_dim / 10 = 6"], [1, 4, 5]),
    (["-network_dim / 10 = -6"], [1, 4, 5]),
    (["-network_dim % 10 = -4"], [1, 5]),
    (["network_dim / 10.0 = 6.5"], [4]),
    (["round(network_dim / 2.0) = 33"], [4]),
    (["round(-network_dim / 2.0) = -33"], [4]),
    (["file_id:-3"], [-3]),
    (["true"], [-3, 1, 2, 3, 4, 5]),
    (["false or 1 = 2"], []),
    (["network_dim in (16, 64.5, 128)"], [-3, 2]),
    (["network_dim not in (16, 64)"], [-3, 4]),
    (["network_dim between 64 and images_seen + 55"], [4, 5]),
    (["network_dim", ">", "64"], [-3, 4]),
)


def test_conditions(filled: sa.Engine) -> None:
    found = {" ".join(words): ids(filled, *words) for words, _ in CONDITIONS}
    assert found == {" ".join(words): expected for words, expected in CONDITIONS}


def test_missing_values_come_last_and_ties_go_by_file_id(filled: sa.Engine) -> None:
    assert ids(filled, sort=(("network_dim", True),)) == [-3, 4, 1, 5, 2, 3]
    assert ids(filled, sort=(("network_dim", False),)) == [2, 1, 5, 4, -3, 3]
    assert ids(filled, sort=(("images_seen", True), ("network_dim", False))) == [5, 4, -3, 2, 1, 3]
    assert ids(filled, sort=(("file_id", True),)) == [5, 4, 3, 2, 1, -3]
    assert ids(filled, sort=(("optimizer", False),)) == [2, 1, -3, 4, 5, 3]


def test_limit_and_offset(filled: sa.Engine) -> None:
    assert ids(filled, limit=2) == [-3, 1]
    assert ids(filled, limit=2, offset=5) == [5]
    assert ids(filled, limit=0, offset=4) == [4, 5]
    assert ids(filled, limit=0) == [-3, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"offset": -1}, {"limit": 2**63}])
def test_a_limit_that_is_none(filled: sa.Engine, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="whole numbers from 0"):
        ids(filled, **wrong)


def test_values_come_typed(filled: sa.Engine) -> None:
    columns = ("file_id", "published_at", "v2", "model_tags", "optimizer")
    assert rows(filled, "file_id in (1, 2)", columns=columns) == [
        (1, SPRING, False, None, "Prodigy"),
        (2, None, None, ["character", "it's"], "PRODIGY"),
    ]


def test_the_default_columns_are_fields(filled: sa.Engine) -> None:
    with filled.connect() as connection, search(connection, Search()) as answer:
        assert answer.columns == DEFAULT_COLUMNS
        assert set(DEFAULT_COLUMNS) <= set(BY_NAME)


def test_counting(filled: sa.Engine) -> None:
    assert rows(filled, "network_dim:64..", count=True, limit=1, offset=3) == [(4,)]
    assert rows(filled, "network_dim < 0", count=True) == [(0,)]


def test_groups_are_the_most_frequent_first(filled: sa.Engine) -> None:
    found = rows(filled, group_by=("network_dim",))
    assert [row[:2] for row in found] == [(64, 2), (16, 1), (65, 1), (128, 1), (None, 1)]
    assert [row[2] for row in found] == pytest.approx([2 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
    found = rows(filled, "v2 or not v2", group_by=("v2",))
    assert [row[:3] for row in found] == [(False, 1, 0.5), (True, 1, 0.5)]
    found = rows(filled, group_by=("network_dim",), limit=1, offset=1)
    assert [row[:2] for row in found] == [(16, 1)]
    asked = Search(group_by=("optimizer",), medians=("steps",))
    with filled.connect() as connection, search(connection, asked) as answer:
        assert answer.columns == ("optimizer", "count", "share", "median_likes", "median_steps")


#: Likes and steps of rows by optimizer and v2.
MEASURED = (
    ("Lion", True, 1, 10),
    ("Lion", True, 5, 20),
    ("Lion", True, 100, None),
    ("Lion", False, None, 7),
    ("Lion", False, None, 8),
    ("AdamW", None, 4, 2**60),
    (None, None, 0, None),
)


def test_groups_have_the_medians_of_numbers(engine: sa.Engine) -> None:
    """Of several fields together, with values that are missing; numbers of keys too."""
    store(
        engine,
        [
            {
                "optimizer": optimizer,
                "v2": v2,
                "likes": likes,
                "steps": steps,
                "optimizer_args": {"d_coef": str(steps) if v2 else steps},
            }
            for optimizer, v2, likes, steps in MEASURED
        ],
    )
    medians = ("steps", "likes", "optimizer_args.d_coef")
    assert rows(engine, group_by=("optimizer", "v2"), medians=medians) == [
        ("Lion", True, 3, 3 / 7, 5.0, 15.0, 15.0),
        ("Lion", False, 2, 2 / 7, None, 7.5, 7.5),
        ("AdamW", None, 1, 1 / 7, 4.0, 2.0**60, 2.0**60),
        (None, None, 1, 1 / 7, 0.0, None, None),
    ]
    found = rows(engine, "likes >= 1", group_by=("optimizer_args.d_coef",))
    assert [row[:2] for row in found] == [("10", 1), ("20", 1), (2**60, 1), ("None", 1)]
    assert rows(engine, "likes > 1000", group_by=("optimizer",)) == []


def test_two_answers_at_once(filled: sa.Engine) -> None:
    """A command counts the rows while it still reads some."""
    asked = Search(columns=("file_id",), limit=0)
    with filled.connect() as connection, search(connection, asked) as first:
        assert next(first.rows) == (-3,)
        with search(connection, Search(count=True)) as second:
            assert list(second.rows) == [(6,)]
        assert [row[0] for row in first.rows] == [1, 2, 3, 4, 5]


def test_reading_may_stop_early(filled: sa.Engine) -> None:
    """Whoever has seen enough leaves nothing open that the end of the program would trip over."""
    asked = Search(columns=("file_id",), limit=0)
    results: list[sa.CursorResult[Any]] = []
    with filled.connect() as connection:
        sa.event.listen(connection, "after_execute", lambda *told: results.append(told[-1]))
        with search(connection, asked) as answer:
            assert next(answer.rows) == (-3,)
            assert not results[0].closed
        assert results[0].closed


def test_a_condition_for_other_statements(filled: sa.Engine) -> None:
    tree = parse(["network_dim:64.."], BY_NAME)
    where = condition_on(tree, filled.dialect.name)
    everything = condition_on(None, filled.dialect.name)
    with filled.connect() as connection:
        assert connection.scalar(sa.select(sa.func.max(loras.c.file_id)).where(where)) == 5
        assert connection.scalar(sa.select(sa.func.count(loras.c.file_id)).where(everything)) == 6


STATEMENTS = [
    Search(tree=parse(words, BY_NAME), columns=("file_id", "optimizer"))
    for words in (
        [],
        ["optimizer:*100%"],
        ["optimizer = 'ärger\n\\'''"],
        ["optimizer:'ärger\n\\'''"],
        ["optimizer like '%%\\%' or optimizer in (':x', '%s', '?', '%(a)s', '$1')"],
        ["published_at >= '2025-01' and published_at < '2026'"],
        ["v2 = true or not v2"],
        ["has(tags, '1girl') or has(model_tags, 'it''s') or has(text_encoder_lrs, 1e-5)"],
        ["network_dim * 2 % 3 = 1 or network_dim / 2.5 > 3e1"],
        ["round(images_seen / 3.0, 2) = 3.33 or abs(-network_dim) = 128"],
        ["lower(coalesce(optimizer, 'Ä')) = 'Ä'"],
        ["0.1 + 0.2 = 0.3 or network_dim - -5 > 0"],
    )
] + [
    Search(tree=parse(["network_dim:16.."], BY_NAME), count=True),
    # Two groups: their share of 0.5 has one spelling.
    Search(
        tree=parse(["v2:*"], BY_NAME),
        group_by=("optimizer", "v2"),
        medians=("images_seen",),
        limit=3,
        offset=1,
    ),
    Search(columns=("file_id",), sort=(("images_seen", True),), limit=0, offset=2),
]


def test_the_statement_as_text_gives_the_same_rows(filled: sa.Engine) -> None:
    with filled.connect() as connection:
        for asked in STATEMENTS:
            text = statement_text(connection, asked)
            cursor = connection.connection.cursor()
            # Verbatim, without parameters: what a person would paste.
            cursor.execute(text)
            with search(connection, asked) as answer:
                assert cursor.fetchall() == list(answer.rows), text
            cursor.close()


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the shell of SQLite is not installed")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_statement_goes_through_the_shell_of_sqlite(filled: sa.Engine) -> None:
    command = ["sqlite3", "-batch", "-quote", str(filled.url.database)]
    with filled.connect() as connection, contextlib.closing(sqlite3.connect(":memory:")) as quoting:
        for asked in STATEMENTS:
            text = statement_text(connection, asked)
            with search(connection, asked) as answer:
                lines = [",".join(_quote(quoting, value) for value in row) for row in answer.rows]
            done = subprocess.run(
                command, input=text, capture_output=True, check=True, encoding="utf-8"
            )
            assert done.stderr == ""
            assert done.stdout.splitlines() == "\n".join(lines).splitlines(), text


def _quote(connection: sqlite3.Connection, value: Any) -> str:
    return str(connection.execute("SELECT quote(?)", [value]).fetchone()[0])


def test_fields_that_few_rows_have(filled: sa.Engine) -> None:
    with filled.connect() as connection:
        assert sparse_fields(connection, ["network_dim", "v2", "tags", "seed"]) == [
            ("v2", 2 / 6), ("tags", 2 / 6), ("seed", 0.0),
        ]  # fmt: skip
        assert sparse_fields(connection, []) == []


def test_the_statistics_are_asked_first(filled: sa.Engine) -> None:
    stats = [
        {"base_model": "", "field": "file_id", "count": 6},
        {"base_model": "", "field": "network_dim", "count": 1},
        {"base_model": "", "field": "tag_count", "count": 5},
        {"base_model": "Made-up", "field": "seed", "count": 6},
    ]
    with filled.begin() as connection:
        connection.execute(field_stats.delete())
        connection.execute(field_stats.insert(), stats)
    with filled.connect() as connection:
        assert sparse_fields(connection, ["network_dim", "tags", "seed"]) == [
            ("network_dim", 1 / 6), ("seed", 0.0),
        ]  # fmt: skip


def test_an_empty_table_lacks_nothing(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert sparse_fields(connection, ["network_dim", "tags"]) == []
