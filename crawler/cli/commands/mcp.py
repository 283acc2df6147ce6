"""`lora-crawl mcp`: the same answers for assistants."""

import functools
import os
import signal
import sys

import typer

from crawler.cli.options import Db, Quiet, Verbose, needs_extra, opened, voice_of
from crawler.errors import DatabaseError


def mcp(
    ctx: typer.Context,
    *,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Answer an assistant, over the Model Context Protocol.

    An assistant starts this command itself and talks to it on stdin and stdout: docs/mcp.md has the
    configuration. The database is only read.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    with needs_extra("mcp"):
        from crawler.web.mcp.server import serve

    engine = functools.cache(lambda: opened(db))
    try:
        engine()
    except DatabaseError as error:
        # The assistant is told with each answer, until the database is there.
        voice.notice(str(error))
    if sys.stdin.isatty():
        voice.notice(
            "waiting for an assistant on stdin; docs/mcp.md tells how it starts this command"
        )
    # A thread waits for stdin, and Python would wait for the thread.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(engine)
    sys.stdout.flush()
    os._exit(0)  # statements may be running whose answers nobody reads
