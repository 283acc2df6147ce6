"""`sync --enqueue`, `worker`, and what `status` says of them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import fleet_lock
from crawler.store.read.fleet import LOST_AFTER
from crawler.store.schema.tables import fleet, loras, workers
from crawler.store.write.fleet import begin_worker, pause, server_time, share
from tests.cli.headers import Run
from tests.conftest import ON_POSTGRESQL, ON_SQLITE


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Catalogue(30, seed=3, faults=Faults.mild())) as running:
        yield running


def words(sandbox: Sandbox, place: str) -> tuple[str, ...]:
    return ("--api-url", sandbox.url, "--db", place)


@ON_POSTGRESQL
def test_what_is_put_on_the_queue_is_read_by_a_worker(
    run: Run, sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_API_TOKEN", sandbox.key)
    site = words(sandbox, database_url)

    listed = run("sync", "--enqueue", "--nsfw", "--rate", "0", *site)
    assert listed.exit_code == 0, listed.stderr
    assert "put on the queue in " in listed.stdout
    assert "read in" not in listed.stdout
    assert f"lora-crawl worker --api-url {sandbox.url} --db" in listed.stdout
    asked = run("status", "--db", database_url)
    assert "to read: run lora-crawl worker" in asked.stderr
    for told in (listed, asked):
        assert "  read by lora-crawl worker\n" in told.stdout
        assert "next lora-crawl sync" not in told.stdout
    waiting = json.loads(run("status", "--json", "--db", database_url).stdout)["fleet"]
    assert waiting["batches_waiting"] > 0
    assert (waiting["batches_in_work"], waiting["workers"], waiting["rate"]) == (0, [], 0.0)

    done = run("worker", "--json", *site)

    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["ending"], summary["trouble"], summary["pending"]) == ("done", None, 0)
    assert summary["headers_read"] > 20
    told = run("status", "--db", database_url)
    assert "fleet: 0 workers, no rate limit, 0 batches waiting, 0 in work" in told.stdout
    assert "last run: " in told.stdout
    again = run("worker", *site)
    assert again.exit_code == 0
    assert again.stdout.startswith("0 headers read in ")
    assert (
        "\nnothing was on the queue; to fill it: lora-crawl sync --enqueue --api-url"
        in again.stdout
    )
    engine = open_for_writing(database_url)
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).where(loras.c.outcome == "pending")
        assert connection.execute(counted).scalar_one() == 0
    engine.dispose()


@ON_POSTGRESQL
def test_status_tells_how_long_workers_wait_and_which_were_lost(
    run: Run, database_url: str
) -> None:
    engine = open_for_writing(database_url)
    with engine.begin() as connection:
        share(connection, rate=2)
        begin_worker(connection, host="there", pid=7)
        pause(connection, "the site refused\nthree times")
    told = run("status", "--db", database_url).stdout
    assert "fleet: 1 worker, 2 requests a second" in told
    assert re.search(r"\n  workers wait until [-0-9: ]+ UTC: the site refused\n", told)

    with engine.begin() as connection:
        before = server_time(connection) - LOST_AFTER
        connection.execute(fleet.update().values(paused_until=before))
        connection.execute(workers.update().values(last_seen_at=before))
    engine.dispose()
    told = run("status", "--db", database_url).stdout
    assert "fleet: 0 workers, 2 requests a second" in told
    assert "\n  killed or cut off within a day: 1 worker\n" in told
    assert "\n  one worker tries the site before the others: the site refused\n" in told


@ON_POSTGRESQL
def test_a_budget_that_is_used_up_needs_another_one_and_not_the_same_command(
    run: Run, sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_API_TOKEN", sandbox.key)
    site = words(sandbox, database_url)
    enqueue = ("sync", "--enqueue", "--rate", "0", "--max-downloads", "1")
    assert run(*enqueue, *site).exit_code == 0

    told = run("worker", *site)

    assert told.exit_code == 4
    assert "Error: the budget of all workers" in told.stderr
    assert told.stderr.endswith("then the workers.\nAll stored data is kept.\n")


@ON_POSTGRESQL
def test_a_sync_beside_workers_says_what_is_running(
    run: Run, sandbox: Sandbox, database_url: str
) -> None:
    engine = open_for_writing(database_url)
    with fleet_lock(engine):
        told = run("sync", "--limit", "5", *words(sandbox, database_url))
        beside = run(
            "sync", "--enqueue", "--limit", "5", "--rate", "0", *words(sandbox, database_url)
        )
    engine.dispose()

    assert told.exit_code == 4
    assert "workers are fetching into" in told.stderr
    assert beside.exit_code == 0, beside.stderr


@ON_POSTGRESQL
def test_an_upgrade_makes_the_queue(run: Run, database_url: str) -> None:
    assert run("db", "upgrade", "--db", database_url).exit_code == 0

    engine = open_for_writing(database_url)
    assert "pgqueuer" in sa.inspect(engine).get_table_names(schema="lora_crawl_queue")
    engine.dispose()
    assert run("db", "upgrade", "--db", database_url).exit_code == 0
    assert run("db", "check", "--db", database_url).exit_code == 0


@ON_SQLITE
@pytest.mark.parametrize("command", [("worker",), ("sync", "--enqueue", "--anonymous")])
def test_a_sqlite_file_has_no_workers(
    run: Run, database_url: str, command: tuple[str, ...]
) -> None:
    told = run(*command, "--db", database_url)

    assert told.exit_code == 2
    assert "one writer at a time" in told.stderr
    assert "postgresql://" in told.stderr


@pytest.mark.parametrize("other", ["--no-headers", "--sandbox"])
def test_options_that_leave_nothing_to_enqueue_are_refused(run: Run, other: str) -> None:
    told = run("sync", "--enqueue", other)

    assert told.exit_code == 2
    assert f"--enqueue cannot be combined with {other}" in told.stderr


@ON_POSTGRESQL
def test_a_missing_extra_is_named(database_url: str) -> None:
    script = "import sys; sys.modules['pgqueuer'] = None; from crawler.__main__ import main; main()"
    worker, upgrade = (
        subprocess.run(
            [sys.executable, "-c", script, *words, "--db", database_url],
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (("worker",), ("db", "upgrade"))
    )

    assert (worker.returncode, worker.stdout) == (2, "")
    assert "pip install 'lora-crawl[fleet]'" in worker.stderr
    assert upgrade.returncode == 0, upgrade.stderr
