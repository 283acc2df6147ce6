"""`lora-crawl sandbox`: a local catalogue that behaves like Civitai."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.console import answers
from crawler.cli.options import Quiet, Verbose, voice_of
from crawler.cli.words import count
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.sandbox.entries import Stock


def sandbox(
    ctx: typer.Context,
    *,
    size: Annotated[int, typer.Option(min=0, max=10_000_000, help="Models in it.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Another number makes another catalogue.")] = 0,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8400,
    latency: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="Waited before each answer.")
    ] = 0.0,
    plain: Annotated[
        bool, typer.Option("--plain", help="Every file sound and free: no refusals, no damage.")
    ] = False,
    bodies: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Replay real list bodies: JSON with `items`."),
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --bodies: real headers to serve for their files."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Serve a made-up catalogue on this machine, for trying lora-crawl and for tests.

    It listens on loopback only and behaves like Civitai: lists, cursors, counted downloads, signed
    links to a second address, refusals. Ctrl-C ends it.
    """
    from crawler.sandbox import Catalogue, Faults, Replay, Sandbox, serve_forever

    if (bodies is None) != (headers is None):
        raise UsageError("--bodies and --headers go together")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    stock: Stock
    if bodies is not None and headers is not None:
        stock = Replay(bodies, headers)
    else:
        stock = Catalogue(size, seed, Faults.plain() if plain else Faults.mild())

    def announce(running: Sandbox) -> None:
        with answers() as out:
            out.write(f"{running.url}\n")
        voice.notice(
            f"{count(len(stock), 'model')}; files come from {running.storage_url};"
            f" the key it takes is {running.key}\n"
            f"try: lora-crawl sync --api-url {running.url} --rate 0 --db try.db\n"
            "Ctrl-C ends it"
        )

    seen = serve_forever(stock, announce, latency=latency, host=host, port=port)
    voice.notice(f"{count(seen.lists, 'list call')}, {count(seen.downloads, 'counted download')}")
