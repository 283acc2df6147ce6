"""Options that several commands share, and the database that they select."""

import os
import re
import shlex
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.text import count
from crawler.answers.visible import visible
from crawler.cli.output.console import Voice
from crawler.cli.output.rows import Format
from crawler.errors import DatabaseError, LoraCrawlError, UsageError
from crawler.insight.export import Format as RecipeFormat
from crawler.settings import (
    DATABASE_VARIABLE,
    DEFAULT_API_URL,
    api_key,
    completes_in_bash,
    exposed_key_file,
    sandbox_database,
    usual_database,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.query.tree import Node
    from crawler.store.connect.database import Connection, Engine
    from crawler.store.read.search import Search


def place(db: str | None) -> str:
    """The database that `--db` names, else the usual one."""
    return db or usual_database()


@contextmanager
def read_engine(db: str | None) -> "Iterator[Engine]":
    """An engine that cannot change the database; disposed of after the block.

    Raises:
        UsageError: `db` names no database.
        DatabaseError: The database is missing, old, newer or foreign.
    """
    engine = opened(db)
    try:
        yield engine
    finally:
        engine.dispose()


def opened(db: str | None) -> "Engine":
    """The engine of `read_engine`, with the same errors; the caller disposes of it."""
    from crawler.store.connect.database import open_for_reading

    try:
        return open_for_reading(place(db))
    except DatabaseError as error:
        raise DatabaseError(f"{error}{_sandbox_beside(place(db))}") from error


@contextmanager
def read_connection(db: str | None) -> "Iterator[Connection]":
    """A connection of `read_engine`. Database errors become errors of this project."""
    from crawler.store.connect.db_errors import translated

    with read_engine(db) as engine, translated(engine.url), engine.connect() as connection:
        yield connection


@contextmanager
def write_engine(where: str, voice: Voice) -> "Iterator[Engine]":
    """An engine for the only writer of a database, which is created or upgraded first.

    Raises:
        DatabaseError: The database cannot be used.
        StoppedError: Another process is writing to it.
    """
    from crawler.store.connect.database import open_for_writing
    from crawler.store.connect.lock import sync_lock

    engine = open_for_writing(where, voice.notice)
    try:
        with sync_lock(engine):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def fleet_engine(where: str, voice: Voice, *, lists: bool = False) -> "Iterator[Engine]":
    """An engine for one of several writers of a PostgreSQL database, made or upgraded first.

    Args:
        where: The database.
        voice: For what is done if it takes long.
        lists: It is the one that lists for the others.

    Raises:
        UsageError: It is no PostgreSQL database, or the extra is not installed.
        DatabaseError: The database cannot be used.
        StoppedError: A sync is running, or something else lists.
    """
    from crawler.store.connect.database import keeping_revision, open_for_writing
    from crawler.store.connect.lock import fleet_lock
    from crawler.store.connect.url import redacted, resolve

    if resolve(where).get_backend_name() == "sqlite":
        raise UsageError(
            f"{redacted(where)}: a SQLite file has one writer at a time, so it cannot have workers"
            "\nuse a PostgreSQL database: --db postgresql://user@host/name"
        )
    with needs_extra("fleet"):
        import crawler.fleet.queue  # noqa: F401 - whether it can be imported
    engine = open_for_writing(where, voice.notice)
    try:
        with fleet_lock(engine, lists=lists), keeping_revision(engine):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def needs_extra(name: str) -> "Iterator[None]":
    """For a block that imports what an extra installs.

    Raises:
        UsageError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("crawler"):
            raise
        raise UsageError(
            f"the extra {name} is not installed (no module {error.name})"
            f"\nrun: pip install 'lora-crawl[{name}]', or in a checkout: pip install '.[{name}]'"
        ) from error


def without_copies(
    connection: "Connection", tree: "Node | None", voice: Voice, *, copies: bool
) -> "Node | None":
    """The condition of `asked.without_copies`. How many are left out is printed."""
    from crawler.answers import asked

    selected, number = asked.without_copies(connection, tree, copies=copies)
    tell_copies(number, voice)
    return selected


def tell_copies(number: int, voice: Voice) -> None:
    """Print how many scanned copies an answer leaves out."""
    if number:
        copied = count(number, "scanned copy", "scanned copies")
        voice.notice(f"{copied} left out; --copies keeps them")


def explain(
    connection: "Connection", tree: "Node | None", voice: Voice, asked: "Search | None" = None
) -> None:
    """Print why no row matches a condition.

    Args:
        connection: The database.
        tree: The condition.
        voice: Prints nothing if it is quiet.
        asked: The search as the user asked for it; None if it has only the condition.
    """
    if voice.quiet:
        return
    from crawler.answers.remarks import why_empty
    from crawler.store.read.search import Search

    for reason in why_empty(connection, tree):
        voice.notice(reason)
    name_sparse(connection, asked or Search(tree=tree), voice)


def name_sparse(connection: "Connection", asked: "Search", voice: Voice) -> None:
    """Print which fields of a search few rows have."""
    if voice.quiet:
        return
    from crawler.answers.remarks import sparse

    for remark in sparse(connection, asked):
        voice.notice(remark)


def _sandbox_beside(where: str) -> str:
    """How to use the database of `sync --sandbox` beside a missing one; empty if there is none."""
    from crawler.store.connect.url import db_option, redacted, resolve

    url = resolve(where)
    if url.get_backend_name() != "sqlite" or os.path.lexists(str(url.database)):
        return ""
    sandbox = Path(str(url.database)).with_name(sandbox_database().name)
    if not os.path.isfile(sandbox):  # noqa: PTH113 - Path.is_file may raise
        return ""
    return (
        f"\nor use the sandbox's:{db_option(sandbox)}"
        f"\nfor all commands:     export {DATABASE_VARIABLE}={shlex.quote(redacted(sandbox))}"
    )


def hinted(line: str, where: str, *, api_url: str | None = None) -> str:
    """A command to try, with the options that it needs for this database and, if given, this API."""
    from crawler.store.connect.url import db_option

    if api_url is not None and api_url != DEFAULT_API_URL:
        line += f" --api-url {shlex.quote(api_url)}"
    option = db_option(where)
    return visible(line if option == db_option(usual_database()) else f"{line}{option}")


#: A field, a colon and the beginning of a value, which may follow others.
_VALUE = re.compile(r"(?P<before>(?P<name>\w+):(?:.*,)?)'?(?P<value>[^,:]*)", re.ASCII)

#: The values that are offered: shells evaluate what they are handed, and most texts come from the net.
_HARMLESS = re.compile(r"[\w.+-][\w .+-]*")

#: Most values that are offered.
_MOST_VALUES = 100


def _joined(ctx: typer.Context, incomplete: str) -> str:
    """The condition that is being typed; bash hands over its colon as a word of its own."""
    typed = [*(ctx.params.get("expr") or ()), incomplete]
    if len(typed) > 1 and typed[-1] == ":":
        return f"{typed[-2]}:"
    return "".join(typed[-3:]) if typed[-2:-1] == [":"] else incomplete


def _values(
    ctx: typer.Context, name: str, begin: str, *, quoted: bool, inside: bool = False
) -> list[str]:
    """The values of a text field in the database that begin so.

    Args:
        ctx: Of the completion.
        name: The field.
        begin: What is typed of the value.
        quoted: Quote values as a condition needs it.
        inside: The word that is typed begins with a quote of the shell.
    """
    from crawler.query.fields import Kind, named
    from crawler.store.read.columns import frequent_values
    from crawler.store.schema.fields import BY_NAME

    field = named(name, BY_NAME)
    if field is None or field.kind is not Kind.TEXT:
        return []
    with suppress(LoraCrawlError), read_connection(ctx.params.get("db")) as connection:
        found = frequent_values(connection, field.name, begin, _MOST_VALUES)
        found = [one for one in found if _HARMLESS.fullmatch(one)]
        if quoted:
            found = [f"'{one}'" if " " in one or "+" in one else one for one in found]
        if inside:  # of which quote is not known
            return [one for one in found if "'" not in one]
        return [re.sub("[ ']", r"\\\g<0>", one) for one in found] if completes_in_bash() else found
    return []


def complete_base_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """The base models in the database that begin so."""
    return _values(ctx, "base_model", incomplete, quoted=False)


def complete_field(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Completions of the name at the end of a condition or a list, each with the field's meaning.

    Keys of objects, and values after a colon, are completed from the database. There are no completions
    after a sign like `>`, where a value is expected.
    """
    condition = _joined(ctx, incomplete)
    if (value := _VALUE.fullmatch(condition)) is not None:
        # Bash replaces what follows its colon, or all of a word in quotes.
        replaced = 0 if incomplete == ":" else len(incomplete)
        before = value["before"][len(condition) - replaced :]
        inside = completes_in_bash() and ":" in before
        values = _values(ctx, value["name"], value["value"], quoted=True, inside=inside)
        return [(before + one, "") for one in values]
    from crawler.query.fields import SHORT_NAMES, spelled
    from crawler.store.read.columns import key_fields
    from crawler.store.schema.fields import FIELDS

    word = re.split(r"[^\w.]", incomplete, flags=re.ASCII)[-1]
    before = incomplete.removesuffix(word)
    if not word and before and not before.endswith((",", "-")):
        return []
    meanings = {field.name: field.meaning for field in FIELDS}
    meanings |= {short: f"short for {name}" for short, name in SHORT_NAMES.items()}
    if "." in word:
        with suppress(LoraCrawlError), read_connection(ctx.params.get("db")) as connection:
            keys = key_fields(connection, word.partition(".")[0])
            meanings = {spelled(key.name): key.meaning for key, _ in keys}
    return [(before + name, said) for name, said in meanings.items() if name.startswith(word)]


Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH_OR_URL",
        envvar=DATABASE_VARIABLE,
        help="Database: a path for SQLite, or postgresql://…  "
        "Default: loras.db in your data directory.",
        show_envvar=True,
    ),
]

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        envvar="LORA_CRAWL_API_URL",
        help=f"API to use.  Default: {DEFAULT_API_URL}",
        show_envvar=True,
    ),
]

Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="EXPR",
        help="Use only files that match, as in `query`. Repeat to combine with and.",
        show_default=False,
        autocompletion=complete_field,
    ),
]

