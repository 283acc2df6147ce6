"""A sync as a process, a site that never ends, and signals."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.schema.tables import crawls, headers, loras
from tests.conftest import ON_SQLITE
from tests.sync.conftest import WHOLE, run_crawl
from tests.sync.test_database_trouble import locked, place_of

WORK_LEFT = 4

#: Seconds that no sync needs to end, and that everything it could wait for exceeds by far.
SOON = 20

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

#: What the site sends at first and then for ever, and the signals that the sync gets.
KINDS = {
    "asks to wait": (
        b"HTTP/1.1 429 Wait\r\nRetry-After: 280\r\nContent-Length: 0\r\n\r\n",
        b"",
        [signal.SIGTERM],
    ),
    "goes on before it answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n", [signal.SIGINT]),
    "never answers": (b"", b"", [signal.SIGTERM, signal.SIGINT]),
    "lists in drops": (
        _CHUNKED + b'e\r\n{"items": [{}]\r\n',
        b"1\r\n \r\n",
        [signal.SIGINT, signal.SIGTERM],
    ),
}

#: The answer about the API key: the first contact of a run.
_ME = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Endless:
    """A site with one answer; `asked` is set once it was asked for more than who asks."""

    def __init__(self, listening: socket.socket, first: bytes, endless: bytes) -> None:
        self.asked = threading.Event()
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._listening, self._first, self._endless = listening, first, endless

    def serve(self) -> None:
        """Answer one connection after the other until the socket is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if connection.recv(65536).startswith(b"GET /api/v1/me "):
                connection.sendall(_ME)
                return
            connection.sendall(self._first)
            self.asked.set()
            while self._endless:
                connection.sendall(self._endless)
                time.sleep(0.01)
            connection.recv(65536)


@contextmanager
def endless_site(kind: str) -> Iterator[Endless]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        site = Endless(listening, *KINDS[kind][:2])
        threading.Thread(target=site.serve, daemon=True).start()
        yield site
        # Closing alone would leave the thread in `accept`.
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
def test_signals_end_whatever_the_site_does(sqlite_template: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        started = []
        for number, kind in enumerate(KINDS):
            site = stack.enter_context(endless_site(kind))
            place = tmp_path / f"{number}.db"
            place.write_bytes(sqlite_template.read_bytes())
            words = ("sync", "--api-url", site.url, "--rate", "0", "--db", str(place))
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "crawler", *words],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            started.append((kind, site, place, process))
        for kind, site, place, process in started:
            assert site.asked.wait(60), kind
            assert process.stderr is not None
            first, *more = KINDS[kind][2]
            process.send_signal(first)
            assert any(b"stopping" in line for line in iter(process.stderr.readline, b"")), kind
            for sign in more:
                process.send_signal(sign)
            # None of these sites would let it end by itself so soon.
            assert process.wait(timeout=SOON) == WORK_LEFT, kind
            engine = sa.create_engine(f"sqlite:///{place}")
            with engine.connect() as connection:
                ending = connection.execute(sa.select(crawls.c.ending)).scalar_one()
            engine.dispose()
            assert ending in ("interrupted", "cancelled"), kind


#: Statistics that nothing can end.
ENDLESS_STATISTICS = """
import sys, time
import crawler.sync.run
from crawler.__main__ import main
def refresh(*_, **__):
    print("making statistics", file=sys.stderr, flush=True)
    time.sleep(600)
crawler.sync.run.refresh_if_due = refresh
main()
"""


@contextmanager
def syncing(
    sandbox: Sandbox, place: str, *program: str
) -> Iterator[tuple["subprocess.Popen[str]", Callable[[str], object]]]:
    """A sync, and a function that waits for a text on its stderr."""
    options = (
        "--api-url",
        sandbox.url,
        "--rate",
        "0",
        "--nsfw",
        "--concurrency",
        "2",
        "--db",
        place,
    )
    with subprocess.Popen(
        [sys.executable, *(program or ("-m", "crawler")), "sync", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def wait_for(text: str) -> None:
            assert process.stderr is not None
            assert any(text in line for line in iter(process.stderr.readline, "")), text

        yield process, wait_for
        process.kill()


def interrupt_twice(process: "subprocess.Popen[str]", wait_for: Callable[[str], object]) -> None:
    process.send_signal(signal.SIGINT)
    wait_for("stopping")
    process.send_signal(signal.SIGINT)
    wait_for("All stored data is kept")
    assert process.wait(timeout=SOON) == WORK_LEFT


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
def test_a_second_signal_waits_for_no_lock_and_nothing_is_lost(engine: sa.Engine) -> None:
    catalogue = Catalogue(12, seed=5)
    with Sandbox(catalogue, latency=0.05) as sandbox:
        with locked(engine) as lock, syncing(sandbox, place_of(engine)) as (process, wait_for):
            while not count(engine, headers):
                assert process.poll() is None
                time.sleep(0.01)
            lock()
            interrupt_twice(process, wait_for)
        read = count(engine, headers)

        run_crawl(engine, sandbox, WHOLE)

        with engine.connect() as connection:
            found = connection.execute(sa.select(loras.c.file_id, loras.c.outcome)).all()
        assert {row.file_id: row.outcome for row in found} == catalogue.truth(key=False)
        assert 0 < read < count(engine, headers)
        requests = sandbox.counters.storage_requests
        assert run_crawl(engine, sandbox, WHOLE).files == 0
        assert sandbox.counters.storage_requests == requests


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
@ON_SQLITE
def test_a_second_signal_waits_for_no_statistics(engine: sa.Engine) -> None:
    with (
        Sandbox(Catalogue(2)) as sandbox,
        syncing(sandbox, place_of(engine), "-c", ENDLESS_STATISTICS) as (process, wait_for),
    ):
        wait_for("making statistics")
        interrupt_twice(process, wait_for)
    with engine.connect() as connection:
        assert connection.execute(sa.select(crawls.c.ending)).scalar_one() == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
@ON_SQLITE
def test_a_second_signal_waits_for_no_storage(engine: sa.Engine) -> None:
    """Its files in flight stay pending."""
    stalling = Faults(stall=1.0, stall_seconds=600)
    with (
        Sandbox(Catalogue(2, faults=stalling)) as sandbox,
        syncing(sandbox, place_of(engine)) as (process, wait_for),
    ):
        while not sandbox.counters.storage_requests:
            assert process.poll() is None
            time.sleep(0.01)
        interrupt_twice(process, wait_for)
    with engine.connect() as connection:
        outcomes = connection.execute(sa.select(loras.c.outcome)).scalars().all()
        ending = connection.execute(sa.select(crawls.c.ending)).scalar_one()
    assert "pending" in outcomes
    assert ending in ("cancelled", "interrupted")


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
