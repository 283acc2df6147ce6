"""`lora-crawl scan`: store the headers of local files."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.outcomes import outcome_lines
from crawler.answers.text import count, duration, json_text, listed, number
from crawler.answers.visible import visible
from crawler.cli.options import Db, Json, Quiet, Verbose, hinted, place, voice_of, write_engine
from crawler.cli.output.console import FAILED, Voice, answers, print_error

if TYPE_CHECKING:
    from crawler.cli.progress import Picture
    from crawler.sync.progress import ScanTally

#: Exit codes: work is left, or a file is not sound.
_WORK_LEFT, _UNSOUND = 4, 1

#: How a file was recognised, by `local_files.matched_by`.
_MATCHED_BY = {
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
            help="Folders, which are searched with their subfolders, and single files.",
            show_default=False,
        ),
    ],
    *,
    hashes: Annotated[
        bool, typer.Option("--hash", help="Hash every file, not only likely matches; slow.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Read unchanged files again.")] = False,
    as_json: Json = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Read the headers of local LoRAs and store them.

    Run it again after changes: only new and changed files are read. Their rows have site='local'.
    Files that a sync has also stored get the model's name and tags from the site. The exit code is 1
    when a file is not a sound safetensors file.
    """
    from crawler.cli.progress import at_work
    from crawler.scan import ScanPlan
    from crawler.scan import scan as run
    from crawler.sync.progress import ScanTally

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if not any(os.path.lexists(path) for path in paths):
        for path in paths:
            print_error(f"{FAILED}{visible(path)}: no such file or folder")
        raise typer.Exit(_UNSOUND)
    plan = ScanPlan(roots=tuple(paths), force=force, hashes=hashes)
    with write_engine(place(db), voice) as engine:
        tally = ScanTally()
        with at_work(voice, tally, lambda: _picture(tally)) as going:
            run(engine, plan, tally=tally, going=going)
    _report(tally, place(db), voice, as_json=as_json)
    if tally.stopping or tally.left:
        raise typer.Exit(_WORK_LEFT)
    if tally.unsound:
        raise typer.Exit(_UNSOUND)


def _picture(tally: "ScanTally") -> "Picture":
    from crawler.cli.progress import progress_line

    found = _found(tally)
    if tally.to_read is None:
        return None, [f"searching: {found}"]
    reading = progress_line(tally.read, tally.to_read, "new or changed file", tally.seconds)
    lines = [f"found   {found}", f"reading {reading}"]
    if tally.to_hash:
        lines.append(f"hashing {number(tally.hashed)} of {count(tally.to_hash, 'likely match')}")
        return tally.hashed / tally.to_hash, lines
    return tally.read / tally.to_read if tally.to_read else 1.0, lines


def _report(tally: "ScanTally", where: str, voice: Voice, *, as_json: bool) -> None:
    """The closing summary on stdout, problems with files on stderr."""
    from crawler.store.connect.url import redacted

    with answers(machine=as_json) as out:
        if as_json:
            ending = "interrupted" if tally.stopping else "done"
            data = tally.summary() | {"ending": ending, "database": redacted(where)}
            out.write(json_text(data) + "\n")
        elif not voice.quiet:
            out.write("\n".join(_lines(tally)) + f"\ndatabase: {visible(redacted(where))}\n")
            if tally.outcomes:
                out.write(hinted("try: lora-crawl query \"site='local'\"", where) + "\n")
    voice.some(tally.sentences, tally.troubles, "more problem")


def _found(tally: "ScanTally") -> str:
    folders = f" in {count(tally.folders, 'folder')}" if tally.folders else ""
    return f"{count(tally.found, 'file')}{folders}"


def _lines(tally: "ScanTally") -> Iterator[str]:
    yield f"{_found(tally)}, {number(tally.read)} read in {duration(tally.seconds)}"
    if tally.left:
        yield f"{count(tally.left, 'file')} left: run the same command again to continue"
    for _, line in outcome_lines(tally.outcomes, {}):
        yield line
    if matched := tally.matched.total():
        ways = [
            f"{number(tally.matched[by])} {words}"
            for by, words in _MATCHED_BY.items()
            if tally.matched[by]
        ]
        yield f"{count(matched, 'file')} known from a sync: {listed(ways)}"
    if tally.gone:
        yield f"{count(tally.gone, 'file')} gone since the last scan"
