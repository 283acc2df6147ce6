"""The databases that tests run on.

Every test that takes `engine`, `database_url`, `prepared` or `backend` runs twice: on SQLite and on a
real PostgreSQL, which a session starts for itself, shares among its processes and takes away again.
Those with the `backend` of tests/faces.py run on PostgreSQL at night only.
A database is migrated and filled once in a session; a test gets a copy, or one that a test before it
has only read.
"""

import contextlib
import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import typer.main
from filelock import FileLock
from hypothesis import settings

from crawler.store.connect.database import Where, open_as_found, open_for_writing
from tests import postgres

Fill = Callable[[sa.Engine], object]

#: Gives an engine on a copy of the database of a name, which the function filled once.
Prepared = Callable[[str, Fill], sa.Engine]

# Examples that are made up for each property; `--hypothesis-profile thorough` tries more. A slow
# machine is no failure.
settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile("default")

#: What all processes of a session share: the server, its `url` once it takes connections, and
#: the databases that are copied.
SHARED_FOLDER = pytest.StashKey[Path]()

#: Modules with tests of many seconds: they start and kill processes, or show pages in a browser.
LONG = (
    "test_five_workers.py",
    "test_full_faults.py",
    "test_interrupted.py",
    "test_killed.py",
    "test_pages_in_browser.py",
    "test_questions.py",
    "test_report_in_browser.py",
    "test_wheel.py",
)

#: The name of the migrated database with nothing in it.
EMPTY = "loras"

#: What a person may have set for real use; a test that wants one of them sets it itself.
FOREIGN_VARIABLES = ("LORA_CRAWL_DB", "LORA_CRAWL_API_URL", "NO_COLOR", "FORCE_COLOR")
FOREIGN_PREFIXES = ("CIVITAI_",)
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Engines:
    """The engines of one process. A later copy of a database takes the place of an earlier one.

    An engine keeps the statements that it compiled: a new one for each test would compile them again.

    Attributes:
        folder: Where the SQLite files are.
        prefix: How the names of the PostgreSQL databases begin.
    """

    folder: Path
    prefix: str
    opened: dict[Where, sa.Engine] = field(default_factory=dict)

    def on(self, place: Where) -> sa.Engine:
        """The engine on a database, without connections to an earlier one."""
        if place not in self.opened:
            self.opened[place] = open_as_found(place)
        return self.opened[place]


#: For tests of what does not depend on the database.
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

#: For tests of what only a server has.
ON_POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


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


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client reads the certificates of the machine, some 150; no test needs one of them."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)


@pytest.fixture(autouse=True)
def _time_to_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an empty answer is explained too, and not left as it is after two seconds."""
    monkeypatch.setattr("crawler.store.read.unmatched.SECONDS", 60.0)
    monkeypatch.setattr("crawler.store.read.unmatched._SECONDS_FOR_ANY", 30.0)


@pytest.fixture(autouse=True, scope="session")
def _commands_built_once() -> Iterator[None]:
    """Typer's test runner builds every command again for each call, which takes most of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))
        yield


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
    copies: postgres.Copies = request.getfixturevalue("copies")
    with copies.copy(f"test_{uuid4().hex}") as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def engine(prepared: Prepared) -> sa.Engine:
    """A migrated, empty database, open for writing; another one than `database_url`.

    What `--db` takes for it: `engine.url.render_as_string(hide_password=False)`.
    """
    return prepared(EMPTY, lambda _: None)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Engines:
    return Engines(tmp_path_factory.mktemp("databases"), f"test_{uuid4().hex[:8]}")


@pytest.fixture
def prepared(backend: str, request: pytest.FixtureRequest, engines: Engines) -> Iterator[Prepared]:
    """For tests that begin with the same rows, where these take long to make."""
    shared = request.config.stash[SHARED_FOLDER]

    with contextlib.ExitStack() as stack:

        def copy(name: str, fill: Fill) -> sa.Engine:
            place: Where
            if backend == "sqlite":
                folder = engines.folder / name
                folder.mkdir()
                stack.callback(shutil.rmtree, folder)
                place = shutil.copy(_sqlite_template(shared, name, fill), folder / f"{name}.db")
            else:
                server: sa.URL = request.getfixturevalue("postgres_server")
                copies: postgres.Copies = request.getfixturevalue("copies")
                template = _postgres_template(shared, server, name, fill)
                place = stack.enter_context(copies.kept(f"{engines.prefix}_{name}", template))
            engine = engines.on(place)
            stack.callback(engine.dispose)
            return engine

        yield copy


