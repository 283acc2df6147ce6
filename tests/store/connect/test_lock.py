"""One sync at a time; on both databases."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, StoppedError
from crawler.store.connect.database import open_for_reading, open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.write.crawls import LOCAL, begin_crawl
from tests.factories import NOW

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


def write(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        begin_crawl(connection, origin=LOCAL, walk="w", now=NOW)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("suffix", ["", ".lock"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_taken_away_under_a_writer_is_noticed(
    engine: sa.Engine, suffix: str, how: str
) -> None:
    place = Path(f"{engine.url.database}{suffix}")
    with sync_lock(engine):
        write(engine)
        if how == "deleted":
            place.unlink()
        else:
            other = place.with_name("other")
            other.touch()
            other.replace(place)
        with pytest.raises(DatabaseError, match="deleted or replaced"):
            write(engine)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_two_names_of_a_database_have_one_lock(engine: sa.Engine, tmp_path: Path) -> None:
    link = tmp_path / "links" / "same.db"
    link.parent.mkdir()
    link.symlink_to(str(engine.url.database))
    other = open_for_writing(link)
    with sync_lock(engine), pytest.raises(StoppedError, match="another sync"), sync_lock(other):
        pass
    with sync_lock(other):
        write(other)
        link.unlink()
        link.symlink_to(tmp_path / "elsewhere.db")
        with pytest.raises(DatabaseError, match="deleted or replaced"):
            write(other)
    other.dispose()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("which", ["first", "second"])
def test_a_database_with_hard_links_is_not_written(
    engine: sa.Engine, tmp_path: Path, which: str
) -> None:
    place = Path(str(engine.url.database))
    link = tmp_path / "link.db"
    link.hardlink_to(place)

    with pytest.raises(DatabaseError, match=r"has 2 names .* remove the other"):
        open_for_writing(place if which == "first" else link)

    open_for_reading(place).dispose()
    link.unlink()
    open_for_writing(place).dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_lock_that_is_lost_is_noticed(engine: sa.Engine) -> None:
    with sync_lock(engine):
        write(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        with pytest.raises(StoppedError, match="was lost"):
            write(engine)
        with pytest.raises(StoppedError, match="was lost"):
            write(engine)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_locks_and_folders_are_the_users_own_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        engine = open_for_writing(tmp_path / "new" / "folder" / "loras.db")
        with sync_lock(engine):
            pass
    finally:
        os.umask(before)
    engine.dispose()
    folder = tmp_path / "new" / "folder"
    modes = {path: path.stat().st_mode & 0o777 for path in (folder.parent, folder)}
    assert set(modes.values()) == {0o700}
    assert (folder / "loras.db.lock").stat().st_mode & 0o777 == 0o600
