"""One sync at a time; on both databases."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock

HOLDER = """
import sys
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
with sync_lock(open_for_writing(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(engine: sa.Engine) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of the same database."""
    place = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, place],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_sync_is_refused_while_the_first_runs(engine: sa.Engine) -> None:
    other = open_for_writing(engine.url)
    with sync_lock(engine):
        with pytest.raises(StoppedError, match="another sync is running"), sync_lock(other):
            pass
        with pytest.raises(StoppedError), sync_lock(engine):
            pass

    with sync_lock(other):
        pass
    other.dispose()


def test_the_lock_is_free_after_an_error(engine: sa.Engine) -> None:
    with pytest.raises(RuntimeError), sync_lock(engine):
        raise RuntimeError("stopped")

    with sync_lock(engine):
        pass


def test_the_lock_dies_with_its_process(engine: sa.Engine, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(StoppedError), sync_lock(engine):
        pass

    holder.kill()
    holder.wait()

    _acquire_soon(engine)


def _acquire_soon(engine: sa.Engine) -> None:
    """PostgreSQL notices a moment later that a client is gone."""
    with engine.connect() as connection:
        for _ in range(100):
            try:
                with sync_lock(engine):
                    return
            except StoppedError:
                if engine.dialect.name == "sqlite":
                    raise
                connection.exec_driver_sql("SELECT pg_sleep(0.1)")
    pytest.fail("the lock of a dead process is still held")


def test_databases_do_not_lock_each_other(engine: sa.Engine, database_url: str) -> None:
    other = open_for_writing(database_url)

    with sync_lock(engine), sync_lock(other):
        pass

    other.dispose()


def test_the_lock_does_not_stand_in_the_way_of_writing(engine: sa.Engine) -> None:
    with sync_lock(engine), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM crawls")


def test_a_folder_where_no_lock_can_be_made_is_named(sqlite_template: Path, tmp_path: Path) -> None:
    place = tmp_path / "loras.db"
    place.write_bytes(sqlite_template.read_bytes())
    (tmp_path / "loras.db.lock").mkdir()
    engine = open_for_writing(place)

    with pytest.raises(DatabaseError, match="the lock file cannot be created"), sync_lock(engine):
        pass
    engine.dispose()
