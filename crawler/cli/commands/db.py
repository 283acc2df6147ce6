"""`lora-crawl db`: where the database is and what state it is in."""

from typing import Annotated

import typer

from crawler.cli.help import Explained, ExplainedGroup
from crawler.cli.options import Db, Quiet, Verbose, place, read_connection, voice_of
from crawler.cli.output.console import answers

db = typer.Typer(
    cls=ExplainedGroup,
    help="Show, check and upgrade the database.",
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

    Missing indexes and views are made again.
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
    finally:
        engine.dispose()
    voice.notice("the database is up to date")


@db.command(cls=Explained)
def info(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Print the rows of each table; -v adds the revision."""
    from crawler.store.connect.database import REVISION
    from crawler.store.connect.url import redacted, resolve
    from crawler.store.read.status import table_counts

    with read_connection(db) as connection:
        rows = table_counts(connection)
    with answers() as out:
        out.write(f"{redacted(resolve(place(db)))}\n")
        for name, count in rows.items():
            out.write(f"{name:14} {count:>12,}\n")
    voice_of(ctx, quiet=quiet, verbose=verbose).detail(f"revision {REVISION}")


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
