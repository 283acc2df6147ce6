"""`lora-crawl report`: one HTML file with charts and a table."""

import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from crawler.answers.text import count, number, size
from crawler.cli import options
from crawler.errors import UsageError

#: The heading by default.
_TITLE = "How LoRAs are trained"


def report(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Argument(metavar="OUT.html", help="The file to write.", show_default=False)
    ],
    *,
    where: options.Where = None,
    copies: options.Copies = False,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Heading of the report.")] = _TITLE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    db: options.Db = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Write a report with charts and a table as one HTML file.

    It shows what was crawled, how LoRAs are trained, how that changed, what the well-liked do
    differently, and who trains most. It needs no network and can be sent as it is.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    _check(output, force=force)
    from crawler.cli.progress import Picture, live_display
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME
    from crawler.web import report as web
    from crawler.web.findings.section import Among

    done = 0.0

    def going(part: float) -> None:
        nonlocal done
        done = part

    def picture() -> Picture:
        return done, ["counting"]

    tree = parse(where or [], BY_NAME)
    with options.read_connection(db) as connection:
        selected = options.without_copies(connection, tree, voice, copies=copies)
        among = Among(selected, tuple(where or ()), copies)
        with live_display(voice, picture):
            made = web.report(connection, among, title=title, now=datetime.now(UTC), going=going)
            text = web.page(made)
        if not made.total:
            options.explain(connection, tree, voice)
    _write(output, text, force=force)
    rows = number(len(made.rows))
    voice.notice(
        f"wrote {output}: {count(made.total, 'file')} with training metadata,"
        f" {rows} of them in the table, {size(len(text.encode()))}"
    )


def _check(path: Path, *, force: bool) -> None:
    """Refuse a place that cannot be written, before the work begins.

    Raises:
        UsageError: It is a folder, or exists and `force` is off, or has no folder.
    """
    # Not those of Path, which raise where a folder above may not be looked into.
    if os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"{path} is a folder; name a file, like {path / 'report.html'}")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path} exists\nuse --force to overwrite it")
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise UsageError(f"there is no folder {path.parent}")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write the file beside its place, then move it there: it is never there in part.

    Raises:
        UsageError: It cannot be written, or appeared meanwhile.
    """
    beside = None
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            newline="\n",
            dir=path.parent,
            prefix=f".{path.name}.",
            delete=False,
        ) as file:
            beside = Path(file.name)
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        if force:
            beside.replace(path)
        else:
            _check(path, force=False)
            beside.rename(path)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    finally:
        if beside is not None:
            with suppress(FileNotFoundError):
                beside.unlink()
