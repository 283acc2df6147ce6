"""What `--db` accepts: the path of a SQLite file, or a database URL."""

import os
import shlex
from pathlib import Path

import sqlalchemy as sa

from crawler.errors import UsageError

#: For modules that may not import SQLAlchemy.
Url = sa.URL

#: Replaces a secret; SQLAlchemy hides passwords in the same way.
HIDDEN = "***"

#: libpq's options that may hold a secret in the query part of a URL.
_SECRET_OPTIONS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key"})

_FORMS = "a path for SQLite, or a URL like postgresql://user@host/name"


def resolve(where: str | os.PathLike[str] | sa.URL) -> sa.URL:
    """The URL of a database, with its driver.

    Args:
        where: A SQLite path (`~` is the home directory), or a URL: `sqlite:///path`, `postgresql://…`
            or `postgres://…`.

    Raises:
        UsageError: It is neither, or names a kind of database that is not supported.
    """
    if isinstance(where, sa.URL):
        return _checked(where)
    text = os.fspath(where)
    if not text.strip() or "\x00" in text:
        raise UsageError(f"{text!r} is not the name of a database; give {_FORMS}")
    if "://" not in text:
        return _sqlite(text)
    try:
        return _checked(sa.make_url(text))
    except (sa.exc.ArgumentError, ValueError):
        # The text is not repeated: it may hold a password.
        raise UsageError(f"the database URL cannot be read; give {_FORMS}") from None


def redacted(where: str | os.PathLike[str] | sa.URL) -> str:
    """The name of a database in messages: the path of a file, or the URL without its secrets."""
    url = resolve(where)
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {name: HIDDEN for name in url.query if name in _SECRET_OPTIONS}
    url = url.set(drivername="postgresql").update_query_dict(hidden)
    return url.render_as_string(hide_password=True)


def psql_url(where: str | os.PathLike[str] | sa.URL) -> str:
    """A database as `psql` and libpq take it, with its password; the path of a SQLite file."""
    url = resolve(where)
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return text.replace(" ", "%20")  # which SQLAlchemy leaves


def db_option(where: str | os.PathLike[str] | sa.URL) -> str:
    """The option `--db` of a suggested command, with a blank before it; passwords are `***`."""
    return f" --db {shlex.quote(redacted(where))}"


def _checked(url: sa.URL) -> sa.URL:
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if url.query or url.host:
                raise UsageError(
                    "a SQLite URL takes no host and no options; write sqlite:////full/path/loras.db"
                )
            return _sqlite(url.database or ":memory:")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise UsageError(f"databases of the kind {other} are not supported; give {_FORMS}")


def _sqlite(path: str) -> sa.URL:
    if path == ":memory:":
        raise UsageError("a database in memory is lost when the command ends; give a path")
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:  # no home directory of that name
        expanded = Path(path)
    return sa.URL.create("sqlite+pysqlite", database=str(expanded.absolute()))
