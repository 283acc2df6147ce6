"""`lora-crawl db`: where the database is and what state it is in."""

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.console import answers

db_app = typer.Typer(
    help="Where the database is, its state, and upgrading it.", no_args_is_help=True
)


@db_app.command()
def path(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Print where the database is, or would be; -v says whether it is there and in what state."""
    from crawler.store.connect.database import redacted, resolve, state

    url = resolve(place(db))
    with answers() as out:
        out.write(f"{url.database if url.get_backend_name() == 'sqlite' else redacted(url)}\n")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if voice.verbose:
        voice.detail(state(url).value)


@db_app.command()
def check(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Whether this lora-crawl can read the database as it is; exit 3 with the remedy where not."""
    from crawler.store.connect.database import open_for_reading

    open_for_reading(place(db)).dispose()
    voice_of(ctx, quiet=quiet, verbose=verbose).notice("the database is up to date")


@db_app.command()
def upgrade(
    ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0
) -> None:
    """Create the database, or bring it to the newest state."""
    from crawler.store.connect.database import open_for_writing

    open_for_writing(place(db)).dispose()
    voice_of(ctx, quiet=quiet, verbose=verbose).notice("the database is up to date")


@db_app.command()
def info(ctx: typer.Context, *, db: Db = None, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Print where the database is and how many rows each table has; -v adds its revision."""
    from crawler.store.connect.database import (
        REVISION,
        open_for_reading,
        redacted,
        resolve,
        translated,
    )
    from crawler.store.read.status import table_counts

    url = resolve(place(db))
    engine = open_for_reading(place(db))
    try:
        with translated(engine.url), engine.connect() as connection:
            rows = table_counts(connection)
    finally:
        engine.dispose()
    with answers() as out:
        out.write(f"{redacted(url)}\n")
        for name, count in rows.items():
            out.write(f"{name:14} {count:>12,}\n")
    voice_of(ctx, quiet=quiet, verbose=verbose).detail(f"revision {REVISION}")
