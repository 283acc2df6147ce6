"""`lora-crawl import`: take in what another crawl has read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.outcomes import outcome_lines
from crawler.answers.text import count, duration, json_text, number
from crawler.answers.visible import visible
from crawler.cli.options import (
    Db,
    Json,
    MaxHeader,
    Quiet,
    Verbose,
    hinted,
    place,
    voice_of,
    write_engine,
)
from crawler.cli.output.console import answers
from crawler.model.site import SANDBOX_URL

if TYPE_CHECKING:
    from crawler.share.source import About
    from crawler.sync.progress import ImportTally

#: Exit codes: work is left, or a row was left out.
_WORK_LEFT, _UNSOUND = 4, 1

#: The nouns of the tables whose rows are counted.
_NOUNS = {"models": "model", "versions": "version", "loras": "file"}


def import_(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="The folder of an `export`, hf://datasets/OWNER/NAME, or a database.",
            show_default=False,
        ),
    ],
    *,
    max_header: MaxHeader = 32 * 1024 * 1024,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the source has; store nothing.")
    ] = False,
    as_json: Json = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Take in what another crawl has read.

    `sync` does not fetch files again whose header comes in. Headers are decoded anew. What the site
    lists is taken from the crawl that saw it last. Run it again to continue after an interruption. The
    exit code is 1 when rows were left out.
    """
    from crawler.cli.progress import Picture, at_work, progress_line
    from crawler.share.importing import import_from, open_source
    from crawler.sync.progress import ImportTally

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    tally = ImportTally()

    def picture() -> Picture:
        lines = [f"reading {progress_line(tally.done, tally.total, 'row', tally.seconds)}"]
        if tally.to_read:
            lines = [
                f"reading {progress_line(tally.headers, tally.to_read, 'header', tally.seconds)}"
            ]
            return tally.headers / tally.to_read, lines
        return tally.done / tally.total if tally.total else None, lines

    with open_source(source) as opened:
        about = opened.about
        if dry_run:
            _show(about, as_json=as_json)
            return
        with (
            write_engine(place(db), voice) as engine,
            at_work(voice, tally, picture) as going,
        ):
            import_from(engine, opened, tally=tally, going=going, max_header=max_header)
    with answers(machine=as_json) as out:
        if as_json:
            from crawler.store.connect.url import redacted

            more = {
                "source": about.place,
                "origin": about.origin,
                "ending": "interrupted" if tally.stopping else "done",
                "database": redacted(place(db)),
            }
            out.write(json_text(tally.summary() | more) + "\n")
        elif not voice.quiet:
            out.write("\n".join(_lines(tally, about, place(db))) + "\n")
    voice.some([f"left out: {each}" for each in tally.sentences], tally.troubles, "more row")
    if tally.stopping:
        raise typer.Exit(_WORK_LEFT)
    if tally.troubles:
        raise typer.Exit(_UNSOUND)


def _show(about: "About", *, as_json: bool) -> None:
    """Print what a source has."""
    with answers(machine=as_json) as out:
        if as_json:
            data = {"source": about.place, "origin": about.origin, "rows": dict(about.rows)}
            out.write(json_text(data) + "\n")
            return
        out.write(f"{_of(about)}\n")
        for name, rows in about.rows.items():
            out.write(f"{name:14} {number(rows):>12}\n")
        out.write("nothing was stored\n")


def _lines(tally: "ImportTally", about: "About", where: str) -> Iterator[str]:
    new = ", ".join(count(tally.new[table], f"new {noun}") for table, noun in _NOUNS.items())
    yield f"{new}, {count(tally.headers, 'header')} in {duration(tally.seconds)}"
    if changed := sum(tally.changed[table] for table in _NOUNS):
        yield f"{count(changed, 'row')} updated"
    for _, line in outcome_lines(tally.outcomes, {}):
        yield line
    if tally.troubles:
        yield f"{count(tally.troubles, 'row')} left out"
    yield f"source: {_of(about)}"
    if tally.stopping:
        yield "stopped: run the same command again to continue"
    else:
        yield _next(about, where)


def _next(about: "About", where: str) -> str:
    """The sync that continues, with the API that the files are from."""
    if about.origin == SANDBOX_URL:
        from crawler.store.connect.url import db_option

        # Without the option it would fill another database than usual.
        return visible(f"then: lora-crawl sync --sandbox{db_option(where)}")
    return hinted("then: lora-crawl sync", where, api_url=about.origin)


def _of(about: "About") -> str:
    return visible(f"{about.place}, files of {about.origin or 'no site'}")
