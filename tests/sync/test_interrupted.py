"""A sync as a process, a site that never ends, and signals."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.store.schema.tables import crawls

WORK_LEFT = 4

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

#: What the site sends at first and then for ever, and the signals that the sync gets.
KINDS = {
    "asks to wait": (
        b"HTTP/1.1 429 Wait\r\nRetry-After: 280\r\nContent-Length: 0\r\n\r\n",
        b"",
        [signal.SIGTERM],
    ),
    "goes on before it answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n", [signal.SIGINT]),
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
            assert process.wait(timeout=25) == WORK_LEFT, kind
            engine = sa.create_engine(f"sqlite:///{place}")
            with engine.connect() as connection:
                ending = connection.execute(sa.select(crawls.c.ending)).scalar_one()
            engine.dispose()
            assert ending in ("interrupted", "cancelled"), kind
