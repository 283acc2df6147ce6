"""`lora-crawl serve`: the database as a page in the browser, and as a JSON API."""

import webbrowser
from contextlib import suppress
from typing import Annotated

import typer

from crawler.cli import options
from crawler.cli.output.console import answers


def serve(
    ctx: typer.Context,
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Any but a loopback address lets other machines read the database.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="Port; 0 = any free port."),
    ] = 8410,
    browse: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    db: options.Db = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Serve the database as a page in the browser and as a JSON API.

    It only reads, and answers only to this machine unless --host says otherwise. Press Ctrl-C to stop it.
    """
    from crawler.web.server import PageServer

    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    with (
        suppress(KeyboardInterrupt),
        options.read_engine(db) as engine,
        PageServer(engine, host=host, port=port) as running,
    ):
        with answers() as out:
            out.write(f"{running.url}\n")
        if running.is_open:
            voice.notice(
                f"whoever can reach this machine at {host} can read the whole database:"
                " there is no password, and nothing is encrypted"
            )
        voice.notice("press Ctrl-C to stop")
        if browse and not webbrowser.open(running.url):
            voice.notice("no browser can be started; open the address yourself")
        running.wait()
