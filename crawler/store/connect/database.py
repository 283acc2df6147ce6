"""Open a database to read or to write, and upgrade it.

Readers never change a database. Writers create and upgrade it as needed.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

import crawler
from crawler.errors import DatabaseError
from crawler.store.connect.db_errors import needed_rights, translated
from crawler.store.connect.engines import postgres, sqlite_reader, sqlite_writer
from crawler.store.connect.lock import limit_waits, naming_holders, upgrade_lock
from crawler.store.connect.sqlite_copies import keep_copy, shrink
from crawler.store.connect.url import db_option, redacted, resolve

#: For modules that may not import SQLAlchemy.
Connection = sa.Connection
Engine = sa.Engine

#: The newest revision in migrations/. Revisions are numbered with four digits, without branches.
#: It is repeated here so that readers need not import Alembic.
REVISION = "0016"

#: The revision with a table of tensor lists.
WITH_LISTS = "0006"

#: The revision that has the tags with their old ids in tables of their own.
WITH_OLD_TAGS = "0010"

#: Alembic's table. A database with this table and `loras` is ours.
_VERSION_TABLE = "alembic_version"

#: How many tables of another program a message names.
_NAMED_TABLES = 5


class State(StrEnum):
    """The state of a database, or of the place where one should be."""

    MISSING = "missing"
    EMPTY = "empty"
    OLD = "old"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """A state, with the revision or the names of another program's tables."""

    state: State
    detail: str = ""


def is_missing(url: sa.URL, *, to_write: bool = False) -> bool:
    """Whether the database file does not exist yet. Always False for a server.

    Raises:
        DatabaseError: The path is not an ordinary file, or cannot be examined; or it is one of several
            hard links, and the database is opened to write.
    """
    if url.get_backend_name() != "sqlite":
        return False
    path = Path(str(url.database))
    try:
        found = path.stat()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not an ordinary file"
        raise DatabaseError(f"{path} is {kind}; give the path of a database file")
    if to_write and found.st_nlink > 1:
        # SQLite names its WAL file after the database: each name would have one of its own.
        raise DatabaseError(
            f"{path} has {found.st_nlink} names (hard links), and writing under two of them destroys a"
            " SQLite database; use a copy, or remove the other names"
        )
    return False


def look(engine: sa.Engine) -> Found:
    """The state of a database that exists.

    Raises:
        DatabaseError, StoppedError: As in `translated`.
    """
    with translated(engine.url), engine.connect() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        version = ""
        if _VERSION_TABLE in tables:
            stored = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            version = str(stored.scalar() or "")
        if not tables and engine.dialect.name == "postgresql":
            _demand_schema(connection)
    if not version and not set(tables) - {_VERSION_TABLE}:
        return Found(State.EMPTY)
    if "loras" not in tables or not re.fullmatch("[0-9]{4}", version):
        return Found(State.FOREIGN, ", ".join(tables[:_NAMED_TABLES]))
    if version == REVISION:
        return Found(State.CURRENT, version)
    return Found(State.OLD if version < REVISION else State.NEWER, version)


def _demand_schema(connection: sa.Connection) -> None:
    """Raise DatabaseError if this role may use no schema: every table is hidden from it then."""
    if connection.exec_driver_sql("SELECT current_schema()").scalar() is None:
        url = connection.engine.url
        raise DatabaseError(f"{redacted(url)}: this user may use no schema{needed_rights(url)}")


def advice(url: sa.URL, found: Found) -> str:
    """The problem with a database that is not current, and the command that solves it."""
    place = redacted(url)
    option = db_option(url)
    revisions = f"(revision {found.detail}, this one uses {REVISION})"
    match found.state:
        case State.MISSING:
            return f"{place}: there is no database\nfill one: lora-crawl sync --limit 50{option}"
        case State.EMPTY:
            return f"{place}: the database is empty\nfill it: lora-crawl sync --limit 50{option}"
        case State.OLD:
            return (
                f"{place}: the database was made by an older lora-crawl {revisions}"
                f"\nupgrade it: lora-crawl db upgrade{option}"
            )
        case State.NEWER:
            return (
                f"{place}: the database was made by a newer lora-crawl {revisions}"
                "\nupgrade the program: pip install --upgrade lora-crawl"
            )
        case State.FOREIGN:
            return (
                f"{place}: this is not a lora-crawl database; its tables are {found.detail}"
                "\nchoose another database"
            )
        case State.CURRENT:
            return f"{place}: the database is up to date (revision {found.detail})"


