"""`lora-crawl header`: the header of a file, byte for byte."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, voice_of
from crawler.cli.output.console import answers
from crawler.cli.reference import Ref, read_header
from crawler.errors import UsageError


def header(
    ctx: typer.Context,
    ref: Ref,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to this file.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing FILE.")] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Write the header of a LoRA as it was read, byte for byte.

    It begins with the 8 bytes of its length; the JSON follows. A path needs no database.
    """
    if force and output is None:
        raise UsageError("--force needs --output FILE")
    data = read_header(ref, db)
    if output is None:
        if sys.stdout.isatty():
            raise UsageError("the header is not text: use -o FILE or a pipe")
        with answers() as out:
            out.buffer.write(data)
            out.buffer.flush()
        return
    try:
        with output.open("wb" if force else "xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(f"{output} exists already; use --force to overwrite it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot write {output}: {reason.lower()}") from error
    voice_of(ctx, quiet=quiet, verbose=verbose).notice(f"wrote {len(data):,} bytes to {output}")
