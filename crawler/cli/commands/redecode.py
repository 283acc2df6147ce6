"""`lora-crawl redecode`: decode the stored headers again with this version's decoder."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.outcomes import spoken
from crawler.answers.text import count, duration, json_text, number, rounded
from crawler.cli.options import Db, Json, Quiet, Verbose, place, read_engine, voice_of, write_engine
from crawler.cli.output.console import answers

if TYPE_CHECKING:
    from crawler.sync.progress import RedecodeTally

#: Exit codes: work is left, or a stored header is damaged.
_WORK_LEFT, _DAMAGED = 4, 1


def redecode(
    ctx: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Include headers that this version has decoded.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes to use.  Default: one for each core, at most 4"
        ),
    ] = None,
    as_json: Json = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Decode stored headers again after an upgrade.

    Only headers that an older version decoded are read, without any network. An interrupted run
    continues with the same command.
    """
    from crawler.cli.progress import Picture, at_work, progress_line
    from crawler.redecode import redecode as run
    from crawler.sync.progress import RedecodeTally

    def picture() -> Picture:
        done = tally.done + tally.troubles
        line = progress_line(done, tally.total, "header", tally.seconds)
        return done / tally.total if tally.total else None, [f"decoding {line}"]

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    workers = processes or os.cpu_count() or 1
    with read_engine(db):
        pass  # a database that is missing, old or foreign is not created or upgraded here
    with write_engine(place(db), voice) as engine:
        tally = RedecodeTally()
        with at_work(voice, tally, picture) as going:
            run(engine, tally=tally, going=going, everything=everything, processes=workers)
    with answers(machine=as_json) as out:
        if as_json:
            ending = "interrupted" if tally.stopping else "done"
            out.write(json_text(tally.summary() | {"ending": ending}) + "\n")
        elif not voice.quiet:
            out.write("\n".join(_lines(tally)) + "\n")
    voice.some(tally.sentences, tally.troubles, "more damaged header")
    if tally.stopping or tally.left:
        raise typer.Exit(_WORK_LEFT)
    if tally.troubles:
        raise typer.Exit(_DAMAGED)


def _lines(tally: "RedecodeTally") -> Iterator[str]:
    if not tally.total:
        yield "this version has decoded every stored header; --all decodes them again"
        return
    speed = f" ({rounded(tally.done / tally.seconds, 2)}/s)" if tally.seconds > 1 else ""
    yield f"{count(tally.done, 'header')} decoded in {duration(tally.seconds)}{speed}"
    for (old, new), files in sorted(tally.changed.items(), key=lambda pair: (-pair[1], pair[0])):
        yield f"  {spoken(old)} → {spoken(new)}: {count(files, 'file')}"
    if not tally.changed:
        yield "no outcome changed"
    if tally.troubles:
        yield (
            f"{count(tally.troubles, 'stored header')} damaged:"
            " `sync --retry-failed` reads these files again, `scan` local ones"
        )
    if tally.left:
        yield f"{number(tally.left)} left: run the same command again to continue"
