"""A PostgreSQL server that fails in the middle of a crawl: what was stored stays, the next run goes on."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import StoppedError
from crawler.redecode import redecode
from crawler.scan import ScanPlan, scan
from crawler.store.connect import transactions
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.connect.transactions import CONFLICT_TRIES
from crawler.store.schema.tables import headers, loras
from crawler.sync.progress import RedecodeTally, ScanTally
from tests import postgres
from tests.cli.headers import write_lora
from tests.conftest import ON_POSTGRESQL
from tests.factories import METADATA, make_model
from tests.sync.site import Site, run

MODELS = tuple(make_model(number) for number in range(1, 41))

#: Ends statements that store headers with an error. A sequence counts them, also those that are undone.
FAILING = """
CREATE SEQUENCE stored;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('stored') {when} THEN RAISE EXCEPTION 'as told' USING ERRCODE = '{code}'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER fail AFTER {event} ON headers FOR EACH STATEMENT EXECUTE FUNCTION fail()
"""


def fail(engine: sa.Engine, when: str, code: str, event: str = "INSERT") -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(FAILING.format(when=when, code=code, event=event))


def outcomes(engine: sa.Engine) -> dict[int, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome)).all()
    return {row.file_id: row.outcome for row in rows}


@ON_POSTGRESQL
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_conflict_costs_no_download(engine: sa.Engine, code: str) -> None:
    fail(engine, f"BETWEEN 3 AND {1 + CONFLICT_TRIES}", code)
    site = Site(models=MODELS)

    tally = run(engine, site)

    assert (tally.pending, tally.headers, tally.counted_downloads) == (0, 40, 40)
    assert sorted(site.fetched) == [model.model_id for model in MODELS]
    with engine.connect() as connection:
        assert set(connection.execute(sa.select(loras.c.attempts)).scalars()) == {1}


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("code", "words"), [("40P01", "conflicted with another"), ("53100", "disk is full")]
)
def test_what_does_not_end_is_work_left(engine: sa.Engine, code: str, words: str) -> None:
    fail(engine, "> 3", code)
    with pytest.raises(StoppedError, match=words) as stopped:
        run(engine, Site(models=MODELS))
    assert stopped.value.exit_code == 4
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER fail ON headers")
        stored = set(connection.execute(sa.select(headers.c.file_id)).scalars())
    found = outcomes(engine)
    assert {file_id for file_id, outcome in found.items() if outcome == "decoded"} == stored
    assert 0 < len(stored) < len(MODELS)

    site = Site(models=MODELS)
    assert run(engine, site).pending == 0
    assert sorted(site.fetched) == [one.model_id for one in MODELS if one.model_id not in stored]


@ON_POSTGRESQL
def test_a_conflict_does_not_end_a_scan_or_a_redecode(engine: sa.Engine, tmp_path: Path) -> None:
    write_lora(tmp_path / "a.safetensors", dict(METADATA))
    plan = ScanPlan(roots=(str(tmp_path),))
    fail(engine, "< 3", "40001")
    scanned = ScanTally()

    scan(engine, plan, tally=scanned, going=lambda: True)

    assert (scanned.read, scanned.outcomes) == (1, {"decoded": 1})
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER fail ON headers; DROP SEQUENCE stored")
        connection.exec_driver_sql("DROP FUNCTION fail")
    fail(engine, "< 3", "40001", "UPDATE")
    decoded = RedecodeTally()

    redecode(engine, tally=decoded, going=lambda: True, everything=True)

    assert (decoded.total, decoded.done, decoded.left) == (1, 1, 0)
    with engine.connect() as connection:
        assert connection.execute(sa.select(loras.c.attempts)).scalars().all() == [1]
        assert connection.exec_driver_sql("SELECT last_value FROM stored").scalar_one() > 2


@ON_POSTGRESQL
def test_a_scan_that_conflicts_again_and_again_is_work_left(
    engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "CONFLICT_WAIT", 0)
    write_lora(tmp_path / "a.safetensors", dict(METADATA))
    fail(engine, "> 0", "40P01")

    with pytest.raises(StoppedError, match="conflicted with another") as stopped:
        scan(engine, ScanPlan(roots=(str(tmp_path),)), tally=ScanTally(), going=lambda: True)

    assert stopped.value.exit_code == 4
    with engine.connect() as connection:
        tries = connection.exec_driver_sql("SELECT last_value FROM stored").scalar_one()
    assert tries == CONFLICT_TRIES


def test_a_server_that_crashes_is_work_left(own_server: tuple[Path, sa.URL]) -> None:
    """It takes some seconds: a server starts twice."""
    folder, url = own_server
    engine = open_for_writing(url)

    def fifth(number: int) -> None:
        if number == 5:
            postgres.crash(folder)

    with pytest.raises(StoppedError, match="run the command again") as stopped, sync_lock(engine):
        run(engine, Site(trouble=fifth, models=MODELS))
    assert stopped.value.exit_code == 4

    postgres.start_again(folder)
    site = Site(models=MODELS)
    with sync_lock(engine):
        assert run(engine, site).pending == 0
    assert len(MODELS) - 5 <= len(site.fetched) < len(MODELS)
    assert outcomes(engine) == {model.model_id: "decoded" for model in MODELS}
    engine.dispose()
