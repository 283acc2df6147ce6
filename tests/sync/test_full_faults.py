"""Everything goes wrong at once, and the sync is killed again and again."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.connect.database import open_for_writing
from crawler.store.schema.tables import loras

#: Models in the catalogue, and how many of them share one time: more than a page of 100 holds, of
#: those that one pass shows.
MODELS, TIED = 200, 180

KILLS = 2
MORE_KILLS = 8

#: Files that a kill may cost a second counted download: being fetched, waiting to be stored and
#: being stored, eight at a time.
LOST_IN_A_KILL = 32

#: Runs after the last kill that may still end with work left: trouble that passes stops some of them.
MOST_RUNS = 10

#: A killed client's lock is free once the server has noticed.
LOCK_SECONDS = 20

DONE, WORK_LEFT = 0, 4


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    faults = replace(Faults.full(), tied_run=TIED, unlisted_run=20, stall_seconds=0.1)
    return Catalogue(MODELS, seed=21, faults=faults)


@pytest.fixture
def sandbox(catalogue: Catalogue) -> Iterator[Sandbox]:
    with Sandbox(catalogue) as running:
        yield running


def command(sandbox: Sandbox, place: str) -> list[str]:
    words = ["sync", "--api-url", sandbox.url, "--rate", "0", "--nsfw", "--quiet", "--db", place]
    return [sys.executable, "-m", "crawler", *words]


def finish(sandbox: Sandbox, place: str) -> list[int]:
    """Run it until nothing is left; returns the exit codes."""
    codes: list[int] = []
    deadline = time.monotonic() + LOCK_SECONDS
    while len(codes) < MOST_RUNS and DONE not in codes:
        ended = subprocess.run(command(sandbox, place), capture_output=True, check=False)
        told = ended.stderr.decode()
        assert ended.returncode in {DONE, WORK_LEFT}, told
        assert "Traceback" not in told
        if "another sync" in told:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            continue
        codes.append(ended.returncode)
    return codes


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MORE_KILLS, marks=pytest.mark.slow)])
def test_killed_again_and_again_the_database_ends_with_the_truth(
    database_url: str,
    catalogue: Catalogue,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
) -> None:
    monkeypatch.setenv("CIVITAI_API_TOKEN", sandbox.key)
    dice = random.Random(4)
    for _ in range(kills):
        sync = subprocess.Popen(
            command(sandbox, database_url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            sync.wait(timeout=dice.uniform(1, 4))
        except subprocess.TimeoutExpired:
            sync.kill()
        sync.communicate()

    codes = finish(sandbox, database_url)

    assert codes[-1:] == [DONE], codes
    engine = open_for_writing(database_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome)).all()
    engine.dispose()
    found = {row.file_id: row.outcome for row in rows}
    truth = catalogue.truth()
    assert found.keys() == truth.keys()
    wrong = {
        file_id: (outcome, found[file_id])
        for file_id, outcome in truth.items()
        if found[file_id] != outcome
    }
    assert wrong == {}
    seen = sandbox.counters
    assert seen.key_leaks == 0
    twice = sum(times - 1 for times in seen.counted.values())
    renewed = seen.injected["expired_link"] + seen.injected["storage_forbidden"]
    assert twice <= renewed + kills * LOST_IN_A_KILL