Where = str | os.PathLike[str] | sa.URL

#: Takes a sentence for the user.
Tell = Callable[[str], None]

#: The key of PostgreSQL's advisory lock that is held while tables change.
_UPGRADE_LOCK = 7_236_180_211


def state(where: Where) -> State:
    """The state of a database; nothing is created or changed.

    Raises:
        UsageError: `where` is not the name of a database.
        DatabaseError: It cannot be read: a folder, no permission, no server, a wrong password.
    """
    return _find(resolve(where)).state


def open_for_reading(where: Where) -> Engine:
    """An engine that cannot change anything. The caller disposes of it.

    Raises:
        UsageError: `where` is not the name of a database.
        DatabaseError: It is missing or not current. The message says which command to run.
    """
    url = resolve(where)
    found = _find(url)
    if found.state is not State.CURRENT:
        raise DatabaseError(advice(url, found))
    return _reader(url)


def open_for_writing(where: Where, tell: Tell = lambda _: None) -> Engine:
    """An engine on a database, which is created or upgraded as needed. The caller disposes of it.

    Args:
        where: A path or a URL.
        tell: As in `upgrade`.

    Raises:
        UsageError: `where` is not the name of a database.
        DatabaseError: It is newer than this program, belongs to another one, or cannot be written.
        StoppedError: Another program was writing to it for BUSY_TIMEOUT seconds.
    """
    url = resolve(where)
    found = _find(url, to_write=True)
    if found.state in {State.NEWER, State.FOREIGN}:
        raise DatabaseError(advice(url, found))
    if found.state is State.MISSING:
        folder = Path(str(url.database)).parent
        try:
            for missing in reversed((folder, *folder.parents)):
                missing.mkdir(mode=0o700, exist_ok=True)  # `parents` would leave it to the umask
        except OSError as error:
            message = f"{folder}: the folder cannot be created: {error.strerror}"
            raise DatabaseError(message) from error
    with contextlib.ExitStack() as on_error:
        engine = open_as_found(url)
        on_error.callback(engine.dispose)
        if found.state is not State.CURRENT:
            upgrade(engine, tell)
        with translated(url), engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Fails now if the file cannot be written; BEGIN alone does not always.
                connection.exec_driver_sql("PRAGMA user_version = 0")
        on_error.pop_all()
    return engine


def identity(connection: Connection) -> str:
    """A text that is the same for two connections to one database, whatever name each was opened by.

    A copy of a server knows itself by the same number as the first, but it started at another time.
    """
    if connection.dialect.name == "sqlite":
        found = Path(str(connection.engine.url.database)).stat()
        return f"{found.st_dev} {found.st_ino}"
    statement = (
        "SELECT extract(epoch FROM pg_postmaster_start_time()), oid FROM pg_database"
        " WHERE datname = current_database()"
    )
    return " ".join(map(str, connection.exec_driver_sql(statement).one()))


def open_as_found(where: Where) -> Engine:
    """A writing engine for a database in any state. Only migrations and their tests use it."""
    url = resolve(where)
    is_file = url.get_backend_name() == "sqlite"
    return sqlite_writer(url) if is_file else postgres(url, read_only=False)


def upgrade(engine: Engine, tell: Tell = lambda _: None) -> None:
    """Upgrade an empty or older database to the newest revision; a current one gets what it lacks.

    An empty one gets the newest tables at once. Tables change completely or not at all. Behind the
    revision 0006 the stored headers are cut, which takes some 3 ms for each, and behind 0010 tags get
    their new ids; an interrupted upgrade goes on from there. An SQLite file is copied before and gives
    the freed space back afterwards. Of two upgrades at once the second waits for the first.

    Args:
        engine: Open for writing.
        tell: Takes sentences on what is done, if it takes long.

    Raises:
        DatabaseError, StoppedError: As in `translated`; there is no room for the copy; or another
            program holds a lock for too long.
    """
    if look(engine).state is State.EMPTY:
        _create(engine)
        return
    with upgrade_lock(engine):
        _upgrade(engine, look(engine), tell)  # another upgrade may have been quicker


