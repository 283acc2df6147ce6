"""`lora-crawl redecode`: what stored headers say, read again by the decoder of today."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.cells import count, duration, number, rounded
from crawler.cli.output.console import Voice, answers

if TYPE_CHECKING:
    from crawler.cli.progress import Picture
    from crawler.sync.progress import RedecodeTally

#: The exit codes of a run that left work, and of one that met damaged headers.
_WORK_LEFT, _DAMAGED = 4, 1


def redecode(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that this version has decoded too.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes that decode.  Default: one for each core, at most 4"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The closing summary as JSON.")] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Decode every stored header again that an older version has read; no network is needed.

    Stopped at any moment, the same command goes on where it was.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    workers = processes or os.cpu_count() or 1
    tally = _redecode_in(place(db), voice, everything=everything, processes=workers)
    _report(tally, voice, as_json=as_json)
    if tally.stopping or tally.left:
        raise typer.Exit(_WORK_LEFT)
    if tally.troubles:
        raise typer.Exit(_DAMAGED)


def _redecode_in(where: str, voice: Voice, *, everything: bool, processes: int) -> "RedecodeTally":
    from crawler.cli.progress import at_work
    from crawler.redecode import redecode as run
    from crawler.store.connect.database import open_for_reading, open_for_writing
    from crawler.store.connect.lock import sync_lock
    from crawler.sync.progress import RedecodeTally

    # Says what to do about a database that is missing, old or another program's.
    open_for_reading(where).dispose()
    engine = open_for_writing(where)
    try:
        with sync_lock(engine):
            tally = RedecodeTally()

            def stopping() -> None:
                tally.stopping = True

            with at_work(voice, lambda: _picture(tally), on_stop=stopping) as going:
                run(engine, tally=tally, going=going, everything=everything, processes=processes)
    finally:
        engine.dispose()
    return tally


def _picture(tally: "RedecodeTally") -> "Picture":
    from crawler.cli.progress import progress_line

    done = tally.done + tally.troubles
    line = progress_line(done, tally.total, "header", tally.seconds)
    return done / tally.total if tally.total else None, [f"decoding {line}"]


def _report(tally: "RedecodeTally", voice: Voice, *, as_json: bool) -> None:
    """The closing summary on stdout, damaged headers on stderr."""
    from crawler.cli.output.cells import json_text

    with answers(machine=as_json) as out:
        if as_json:
            ending = "interrupted" if tally.stopping else "done"
            out.write(json_text(tally.summary() | {"ending": ending}) + "\n")
        elif not voice.quiet:
            out.write("\n".join(_lines(tally)) + "\n")
    for sentence in tally.sentences:
        voice.notice(sentence)
    if more := tally.untold:
        voice.notice(f"and {count(more, 'more damaged header')}")


def _lines(tally: "RedecodeTally") -> list[str]:
    if not tally.total:
        return ["every stored header is decoded by this version; --all decodes them again"]
    speed = f" ({rounded(tally.done / tally.seconds, 2)}/s)" if tally.seconds > 1 else ""
    done = f"{count(tally.done, 'header')} decoded again in {duration(tally.seconds)}{speed}"
    lines = [done]
    for (old, new), files in sorted(tally.changed.items(), key=lambda pair: (-pair[1], pair[0])):
        change = f"{old.value.replace('_', ' ')} → {new.value.replace('_', ' ')}"
        lines.append(f"  {change}: {count(files, 'file')}")
    if not tally.changed:
        lines.append("no file ended otherwise than before")
    if tally.troubles:
        lines.append(f"{count(tally.troubles, 'stored header')} damaged and left as they are")
    if tally.left:
        lines.append(f"{number(tally.left)} left: the same command goes on")
    return lines
