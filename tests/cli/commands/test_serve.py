"""`lora-crawl serve`: started and stopped as a person does."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.headers import Run
from tests.conftest import ON_SQLITE

ROOT = Path(__file__).parents[3]


@contextmanager
def serving(*words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server in a process of its own, and the address that it printed."""
    command = [sys.executable, "-m", "crawler", "serve", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            yield address, process
        finally:
            process.kill()


def test_it_prints_its_address_answers_there_and_ends_at_once(database: str) -> None:
    with serving("--port", "0", "--db", database) as (address, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200
            assert "server" not in answer.headers
            assert b"AdamW8bit" in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (out, err, process.returncode) == ("", "press Ctrl-C to stop\n", 0)


@ON_SQLITE
def test_it_ends_at_once_while_an_answer_is_worked_out(database: str) -> None:
    with serving("--port", "0", "--db", database) as (address, process):
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as asking:
            asking.sendall(b"GET / HTTP/1.1\r\nHost: ")  # and never ends
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
            assert time.monotonic() - begun < 5


@ON_SQLITE
def test_a_busy_port_is_told(database: str, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--db", database)
    assert done.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "--port 0" in done.stderr


@ON_SQLITE
def test_a_name_that_is_none_is_told(database: str, run: Run) -> None:
    done = run("serve", "--host", "nowhere.invalid", "--db", database)
    assert done.exit_code == 2
    assert "cannot listen on nowhere.invalid" in done.stderr


@ON_SQLITE
def test_other_machines_are_let_in_only_by_an_option_that_says_so(database: str) -> None:
    with serving("--host", "0.0.0.0", "--port", "0", "--db", database) as (address, process):
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200
        foreign = urllib.request.Request(address, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(foreign, timeout=30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert "can read the whole database: there is no password" in err


def test_without_a_database_it_says_how_to_fill_one(run: Run, tmp_path: Path) -> None:
    done = run("serve", "--db", os.fspath(tmp_path / "none.db"))
    assert done.exit_code == 3
    assert "lora-crawl sync" in done.stderr


@ON_SQLITE
def test_open_opens_the_address(database: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def note(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", note)
    monkeypatch.setattr("crawler.web.server.PageServer.wait", lambda _: None)
    done = run("serve", "--open", "--port", "0", "--db", database)
    assert done.exit_code == 0
    assert opened == [done.stdout.strip()]
