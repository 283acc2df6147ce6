"""`lora-crawl db`: where the database is and what state it is in."""

from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.visible import visible
from crawler.cli.help import Explained, ExplainedGroup
from crawler.cli.options import Db, Quiet, Verbose, place, read_connection, read_engine, voice_of
from crawler.cli.output.console import answers

if TYPE_CHECKING:
    from crawler.cli.output.console import Voice
    from crawler.store.connect.database import Engine

db = typer.Typer(
    cls=ExplainedGroup,
    help="Show, check, upgrade and copy the database.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@db.command(cls=Explained)
def path(
    ctx: typer.Context,
    *,
    with_password: Annotated[
        bool,
        typer.Option(
            "--with-password", help="Print the password too, for psql and other programs."
        ),
    ] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Print the path or URL of the database; -v adds its state."""
    from crawler.store.connect.database import state
    from crawler.store.connect.url import psql_url, redacted

    where = place(db)
    with answers() as out:
        out.write(f"{psql_url(where) if with_password else redacted(where)}\n")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if voice.verbose:
        voice.detail(state(where).value)


@db.command(cls=Explained)
def check(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Check that the database can be read and is whole.

    It must have all tables, columns, indexes and views. If not, the message says what to do,
    and the exit code is 3.
    """
    from crawler.store.read.status import check_derived, check_pages, check_tables

    with read_connection(db) as connection:
        check_tables(connection)
        check_derived(connection)
        check_pages(connection)
    voice_of(ctx, quiet=quiet, verbose=verbose).notice("the database is up to date")


@db.command(cls=Explained)
def upgrade(
    ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0
) -> None:
    """Create the database, or upgrade it to this version.

    Missing indexes and views are made again. On PostgreSQL, with the extra fleet, it also makes the
    queue of a fleet or brings it up to date.
    """
    from crawler.store.connect.database import open_for_writing
    from crawler.store.connect.database import upgrade as make_current
    from crawler.store.read.status import check_tables, missing_derived

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    engine = open_for_writing(place(db), voice.notice)
    try:
        with engine.connect() as connection:
            check_tables(connection)
            missing = missing_derived(connection)
        if missing:
            make_current(engine)
        _install_queue(engine, voice)
    finally:
        engine.dispose()
    voice.notice("the database is up to date")


def _install_queue(engine: "Engine", voice: "Voice") -> None:
    """Make the queue of a fleet on PostgreSQL, or bring it up to date, where the extra is installed."""
    from importlib.util import find_spec

    from crawler.errors import DatabaseError

    if engine.dialect.name != "postgresql" or find_spec("pgqueuer") is None:
        return
    import anyio

    from crawler.fleet.queue import install

    try:
        anyio.run(install, engine.url)
    except DatabaseError as error:
        # It is needed for a fleet alone.
        voice.notice(str(error))


@db.command(cls=Explained)
def info(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Print the rows of each table; -v adds the revision."""
    from crawler.store.connect.database import REVISION
    from crawler.store.connect.url import redacted, resolve
    from crawler.store.read.status import table_counts

    with read_connection(db) as connection:
        rows = table_counts(connection)
    with answers() as out:
        out.write(f"{visible(redacted(resolve(place(db))))}\n")
        for name, count in rows.items():
            out.write(f"{name:14} {count:>12,}\n")
    voice_of(ctx, quiet=quiet, verbose=verbose).detail(f"revision {REVISION}")


@db.command(cls=Explained)
def copy(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="The database to copy: a path, or postgresql://…",
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Where to copy it: missing, or without rows.", show_default=False
        ),
    ],
    *,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Copy all rows to another database, on SQLite or PostgreSQL.

    TO gets every row of one moment of FROM, or none: after an interruption the same command
    begins anew. FROM may be in use meanwhile.
    """
    from crawler.answers.text import count, duration, rounded, size
    from crawler.cli.progress import Picture, at_work, progress_line
    from crawler.errors import DatabaseError, UsageError
    from crawler.store.connect.database import State, open_for_writing, state
    from crawler.store.connect.url import redacted, resolve
    from crawler.store.write.copy_database import CopyProgress, copy_database, stored_bytes
    from crawler.sync.progress import Tally

    def picture() -> Picture:
        line = progress_line(copied.rows, copied.total, "row", tally.seconds)
        part = f"copying {copied.table}" if copied.table else "making indexes"
        return copied.rows / copied.total if copied.total else None, [f"{part} · {line}"]

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if resolve(source) == resolve(target):
        raise UsageError(f"{redacted(target)}: FROM and TO are the same database")
    if state(source) is State.MISSING:
        raise DatabaseError(f"{redacted(source)}: there is no database to copy")
    tally, copied = Tally(), CopyProgress()
    with read_engine(source) as reading:
        if state(target) is State.OLD:
            raise UsageError(f"{redacted(target)}: a copy needs an empty database; choose another")
        engine = open_for_writing(target)
        try:
            with at_work(voice, tally, picture) as going:
                copy_database(reading, engine, progress=copied, going=going)
            seconds, stored = tally.seconds, stored_bytes(engine)
        finally:
            engine.dispose()
    if not voice.quiet:
        speed = f" ({rounded(copied.rows / seconds, 2)}/s)" if seconds > 1 else ""
        with answers() as out:
            out.write(
                f"{count(copied.rows, 'row')} copied in {duration(seconds)}{speed};"
                f" {visible(redacted(target))} has {size(stored)}\n"
            )


@db.command(cls=Explained)
def datasette(
    ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0
) -> None:
    """Print settings for Datasette, with the questions as queries.

    It is a datasette.yaml with descriptions, facets and canned queries. Datasette 0.65 takes
    it with --metadata, and 1.0 with --metadata and --config.
    """
    from pathlib import Path

    from crawler.cli.datasette import datasette_yaml
    from crawler.errors import UsageError
    from crawler.store.connect.url import resolve

    voice_of(ctx, quiet=quiet, verbose=verbose)
    url = resolve(place(db))
    if url.get_backend_name() != "sqlite":
        raise UsageError("Datasette reads SQLite files; name one with --db")
    with answers(machine=True) as out:
        out.write(datasette_yaml(Path(str(url.database)).stem))
