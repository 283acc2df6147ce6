"""In which state a place for a database is, and what to do about it."""

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

#: The newest revision in migrations/, whose names are numbers of four digits in one straight line.
#: Kept here too, so that a reader need not import Alembic to know it.
REVISION = "0004"

#: Alembic's table; with `loras` beside it a database is ours.
_VERSION_TABLE = "alembic_version"

_VERSION: sa.Select[str] = sa.select(sa.column("version_num", sa.String())).select_from(
    sa.table(_VERSION_TABLE)
)

#: How many of another program's tables a message names.
_NAMED_TABLES = 5


class State(StrEnum):
    """What stands at a place where a database should be."""

    MISSING = "missing"
    EMPTY = "empty"
    OLD = "old"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """A state and what shows it.

    Attributes:
        detail: The revision, or the names of another program's tables.
    """

    state: State
    detail: str = ""


def is_missing(url: sa.URL) -> bool:
    """Whether there is no file yet. Always False for a server, which has to be asked.

    Raises:
        DatabaseError: What is there is no plain file, or may not be looked at.
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
        kind = "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise DatabaseError(f"{path} is {kind}; give the path of a database file with --db")
    return False


def look(engine: sa.Engine) -> Found:
    """The state of a database that is there.

    Raises:
        DatabaseError, StoppedError: As `translated` has it.
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
    """What is wrong with a database that is not current, and the command that mends it."""
    place = redacted(url)
    # A URL is shown without its secrets; where it has some, it stands for itself.
    shown = place if url.get_backend_name() == "sqlite" or HIDDEN not in place else "URL"
    option = f" --db {shlex.quote(shown)}"
    match found.state:
        case State.MISSING:
            return f"{place}: there is no database\nfill one: lora-crawl sync --limit 500{option}"
        case State.EMPTY:
            return f"{place}: the database is empty\nfill it: lora-crawl sync --limit 500{option}"
        case State.OLD:
            return (
                f"{place}: the database is of an older lora-crawl (revision {found.detail}, this"
                f" one has {REVISION})\nbring it up to date: lora-crawl db upgrade{option}"
            )
        case State.NEWER:
            return (
                f"{place}: the database is of a newer lora-crawl (revision {found.detail}, this one"
                f" has {REVISION})\nupgrade the program: pip install --upgrade lora-crawl"
            )
        case State.FOREIGN:
            return (
                f"{place}: this is no database of lora-crawl, it holds {found.detail}\n"
                "give another place with --db"
            )
        case State.CURRENT:
            return f"{place}: the database is up to date (revision {found.detail})"