@pytest.fixture(scope="session")
def sqlite_template(pytestconfig: pytest.Config) -> Path:
    """A migrated SQLite file, to be copied."""
    return _sqlite_template(pytestconfig.stash[SHARED_FOLDER], EMPTY, lambda _: None)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> sa.URL:
    """The session's PostgreSQL server.

    The first process that asks for it starts it; see `pytest_configure` for who stops it.
    """
    shared = pytestconfig.stash[SHARED_FOLDER]
    address = shared / "url"
    with FileLock(shared / "url.lock"):
        if not address.exists():
            url = postgres.start(shared)
            address.write_text(url.render_as_string(hide_password=False))
    return sa.make_url(address.read_text())


@pytest.fixture
def own_server() -> Iterator[tuple[Path, sa.URL]]:
    """A server that no other test uses, and its folder. What it has committed outlives its crash."""
    folder = postgres.make_folder()
    try:
        url = postgres.start(folder)
        postgres.run(url, "ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()")
        yield folder, url
    finally:
        postgres.remove(folder)


@pytest.fixture(scope="session")
def copies(postgres_server: sa.URL) -> Iterator[postgres.Copies]:
    """Makes copies of the databases of the session's server."""
    made = postgres.Copies(postgres_server)
    yield made
    made.close()


def _sqlite_template(shared: Path, name: str, fill: Fill) -> Path:
    """The SQLite file of a name, made by the first process that asks for it."""
    made = shared / f"{name}.db"
    with FileLock(shared / f"{name}.db.lock"):
        if not made.exists():
            begun = shared / f"{name}.begun.db"
            begun.unlink(missing_ok=True)
            if name != EMPTY:
                shutil.copy(_sqlite_template(shared, EMPTY, lambda _: None), begun)
            _fill(begun, fill)
            begun.rename(made)
    return made


def _postgres_template(shared: Path, server: sa.URL, name: str, fill: Fill) -> str:
    """The name of the database of a name in the server, made by the first process that asks for it."""
    database, made = f"template_{name}", shared / f"{name}.made"
    with FileLock(shared / f"{name}.made.lock"):
        if not made.exists():
            source = "template1"
            if name != EMPTY:
                source = _postgres_template(shared, server, EMPTY, lambda _: None)
            drop = f"DROP DATABASE IF EXISTS {database}"
            postgres.run(server, drop, f"CREATE DATABASE {database} TEMPLATE {source}")
            _fill(server.set(database=database), fill)
            made.touch()
    return database


def _fill(place: Where, fill: Fill) -> None:
    engine = open_for_writing(place)
    try:
        fill(engine)
    finally:
        engine.dispose()


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder that the processes of a session share.

    The process that the session began with makes the folder and, at its end, stops the server in it,
    if one was started; the processes of pytest-xdist are told its name. Thus all of them share one
    server, and none that crashes leaves one behind.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[SHARED_FOLDER] = Path(worker["shared_folder"])
        return
    folder = postgres.make_folder()
    config.stash[SHARED_FOLDER] = folder
    config.add_cleanup(lambda: postgres.remove(folder))
    # Each process that a test starts would compile the whole program again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Being terminated ends the session as Ctrl-C does, with its cleanup.

    By way of SIGINT, for which asyncio cancels the main task. An exception raised in the middle of
    another task would leave a thread of AnyIO behind that waits for ever.
    """
    if hasattr(session.config, "workerinput"):
        return

    def terminate(*_: object) -> None:
        session.shouldstop = "terminated"  # should the test swallow the interrupt
        signal.raise_signal(signal.SIGINT)

    # What a shell starts in the background ignores SIGINT, and asyncio then leaves it alone.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: a test that comes last keeps one process busy and the others idle."""
    crawls = str(Path(__file__).parent / "sync")
    items.sort(key=lambda item: (item.path.name not in LONG, not str(item.path).startswith(crawls)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which folder is shared."""
    node.workerinput["shared_folder"] = str(node.config.stash[SHARED_FOLDER])
