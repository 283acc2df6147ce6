"""What holds for every page: limits, errors, and answers that are kept."""

import contextlib
import json
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from crawler.store.connect.database import open_for_reading
from crawler.store.schema.tables import loras
from crawler.store.stats.facets import counted
from crawler.web import app, browse, creators
from crawler.web.page import Asked, Data
from crawler.web.server import PageServer
from tests.conftest import ON_SQLITE
from tests.web.rows import FILES, row


def ask(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_long_statement_is_ended_and_said_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.web.app.STATEMENT_SECONDS", 0.1)
    monkeypatch.setattr(
        "crawler.web.browse.page_of",
        lambda connection, *_, **__: connection.exec_driver_sql(ENDLESS),
    )
    answer = client.get("/")
    assert answer.status_code == 503
    assert "no answer within 0.1 s; ask for less" in answer.text


def test_rows_are_shown_without_counts_that_take_too_long(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.web.counting.COUNT_SECONDS", 0.1)
    monkeypatch.setattr(
        "crawler.web.counting.counted",
        lambda connection, *_, **__: connection.exec_driver_sql(ENDLESS),
    )
    page = client.get("/").text
    assert "counting took too long" in page
    assert page.count("<tr>") == FILES + 1
    found = client.get("/api/v1/loras").json()
    assert found["total"] is None
    assert len(found["items"]) == FILES


def test_counts_follow_the_database(client: TestClient, browsed: sa.Engine) -> None:
    def total() -> int:
        return int(client.get("/api/v1/loras?q=optimizer = 'Lion'").json()["total"])

    assert total() == 0
    with browsed.begin() as connection:
        connection.execute(loras.update().where(loras.c.file_id <= 3).values(optimizer="Lion"))
    assert total() == 3
    assert total() == 3


@pytest.mark.parametrize("address", ["/", "/creators"])
def test_counts_that_were_read_before_a_commit_are_not_kept_after_it(
    client: TestClient, browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    module = browse if address == "/" else creators
    read = module.without_copies

    def read_and_commit(connection: sa.Connection, *given: Any, **named: Any) -> Any:
        answer = read(connection, *given, **named)
        connection.execute(sa.select(loras.c.file_id).limit(1)).all()
        with browsed.begin() as writing:
            writing.execute(loras.update().values(creator="nobody", trainer="onetrainer"))
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(module, "without_copies", read_and_commit)
        client.get(address)
    assert "nobody" in client.get(address).text
    assert "stonecutter1" not in client.get(address).text


@ON_SQLITE
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHo",
        b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\nGET / HTTP/1.1\r\nHo",
    ],
)
def test_a_connection_without_a_request_ends(
    browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("crawler.web.server._SILENT_SECONDS", 0.1)
    engine = open_for_reading(browsed.url)
    with PageServer(engine) as server:
        port = sa.make_url(server.url).port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as connection:
            connection.sendall(sent.replace(b"%d", str(port).encode()))
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass
    engine.dispose()


@ON_SQLITE
def test_an_answer_may_take_longer_than_a_silent_connection(
    browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_asked: Asked) -> Data:
        time.sleep(0.5)
        return Data("late")

    monkeypatch.setattr("crawler.web.server._SILENT_SECONDS", 0.05)
    monkeypatch.setattr(app, "PAGES", (("/late", wait),))
    engine = open_for_reading(browsed.url)
    with PageServer(engine) as server:
        assert json.loads(ask(f"{server.url}late")) == "late"
    engine.dispose()


@ON_SQLITE
def test_what_nobody_waits_for_any_more_is_not_answered(
    browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going = threading.Event(), threading.Event()
    answered: list[str] = []

    def page(asked: Asked) -> Data:
        answered.append(asked.text("number"))
        begun.set()
        assert going.wait(60)
        return Data(answered)

    monkeypatch.setattr(app, "PAGES", (("/", page),))
    monkeypatch.setattr(app, "MAX_STATEMENTS", 1)
    engine = open_for_reading(browsed.url)
    with PageServer(engine) as server, ThreadPoolExecutor(2) as pool:
        port = sa.make_url(server.url).port or 0
        first = pool.submit(ask, f"{server.url}?number=1")
        assert begun.wait(60)
        state = server._server.server_state
        with contextlib.ExitStack() as stack:
            for number in (2, 3):
                left = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                head = f"GET /?number={number} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
                left.sendall(head.encode())
            wait_until(lambda: len(state.tasks) == 3)
        wait_until(lambda: len(state.connections) == 1)
        last = pool.submit(ask, f"{server.url}?number=4")
        going.set()
        assert json.loads(first.result()) == ["1"]
        assert json.loads(last.result()) == ["1", "4"]
    engine.dispose()


def test_equal_questions_at_once_are_counted_once(
    served: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def count(*words: Any, **options: Any) -> object:
        calls.append("")
        time.sleep(0.05)
        return counted(*words, **options)

    monkeypatch.setattr("crawler.web.counting.counted", count)
    # Other tests write to databases of the same PostgreSQL, which counts as a change.
    monkeypatch.setattr("crawler.store.read.changes.Changes.version", lambda *_: "the same")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [f"{served.url}api/v1/loras?q=likes:4.."] * 8))
    assert len(set(answers)) == 1
    assert len(calls) == 1


def test_many_questions_at_once_are_all_answered_rightly(served: PageServer) -> None:
    """50 at once; the figures are those of each question alone."""
    asked = [f"{served.url}api/v1/loras?q=likes:{n}..&limit={n + 1}" for n in range(6)] * 25
    with ThreadPoolExecutor(50) as pool:
        answers = dict(zip(asked, map(json.loads, pool.map(ask, asked)), strict=True))
    rows = [row(number) for number in range(1, FILES + 1)]
    for least, address in enumerate(asked[:6]):
        answer = answers[address]
        assert answer["total"] == sum(one["likes"] >= least for one in rows)
        assert len(answer["items"]) == least + 1


def test_a_server_that_stops_ends_what_is_being_asked(
    browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(asked: Asked) -> Data:
        begun.set()
        try:
            asked.connection.exec_driver_sql(ENDLESS)
        finally:
            ended.set()
        return Data(None)

    monkeypatch.setattr(app, "PAGES", (("/", endless),))
    engine = open_for_reading(browsed.url)
    with ThreadPoolExecutor(1) as pool:
        with PageServer(engine) as server:
            asking = pool.submit(ask, server.url)
            assert begun.wait(30)
        assert ended.wait(5)
        assert isinstance(asking.exception(), OSError)  # its connection was closed
    engine.dispose()


def test_rows_of_a_large_database_are_counted_in_memory_and_follow_it(
    client: TestClient, browsed: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.web.counting._MANY", 1)
    monkeypatch.setattr("crawler.web.counting._TIMES_AS_LONG", 0)
    small = client.get("/?q=base_model = 'Pony'").text
    with monkeypatch.context() as patch:
        patch.setattr("crawler.web.counting.counted", None)  # is not called
        assert [*facets(client.get("/?q=base_model = 'Pony'").text)] == [*facets(small)]
        assert client.get("/api/v1/loras?q=optimizer = 'Lion'").json()["total"] == 0
        with browsed.begin() as connection:
            connection.execute(loras.update().where(loras.c.file_id <= 3).values(optimizer="Lion"))
        until = time.monotonic() + 30
        while client.get("/api/v1/loras?q=optimizer = 'Lion'").json()["total"] != 3:
            assert time.monotonic() < until
    assert client.get("/api/v1/loras?q=optimizer = 'Lion' and likes > 0").json()["total"] == 3


def facets(page: str) -> list[str]:
    return re.findall(r'<span class="count">([^<]+)</span>', page)
