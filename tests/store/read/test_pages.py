"""Pages of rows: every row once, in the order of a search, wherever a page begins."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.query.parser import parse
from crawler.store.read.pages import page
from crawler.store.read.search import Search, search
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from tests.conftest import Prepared
from tests.web.rows import loras as store_rows

#: One of each kind of value, and the key of an object.
FIELDS = (
    "likes", "learning_rate", "creator", "nsfw", "published_at", "network_dim", "base_model",
    "optimizer_args.weight_decay", "optimizer_args.lost", "reason", "file_id",
)  # fmt: skip


@pytest.fixture
def filled(prepared: Prepared) -> sa.Engine:
    def fill(engine: sa.Engine) -> None:
        with engine.begin() as connection:
            store_rows(connection)
            long = "x" * 5_000
            for number in range(1, 12):  # texts that differ at their end only
                changed = {"reason": long + str(number // 3)}
                where = loras.c.file_id == number
                connection.execute(loras.update().where(where).values(changed))

    return prepared("paged", fill)


def walked(connection: sa.Connection, asked: Search, matches: int | None) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    after = ""
    while True:
        found = page(connection, asked, after=after, matches=matches)
        rows += found.rows
        assert len(found.rows) == asked.limit or not found.after
        if not (after := found.after):
            return rows
        assert len(after) < 1_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sort=st.lists(
        st.tuples(st.sampled_from(FIELDS), st.booleans()), max_size=3, unique_by=lambda one: one[0]
    ),
    limit=st.integers(1, 50),
    words=st.sampled_from(["", "likes > 2", "network_dim is null or nsfw", "likes > 99"]),
    matches=st.sampled_from([None, 10, 10_000]),
)
def test_walking_the_pages_gives_every_row_once(
    filled: sa.Engine,
    sort: list[tuple[str, bool]],
    limit: int,
    words: str,
    matches: int | None,
) -> None:
    asked = Search(
        tree=parse([words], BY_NAME), columns=("file_id",), sort=tuple(sort), limit=limit
    )
    with filled.connect() as connection:
        found = walked(connection, asked, matches)
        whole = Search(tree=asked.tree, columns=("file_id",), sort=asked.sort, limit=0)
        with search(connection, whole) as rows:
            assert [row[1:] for row in found] == list(rows.rows)


@pytest.mark.parametrize(
    "after",
    [
        "x", "ä", "e30", "W10", "bnVsbA", "W" * 90_000, "WyIiXQ",
        "WyJsaWtlcyIsMSwyXQ",  # of the order by likes
        "WyIiLCJhIl0",  # a text for a number
        "WyIiLDFlOTldXQ", "WyIiLDk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "WyIiLHRydWVd",
        "WyIiLHsibG9uZyI6dHJ1ZX1d", "WyIiLG51bGxd",
    ],
)  # fmt: skip
def test_a_place_that_no_page_gave_is_refused_or_the_end(filled: sa.Engine, after: str) -> None:
    with filled.connect() as connection:
        try:
            assert page(connection, Search(columns=("file_id",)), after=after).rows == ()
        except UsageError as error:
            assert "begin with the first page" in str(error)  # noqa: PT017