def _upgrade(engine: Engine, found: Found, tell: Tell) -> None:
    is_file = engine.dialect.name == "sqlite"
    moves = found.state is State.OLD and found.detail <= WITH_OLD_TAGS
    if moves:
        from crawler.store.write.cut_headers import cut_headers  # noqa: PLC0415
        from crawler.store.write.move_tags import move_tags  # noqa: PLC0415

        if is_file and found.detail not in {WITH_LISTS, WITH_OLD_TAGS}:
            tell(keep_copy(Path(str(engine.url.database)), found.detail))
        for revision, move in ((WITH_LISTS, cut_headers), (WITH_OLD_TAGS, move_tags)):
            if found.detail <= revision:
                _revise(engine, revision)
                move(engine, tell)
    _revise(engine, "head")
    if is_file and moves:
        shrink(engine)


def _create(engine: Engine) -> None:
    """Make the newest tables. This takes a twentieth of the time of all revisions with their imports."""
    from crawler.store.schema import tables, views  # noqa: PLC0415 - most commands find tables

    # Alembic's own table, as it makes it.
    stamp = sa.Table(
        _VERSION_TABLE,
        sa.MetaData(),
        sa.Column("version_num", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
    )
    with changing_tables(engine) as connection:
        stamp.create(connection, checkfirst=True)
        if connection.execute(sa.select(stamp)).first() is not None:
            return  # Another program was quicker.
        tables.create(connection)
        views.describe(connection)
        connection.execute(sa.insert(stamp).values(version_num=REVISION))


def _revise(engine: Engine, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - readers do not need it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    with changing_tables(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def migrations_folder() -> Path:
    """Where the revisions are: inside the installed package, or beside it in a checkout."""
    package = Path(crawler.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


@contextlib.contextmanager
def changing_tables(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that may change tables. Migrations run in it.

    Raises:
        DatabaseError, StoppedError: As in `translated`.
    """
    change = _postgres_change if engine.dialect.name == "postgresql" else _sqlite_change
    with translated(engine.url), change(engine) as connection:
        yield connection


@contextlib.contextmanager
def keeping_revision(engine: Engine) -> Iterator[None]:
    """Make sure, when a transaction of the engine begins, that the tables are those of this program.

    On PostgreSQL. An upgrade waits for the end of the transaction, and the transaction for that of an
    upgrade. If the tables have changed, the transaction raises DatabaseError.
    """

    def check(connection: Connection) -> None:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_UPGRADE_LOCK)))
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        if found != REVISION:
            changed = State.OLD if found < REVISION else State.NEWER
            raise DatabaseError(advice(engine.url, Found(changed, found)))

    sa.event.listen(engine, "begin", check)
    try:
        yield
    finally:
        sa.event.remove(engine, "begin", check)


@contextlib.contextmanager
def _postgres_change(engine: Engine) -> Iterator[Connection]:
    """A transaction that excludes other upgrades and does not wait for ever for other sessions."""
    with naming_holders(engine), engine.begin() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise DatabaseError(
                f"{redacted(engine.url)}: its encoding is {encoding}; create it again with"
                " createdb --encoding=UTF8 --template=template0"
            )
        limit_waits(connection, "SET LOCAL")
        with naming_holders(engine, _UPGRADE_LOCK):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        yield connection


@contextlib.contextmanager
def _sqlite_change(engine: Engine) -> Iterator[Connection]:
    """A transaction that checks foreign keys only at its end.

    SQLite changes a table by making a new one and dropping the old one. With foreign keys on, the
    DROP would delete every row that refers to it.
    """
    with engine.connect() as connection:
        # The pragma works outside of transactions only, and `connection.execute` would begin one.
        _pragma(connection, "foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise DatabaseError(
                        f"{redacted(engine.url)}: some rows refer to rows that do not exist"
                    )
        finally:
            _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, setting: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _find(url: sa.URL, *, to_write: bool = False) -> Found:
    if is_missing(url, to_write=to_write):
        return Found(State.MISSING)
    engine = _reader(url)
    try:
        return look(engine)
    finally:
        engine.dispose()


def _reader(url: sa.URL) -> Engine:
    is_file = url.get_backend_name() == "sqlite"
    return sqlite_reader(url) if is_file else postgres(url, read_only=True)
