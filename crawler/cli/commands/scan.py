"""`lora-crawl scan`: read the files on this machine into the database."""

import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.cells import count, duration, listed, number, share
from crawler.cli.output.console import Voice, answers, tell

if TYPE_CHECKING:
    from crawler.cli.progress import Picture
    from crawler.scan import ScanPlan
    from crawler.sync.progress import ScanTally

#: The exit codes of a scan that left work, and of one that met what is not sound.
_WORK_LEFT, _UNSOUND = 4, 1

#: What shows that a file is one that was crawled, in words.
_SHOWN_BY = {
    "sha256": "by SHA-256",
    "autov3": "by the hash of the weights",
    "header": "by the hash in the header",
}


def scan(
    ctx: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Folders, which are looked through to the bottom, and single files.",
            show_default=False,
        ),
    ],
    *,
    hashes: Annotated[
        bool,
        typer.Option(
            "--hash", help="Hash every file, not only those as long as a crawled one; slow."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Read unchanged files again too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The closing summary as JSON.")] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Read the headers of LoRAs on this machine and store what they say, with site='local'.

    Run it again after a change: only what is new or changed is read. Files that a sync has met are
    recognised and told by their names there. Exit code 1 when a file was not sound.
    """
    from crawler.scan import ScanPlan

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if not any(os.path.lexists(path) for path in paths):
        for path in paths:
            tell(f"error: {path}: no such file or folder")
        raise typer.Exit(_UNSOUND)
    plan = ScanPlan(roots=tuple(paths), force=force, hashes=hashes)
    tally, ended = _scan_into(place(db), plan, voice)
    _report(tally, where=place(db), ended=ended, as_json=as_json, voice=voice, named=db)
    if not ended or tally.left:
        raise typer.Exit(_WORK_LEFT)
    if tally.unsound:
        raise typer.Exit(_UNSOUND)


def _scan_into(where: str, plan: "ScanPlan", voice: Voice) -> "tuple[ScanTally, bool]":
    """What was done, and whether nobody stopped it."""
    from crawler.cli.progress import at_work
    from crawler.scan import scan as run
    from crawler.store.connect.database import open_for_writing
    from crawler.store.connect.lock import sync_lock
    from crawler.sync.progress import ScanTally

    engine = open_for_writing(where)
    try:
        with sync_lock(engine):
            tally = ScanTally()

            def stopping() -> None:
                tally.stopping = True

            with at_work(voice, lambda: _picture(tally), on_stop=stopping) as going:
                run(engine, plan, tally=tally, going=going)
    finally:
        engine.dispose()
    return tally, not tally.stopping


def _picture(tally: "ScanTally") -> "Picture":
    from crawler.cli.progress import progress_line

    looked = _looked(tally)
    if tally.to_read is None:
        return None, [f"looking: {looked}"]
    reading = progress_line(tally.read, tally.to_read, "new or changed file", tally.seconds)
    lines = [f"found   {looked}", f"reading {reading}"]
    if tally.to_hash:
        done = f"{number(tally.hashed)} of {count(tally.to_hash, 'file')} as long as crawled ones"
        return tally.hashed / tally.to_hash, [*lines, f"hashing {done}"]
    return tally.read / tally.to_read if tally.to_read else 1.0, lines


def _report(
    tally: "ScanTally", *, where: str, ended: bool, as_json: bool, voice: Voice, named: str | None
) -> None:
    """The closing summary on stdout, files in trouble on stderr."""
    from crawler.cli.output.cells import json_text
    from crawler.store.connect.database import redacted

    with answers(machine=as_json) as out:
        if as_json:
            ending = "done" if ended else "interrupted"
            data = tally.summary() | {"ending": ending, "database": redacted(where)}
            out.write(json_text(data) + "\n")
        elif not voice.quiet:
            lines = [*_lines(tally), f"database: {redacted(where)}"]
            if tally.outcomes:
                option = f" --db {shlex.quote(named)}" if named and "://" not in named else ""
                lines.append(f"try: lora-crawl query \"site='local'\"{option}")
            out.write("\n".join(lines) + "\n")
    for sentence in tally.sentences:
        voice.notice(sentence)
    if more := tally.untold:
        voice.notice(f"and {count(more, 'more file')} in trouble")


def _looked(tally: "ScanTally") -> str:
    folders = f" in {count(tally.folders, 'folder')}" if tally.folders else ""
    return f"{count(tally.found, 'file')}{folders}"


def _lines(tally: "ScanTally") -> list[str]:
    lines = [f"{_looked(tally)}, {number(tally.read)} read in {duration(tally.seconds)}"]
    if tally.left:
        lines.append(f"{count(tally.left, 'file')} still to be read: scan again")
    width = max((len(number(amount)) for amount in tally.outcomes.values()), default=0)
    for outcome, amount in sorted(tally.outcomes.items(), key=lambda pair: -pair[1]):
        name = outcome.value.replace("_", " ")
        part = share(amount / tally.outcomes.total())
        lines.append(f"  {name:18} {number(amount):>{width}}  {part:>5}")
    if matched := tally.matched.total():
        ways = [
            f"{number(tally.matched[by])} {words}"
            for by, words in _SHOWN_BY.items()
            if tally.matched[by]
        ]
        lines.append(f"{count(matched, 'file')} known from a sync: {listed(ways)}")
    if tally.gone:
        lines.append(f"{count(tally.gone, 'file')} vanished since the last scan")
    return lines
