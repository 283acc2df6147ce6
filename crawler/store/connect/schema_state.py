"""The state of a database, and what the user can do about it."""

import re
import shlex
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.store.connect.db_errors import translated
from crawler.store.connect.url import HIDDEN, redacted

#: The newest revision in migrations/. Revisions are numbered with four digits, without branches.
#: It is repeated here so that readers need not import Alembic.
REVISION = "0004"

#: Alembic's table. A database with this table and `loras` is ours.
_VERSION_TABLE = "alembic_version"

_VERSION: sa.Select[str] = sa.select(sa.column("version_num", sa.String())).select_from(
    sa.table(_VERSION_TABLE)
)

#: How many tables of another program a message names.
_NAMED_TABLES = 5


class State(StrEnum):
    """What is found where a database should be."""

    MISSING = "missing"
    EMPTY = "empty"
    OLD = "old"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """A state with its evidence.

    Attributes:
        detail: The revision, or the names of another program's tables.
    """

    state: State
    detail: str = ""


def is_missing(url: sa.URL) -> bool:
    """Whether the database file does not exist yet. Always False for a server.

    Raises:
        DatabaseError: The path is not an ordinary file, or cannot be looked at.
    """
    if url.get_backend_name() != "sqlite":
        return False
    path = Path(str(url.database))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return True
    except OSError as error:
        raise DatabaseError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
        raise DatabaseError(f"{path} is {kind}; give the path of a database file with --db")
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
            version = str(connection.execute(_VERSION).scalar() or "")
    if not version and not set(tables) - {_VERSION_TABLE}:
        return Found(State.EMPTY)
    if "loras" not in tables or not re.fullmatch("[0-9]{4}", version):
        return Found(State.FOREIGN, ", ".join(tables[:_NAMED_TABLES]))
    if version == REVISION:
        return Found(State.CURRENT, version)
    return Found(State.OLD if version < REVISION else State.NEWER, version)


def advice(url: sa.URL, found: Found) -> str:
    """The problem with a database that is not current, and the command that solves it."""
    place = redacted(url)
    # A URL with hidden secrets would not work if copied.
    shown = place if url.get_backend_name() == "sqlite" or HIDDEN not in place else "URL"
    option = f" --db {shlex.quote(shown)}"
    revisions = f"(revision {found.detail}, this one uses {REVISION})"
    match found.state:
        case State.MISSING:
            return f"{place}: there is no database\nfill one: lora-crawl sync --limit 500{option}"
        case State.EMPTY:
            return f"{place}: the database is empty\nfill it: lora-crawl sync --limit 500{option}"
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
                f"{place}: this is no database of lora-crawl; its tables are {found.detail}"
                "\nchoose another database with --db"
            )
        case State.CURRENT:
            return f"{place}: the database is up to date (revision {found.detail})"
