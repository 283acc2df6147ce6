"""The list, asked without a server."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from crawler.sandbox.entries import Stock
from crawler.sandbox.listing import answer
from crawler.sandbox.questions import RefusedError, read_question
from crawler.sandbox.ranking import Ranking
from crawler.sandbox.world import View

ORIGIN = "http://127.0.0.1:1"


def ask(stock: Stock, query: str, *, ranking: Ranking | None = None) -> dict[str, Any]:
    pairs = parse_qsl(query, keep_blank_values=True)
    question = read_question(pairs, logged_in=False)
    return answer(View(stock, ranking or Ranking(stock)), question, pairs, ORIGIN).body


def pages(stock: Stock, query: str, *, most: int = 10_000) -> Iterator[dict[str, Any]]:
    """Every page of a walk, in a row; gives up on a walk that does not end."""
    ranking, cursor = Ranking(stock), None
    for _page in range(most):
        more = "" if cursor is None else f"&cursor={cursor.replace('|', '%7C')}"
        page = ask(stock, query + more, ranking=ranking)
        yield page
        cursor = page["metadata"].get("nextCursor")
        if cursor is None:
            return
    pytest.fail("the walk does not end")


def ids(*walk: dict[str, Any]) -> list[int]:
    return [item["id"] for page in walk for item in page["items"]]


def refused(stock: Stock, query: str) -> tuple[int, Any]:
    with pytest.raises(RefusedError) as caught:
        ask(stock, query)
    return caught.value.status, caught.value.body