Copies = Annotated[
    bool,
    typer.Option("--copies", help="Keep scanned copies of files that a sync lists too."),
]

Form = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="Default: table on a terminal, tsv in a pipe."),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Expanded = Annotated[
    bool,
    typer.Option("--expanded", "-x", help="Print one field a line (--format expanded)."),
]

NoPager = Annotated[
    bool,
    typer.Option("--no-pager", help="Do not page what is longer than the terminal (see PAGER)."),
]

SafeCsv = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="Print csv (or tsv) that is safe in a spreadsheet: "
        "a quote is put before = + - @ and similar.",
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Write the files to this folder, which is created if needed.",
        show_default=False,
    ),
]

RecipeForm = Annotated[
    RecipeFormat,
    typer.Option("--format", "-f", case_sensitive=False, help="The trainer whose files to write."),
]

Concurrency = Annotated[
    int, typer.Option(metavar="N", min=1, max=64, help="Files to read at the same time.")
]

StorageHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-host", metavar="NAME", help="Allow downloads from this host too; repeatable."
    ),
]

MaxHeader = Annotated[
    int,
    typer.Option(metavar="BYTES", min=1, max=100_000_000, help="Longest header to read."),
]

Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files in DIR.")]

Timeout = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="Stop after this many seconds; 0 = never."),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]

Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Print more details.", show_default=False),
]


def voice_of(ctx: typer.Context, *, quiet: bool, verbose: int) -> Voice:
    """How much to print, from `-q` and `-v` before or after the command."""
    before = ctx.find_root().params
    return Voice(
        quiet=quiet or bool(before.get("quiet")),
        verbose=max(verbose, int(before.get("verbose") or 0)),
    )


def told_api_key(voice: Voice) -> str | None:
    """The API key that is set or stored, or None. Tells when other users can read its file.

    Raises:
        UsageError: The key is not usable.
    """
    key = api_key()
    if key is not None and (exposed := exposed_key_file()) is not None:
        voice.notice(f"other users can read {exposed}; run: chmod 600 {shlex.quote(str(exposed))}")
    return key
