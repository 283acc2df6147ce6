"""`lora-crawl export`: the database as Parquet files, to share or for other engines."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.text import count, duration, json_text, size
from crawler.answers.visible import visible
from crawler.cli import options
from crawler.cli.output.console import answers

if TYPE_CHECKING:
    from crawler.share.export import ExportTally
    from crawler.share.form import Manifest


def export(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A folder that is empty, does not exist yet, or has an older export.",
            show_default=False,
        ),
    ],
    *,
    where: options.Where = None,
    force: options.Force = False,
    as_json: options.Json = False,
    db: options.Db = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Write the database as Parquet files, one for each table.

    The headers are in it, and a dataset card that describes it. Scanned files of this machine
    are left out. An interrupted export continues with the same command.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    with options.needs_extra("parquet"):
        from crawler.share.export import ExportTally
        from crawler.share.export import export as run
        from crawler.share.folder import check_folder
    from crawler.cli.progress import Picture, at_work
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME

    tally = ExportTally()

    def picture() -> Picture:
        return None, [_line(tally)]

    check_folder(folder)
    tree = parse(where or [], BY_NAME)
    with options.read_engine(db) as engine:
        with at_work(voice, tally, picture) as going:
            made = run(
                engine,
                folder,
                tree,
                where=where or (),
                force=force,
                tally=tally,
                going=going,
                tell=voice.notice,
                now=datetime.now(UTC),
            )
        if not made.tables["loras"].rows:
            with engine.connect() as connection:
                options.explain(connection, tree, voice)
    with answers(machine=as_json) as out:
        if as_json:
            out.write(json_text(_summary(made, folder, tally)) + "\n")
        elif not voice.quiet:
            out.write(_told(made, folder, tally) + "\n")


def _line(tally: "ExportTally") -> str:
    """`writing file_tags · 1,200,000 rows · 9 of 13 tables done · 85.1 MB`."""
    rows, tables = count(tally.rows, "row"), count(tally.tables, "table")
    return f"writing {tally.table} · {rows} · {tally.done} of {tables} done · {size(tally.bytes)}"


def _summary(made: "Manifest", folder: Path, tally: "ExportTally") -> dict[str, object]:
    return {
        "folder": str(folder),
        "files": made.tables["loras"].rows,
        "headers": made.tables["headers"].rows,
        "bytes": sum(file.bytes for file in made.tables.values()),
        "kept_tables": tally.kept,
        "seconds": round(tally.seconds, 3),
        "where": made.where,
        "made_at": made.made_at,
        "tables": {
            name: {"rows": file.rows, "bytes": file.bytes} for name, file in made.tables.items()
        },
    }


def _told(made: "Manifest", folder: Path, tally: "ExportTally") -> str:
    files = count(made.tables["loras"].rows, "file")
    headers = count(made.tables["headers"].rows, "header")
    length = size(sum(file.bytes for file in made.tables.values()))
    name = visible(str(folder))
    if tally.kept == tally.tables:
        return f"{name} is up to date: {files} with {headers}, {length}"
    return f"wrote {name}: {files} with {headers}, {length} in {duration(tally.seconds)}"
