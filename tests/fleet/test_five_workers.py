"""Five workers as processes, three of which are killed, while everything goes wrong."""

import os
import random
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sandbox.hosts import Site
from crawler.store.connect.database import open_for_writing
from crawler.store.schema.tables import loras
from tests.conftest import ON_POSTGRESQL

#: A worker that is not heard of for so many seconds is dead.
LOST_AFTER = 2.0

#: Runs after the first workers that may still end with work left: trouble that passes stops some of them.
MOST_RUNS = 5

#: Keeps each turn at the API that the database gives, by the time of the one that follows it.
WATCH = """
CREATE SCHEMA watched;
CREATE TABLE watched.turns (following timestamp NOT NULL);
CREATE FUNCTION watched.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO watched.turns VALUES (NEW.next_request_at);
  RETURN NULL;
END $$;
CREATE TRIGGER keep AFTER UPDATE ON fleet FOR EACH ROW
  WHEN (NEW.next_request_at IS DISTINCT FROM OLD.next_request_at) EXECUTE FUNCTION watched.keep()
"""

DONE, WORK_LEFT = 0, 4

#: Starts processes that run the same command, after what takes long was imported once. It prints their
#: ids, and at the end their exit codes.
PROGRAM = """
import os, sys
from datetime import timedelta
import crawler.store.read.fleet as fleet
fleet.LOST_AFTER = timedelta(seconds=float(sys.argv.pop(1)))
from crawler.__main__ import main
from crawler.cli import run_sync
from crawler.fleet import enqueue, worker
pids = []
for _ in range(int(sys.argv.pop(1))):
    pids.append(os.fork())
    if pids[-1] == 0:
        try:
            main()
        except SystemExit as ended:
            os._exit(ended.code or 0)
        os._exit(1)
print(*pids, flush=True)
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids), flush=True)
"""


@dataclass(frozen=True)
class Size:
    """How large a crawl is, how fast it may go, and how many files a worker fetches at a time."""

    models: int
    rate: float
    concurrency: int

    @property
    def lost_in_a_kill(self) -> int:
        """Files that a kill may cost a second counted download.

        Each of a worker's tasks has one that is fetched or waits, and each had one, the first of them two,
        in the batch that is being stored.
        """
        return 2 * self.concurrency + 1


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When the API got its requests, by the clock of this machine, which the database's server has too."""
    found: list[datetime] = []
    trouble = Site.trouble

    def counted(self: Site, request: Any) -> Any:
        found.append(datetime.now(UTC).replace(tzinfo=None))
        return trouble(self, request)

    monkeypatch.setattr(Site, "trouble", counted)
    return found


class Processes:
    """Some processes that run the same command."""

    def __init__(self, number: int, place: str, *words: str) -> None:
        command = [sys.executable, "-c", PROGRAM, str(LOST_AFTER), str(number), *words]
        self.parent = subprocess.Popen(
            [*command, "--db", place, "--quiet"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.parent.stdout is not None
        self.pids = [*map(int, self.parent.stdout.readline().split())]

    def codes(self) -> list[int]:
        """Their exit codes, once all have ended."""
        codes, told = self.parent.communicate(timeout=600)
        assert "Traceback" not in told, told
        assert "unexpected" not in told, told
        found = [*map(int, codes.split())]
        assert set(found) <= {DONE, WORK_LEFT, -signal.SIGKILL}, told
        return found

    def kill(self) -> None:
        """End all that still run."""
        if self.parent.poll() is None:
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.parent.kill()


def most_in_a_second(ordered: Sequence[datetime]) -> int:
    second = timedelta(seconds=1)
    return max(bisect_left(ordered, at + second) - index for index, at in enumerate(ordered))


def watch_turns(place: str) -> None:
    """Make the tables of a database, with a trigger that keeps the turns."""
    engine = open_for_writing(place)
    with engine.begin() as connection:
        connection.exec_driver_sql(WATCH)
    engine.dispose()


def turns_of(connection: sa.Connection, rate: float) -> list[datetime]:
    """When the turns began that the database gave, in order."""
    step = timedelta(microseconds=ceil(1e6 / rate))
    rows = connection.exec_driver_sql("SELECT following FROM watched.turns ORDER BY 1").scalars()
    return [following - step for following in rows]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@ON_POSTGRESQL
@pytest.mark.skipif(sys.platform == "win32", reason="no process can be forked there")
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(models=90, rate=60, concurrency=2), id="small"),
        pytest.param(
            Size(models=5_000, rate=60, concurrency=8), id="large", marks=pytest.mark.slow
        ),
    ],
)
def test_three_of_five_workers_are_killed_and_the_database_ends_with_the_truth(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    times: list[datetime],
    running: ExitStack,
    size: Size,
) -> None:
    faults = replace(
        Faults.full(), huge_header=0.0, unlisted_run=0, tied_run=20, stall_seconds=0.05
    )
    catalogue = Catalogue(size.models, seed=23, faults=faults)
    dice = random.Random(4)
    truth = catalogue.truth()
    watch_turns(database_url)
    with Sandbox(catalogue) as sandbox:
        monkeypatch.setenv("CIVITAI_API_TOKEN", sandbox.key)
        site = ("--api-url", sandbox.url)
        rate = f"{size.rate:g}"
        lists = ("sync", "--enqueue", "--nsfw", *site)
        assert Processes(1, database_url, *lists, "--rate", rate).codes() == [DONE]
        began = time.monotonic()
        work = ("worker", "--concurrency", str(size.concurrency), *site)
        workers = Processes(5, database_url, *work)
        running.callback(workers.kill)
        for number, pid in enumerate(dice.sample(workers.pids, 3), start=1):
            goal = (number + dice.random()) / 5 * len(truth)
            while sandbox.counters.downloads < goal:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
        codes = workers.codes()
        took = time.monotonic() - began
        assert sorted(codes)[:3] == [-signal.SIGKILL] * 3
        for _ in range(MOST_RUNS):
            if WORK_LEFT not in codes:
                break
            assert Processes(1, database_url, *lists).codes() == [DONE]
            codes = Processes(1, database_url, *work).codes()
        seen = sandbox.counters

    engine = open_for_writing(database_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome)).all()
        turns = turns_of(connection, size.rate)
    engine.dispose()
    found = {row.file_id: row.outcome for row in rows}
    assert found.keys() == truth.keys()
    wrong = {one: (outcome, found[one]) for one, outcome in truth.items() if found[one] != outcome}
    assert wrong == {}
    assert seen.key_leaks == 0
    twice = sum(number - 1 for number in seen.counted.values())
    renewed = seen.injected["expired_link"] + seen.injected["storage_forbidden"]
    assert twice <= renewed + 3 * size.lost_in_a_kill
    requests = sorted(times)
    print(  # noqa: T201 - shown with -s
        f"{len(truth)} files in {took:.1f} s, {len(requests)} requests to the API,"
        f" {most_in_a_second(requests)} in one second at most, {len(turns)} turns; {twice} links twice,"
        f" {renewed} of them refused by storage"
    )
    assert most_in_a_second(turns) <= size.rate
    # A busy machine makes requests late, and then more of them may come in one second. But none comes
    # before its turn, so at no time there were more than the rate allows since the beginning.
    assert len(requests) <= len(turns)
    early = [pair for pair in zip(turns, requests, strict=False) if pair[1] < pair[0]]
    assert early == []
