"""`lora-crawl sandbox`: a local catalogue that behaves like Civitai."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Quiet, Verbose, voice_of
from crawler.cli.output.console import answers
from crawler.cli.output.words import count
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.sandbox.entries import Stock


#: Every switch, for the help: the class that has them takes too long to import for that.
SWITCHES = (
    "mature_only", "minor", "real_person", "unlisted", "unlisted_run", "archived",
    "taken_down", "tied_run", "ties", "hidden_stats", "no_creator", "odd_licence",
    "no_hashes", "no_files", "unscanned", "naive_time", "sparse", "odd_name", "twin_links",
    "wrong_link", "wrong_size", "training_data", "pickle", "login_required", "early_access",
    "downloads_disabled", "forbidden", "gone", "archived_late", "no_metadata", "html_body",
    "zip_body", "lfs_body", "bad_header", "huge_header", "giant_body", "moves", "drift",
    "edge_cache", "deploy_at", "busy", "retry_after", "server_error", "bad_gateway",
    "gateway_timeout", "html_reply", "edge_block", "lost_file", "whole_file", "cut_body",
    "stall", "stall_seconds", "storage_busy", "storage_forbidden", "expired_link",
    "most_strikes", "url_lifetime", "quota", "blacklisted", "agent_rules", "region_blocked",
)  # fmt: skip
_NAMES = ", ".join(SWITCHES)


class Mix(StrEnum):
    """The mixes of faults that have a name."""

    NONE = "none"
    MILD = "mild"
    FULL = "full"


def sandbox(
    ctx: typer.Context,
    *,
    size: Annotated[
        int, typer.Option(metavar="N", min=0, max=10_000_000, help="Models in it.")
    ] = 2_000,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another number makes another catalogue.")
    ] = 0,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8400,
    latency: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="Waited before each answer.")
    ] = 0.0,
    faults: Annotated[
        Mix, typer.Option(help="What is out of order: nothing, what the real site has, everything.")
    ] = Mix.MILD,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help=f"One switch of it (repeatable): {_NAMES}."),
    ] = None,
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
    from crawler.sandbox.switches import switched

    if (bodies is None) != (headers is None):
        raise UsageError("--bodies and --headers go together")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    mixes = {Mix.NONE: Faults.plain, Mix.MILD: Faults.mild, Mix.FULL: Faults.full}
    wanted = switched(mixes[faults](), fault or ())
    stock: Stock
    if bodies is not None and headers is not None:
        stock = Replay(bodies, headers, wanted)
    else:
        stock = Catalogue(size, seed, wanted)

    def announce(running: Sandbox) -> None:
        with answers() as out:
            out.write(f"{running.url}\n")
        voice.notice(
            f"{count(len(stock), 'model')}; files come from {running.storage_url};"
            f" the key it takes is {running.key}\n"
            f"try: lora-crawl sync --api-url {running.url} --rate 0 --db try.db\n"
            "Ctrl-C ends it"
        )

    seen = serve_forever(stock, announce, latency=latency, host=host, port=port, seed=seed)
    voice.notice(f"{count(seen.lists, 'list call')}, {count(seen.downloads, 'counted download')}")
    for name, times in sorted(seen.injected.items()):
        voice.notice(f"{name}: {times}")
