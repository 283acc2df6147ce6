"""A database that cannot take any more in the middle of a crawl."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import StoppedError
from crawler.model import Fetched, Target
from crawler.store.connect import engines
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.schema.tables import headers, loras
from tests.factories import METADATA, make_header_bytes, make_model
from tests.sync.site import Site, run, sound
from tests.sync.snapshots import snapshot

#: Pages of 4 KiB: the tables fit, the headers of all files do not.
MOST_PAGES = 250

MODELS = tuple(make_model(number) for number in range(1, 41))


def big(target: Target, _renew: Callable[[], bool]) -> Fetched:
    """A header of some 80 KB that shrinks to half of it, another one for every file."""
    noise = {"note": random.Random(target.file_id).randbytes(40_000).hex()}
    return sound(target, prefix=make_header_bytes({**METADATA, **noise}))


def place_of(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@contextmanager
def locked(engine: sa.Engine) -> Iterator[Callable[[], object]]:
    """To be called: from then on another program keeps everybody from writing."""
    if engine.dialect.name == "sqlite":
        other = sqlite3.connect(
            str(engine.url.database), isolation_level=None, check_same_thread=False
        )
        try:
            yield lambda: other.execute("BEGIN IMMEDIATE")
        finally:
            other.close()
        return
    plain = sa.create_engine(engine.url, poolclass=sa.NullPool)
    with plain.connect() as connection:
        yield lambda: connection.exec_driver_sql("LOCK TABLE loras")


def test_a_database_that_another_program_locks_ends_the_run_in_words(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.1)
    impatient = open_for_writing(place_of(engine))
    with locked(engine) as lock:

        def fifth(number: int) -> None:
            if number == 5:
                lock()

        with pytest.raises(StoppedError, match="another program") as stopped:
            run(impatient, Site(trouble=fifth, models=MODELS), max_downloads=30)
    impatient.dispose()
    assert stopped.value.exit_code == 4

    tally = run(engine, Site(models=MODELS))

    assert tally.pending == 0
    with engine.connect() as connection:
        outcomes = connection.execute(sa.select(loras.c.outcome)).scalars().all()
    assert outcomes == ["decoded"] * len(MODELS)


def test_a_full_disk_ends_the_run_in_words_and_room_lets_it_go_on(
    sqlite_template: Path, tmp_path: Path
) -> None:
    whole, cramped = tmp_path / "whole.db", tmp_path / "cramped.db"
    for place in (whole, cramped):
        place.write_bytes(sqlite_template.read_bytes())
    engine = open_for_writing(whole)
    run(engine, Site(answer=big, models=MODELS))
    undisturbed = snapshot(engine)
    engine.dispose()

    small = open_for_writing(cramped)

    @sa.event.listens_for(small, "begin")
    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {MOST_PAGES}")

    with pytest.raises(StoppedError, match="disk is full") as stopped:
        run(small, Site(answer=big, models=MODELS))
    small.dispose()
    assert stopped.value.exit_code == 4

    roomy = open_for_writing(cramped)
    with roomy.connect() as connection:
        stored = connection.execute(sa.select(sa.func.count()).select_from(headers)).scalar_one()
        decoded = connection.execute(
            sa.select(sa.func.count()).where(loras.c.outcome == "decoded")
        ).scalar_one()
        sound_file = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
    assert stored == decoded < len(MODELS)
    assert sound_file == "ok"
    run(roomy, Site(answer=big, models=MODELS))
    assert snapshot(roomy) == undisturbed
    roomy.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_server_that_cuts_every_connection_in_mid_run_is_work_left(engine: sa.Engine) -> None:
    other = sa.create_engine(engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def fifth(number: int) -> None:
        if number == 5:
            with other.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    with sync_lock(engine), pytest.raises(StoppedError) as stopped:
        run(engine, Site(trouble=fifth, models=MODELS))
    assert stopped.value.exit_code == 4

    assert run(engine, Site(models=MODELS)).pending == 0
