"""A sync that is killed, or asked to stop, and run again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.schema import tables
from tests.sync.snapshots import snapshot

#: A killed client's lock is free once the server has noticed; a sync asked meanwhile says exit 4.
LOCK_SECONDS = 20

WORK_LEFT = 4

#: When a sync is killed: after so large a part of the requests of an undisturbed run. Seconds would
#: be another moment on every machine.
MOMENTS = (0.02, 0.4, 0.9)

#: From before the first page to the last file.
MORE_MOMENTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.98)


@pytest.fixture(scope="module")
def slow_sandbox() -> Iterator[Sandbox]:
    """Small, and slow enough to be interrupted anywhere."""
    faults = replace(Faults.mild(), gone=0.0)
    with Sandbox(Catalogue(12, seed=5, faults=faults), latency=0.02) as running:
        yield running


def command(sandbox: Sandbox, place: str) -> list[str]:
    words = ["sync", "--api-url", sandbox.url, "--rate", "0", "--concurrency", "4", "--nsfw"]
    return [sys.executable, "-m", "crawler", *words, "--quiet", "--db", place]


def start(sandbox: Sandbox, place: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command(sandbox, place), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(sandbox: Sandbox, place: str) -> None:
    """Run it to its end, once a killed one's lock is gone."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        ended = subprocess.run(command(sandbox, place), capture_output=True, check=False)
        if ended.returncode == 0:
            return
        assert b"another sync" in ended.stderr, ended.stderr.decode()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def requests(sandbox: Sandbox) -> int:
    """How many requests there have been, to the API and to storage."""
    seen = sandbox.counters
    return seen.api_requests + seen.storage_requests


def wiped(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(MOMENTS, id="some"),
        pytest.param(MORE_MOMENTS, marks=pytest.mark.slow, id="more"),
    ],
)
def test_killed_at_any_moment_it_ends_with_the_rows_of_an_undisturbed_run(
    database_url: str, slow_sandbox: Sandbox, moments: tuple[float, ...]
) -> None:
    before = requests(slow_sandbox)
    finish(slow_sandbox, database_url)
    whole = requests(slow_sandbox) - before
    engine = open_for_writing(database_url)
    undisturbed = snapshot(engine)
    assert len(undisturbed["loras"]) > 12
    killed_while_working = 0
    for moment in moments:
        wiped(engine)
        goal = requests(slow_sandbox) + moment * whole
        sync = start(slow_sandbox, database_url)
        while sync.poll() is None and requests(slow_sandbox) < goal:
            time.sleep(0.002)
        killed_while_working += sync.poll() is None
        sync.kill()
        sync.communicate()

        finish(slow_sandbox, database_url)

        assert snapshot(engine) == undisturbed, f"killed after {moment} of a run"
    engine.dispose()
    # At the last moment a run may be through before the signal comes.
    assert killed_while_working >= len(moments) - 1


@pytest.mark.skipif(sys.platform == "win32", reason="no process can interrupt another there")
def test_an_interrupt_finishes_what_is_in_flight_and_says_that_work_is_left(
    database_url: str, slow_sandbox: Sandbox
) -> None:
    sync = start(slow_sandbox, database_url)
    _wait_for_headers(database_url, sync)
    os.kill(sync.pid, signal.SIGINT)
    _, told = sync.communicate(timeout=30)

    assert sync.returncode == WORK_LEFT, told.decode()
    engine = open_for_writing(database_url)
    with engine.connect() as connection:
        ending = connection.execute(sa.select(tables.crawls.c.ending)).scalar_one()
        left = connection.execute(
            sa.select(sa.func.count()).where(tables.loras.c.outcome == "pending")
        ).scalar_one()
    engine.dispose()
    assert ending == "interrupted"
    assert left > 0
    finish(slow_sandbox, database_url)


def test_two_syncs_at_once_are_told_apart(database_url: str, slow_sandbox: Sandbox) -> None:
    engine = open_for_writing(database_url)
    with sync_lock(engine):
        second = subprocess.run(
            command(slow_sandbox, database_url), capture_output=True, check=False
        )
    engine.dispose()

    assert second.returncode == WORK_LEFT
    assert b"another sync" in second.stderr
    finish(slow_sandbox, database_url)


def _wait_for_headers(place: str, sync: "subprocess.Popen[bytes]") -> None:
    """Until the first headers are stored."""
    engine = sa.create_engine(
        place if "://" in place else f"sqlite:///{place}", poolclass=sa.NullPool
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert sync.poll() is None, sync.communicate()[1].decode()
        time.sleep(0.05)
        with contextlib.suppress(sa.exc.DBAPIError), engine.connect() as connection:
            if connection.execute(sa.text("select count(*) from headers")).scalar_one():
                return
    raise AssertionError("no header came")
