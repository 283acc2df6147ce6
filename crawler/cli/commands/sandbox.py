"""`lora-crawl sandbox`: a small stand-in for Civitai on this machine."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crawler.answers.text import count
from crawler.cli.options import Quiet, Verbose, voice_of
from crawler.cli.output.console import answers
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.sandbox import Faults

#: Every fault, for the help; the class that defines them takes too long to import for that.
SWITCHES = (
    "mature_only", "minor", "unlisted", "unlisted_run", "tied_run", "odd_name", "training_data",
    "pickle", "login_required", "early_access", "downloads_disabled", "forbidden", "gone",
    "archived", "no_metadata", "other_format", "bad_header", "huge_header", "giant_body", "busy",
    "server_error", "html_reply", "edge_block", "lost_file", "whole_file", "cut_body", "stall",
    "stall_seconds", "storage_busy", "storage_forbidden", "expired_link", "most_strikes", "quota",
    "region_blocked",
)  # fmt: skip


def sandbox(
    ctx: typer.Context,
    *,
    size: Annotated[
        int, typer.Option(metavar="N", min=0, max=100_000, help="Number of models.")
    ] = 2_000,
    seed: Annotated[
        int,
        typer.Option(metavar="N", help="Seed of the catalogue; each seed gives a different one."),
    ] = 0,
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65535, help="Port of the API; 0 = any free port."),
    ] = 8400,
    latency: Annotated[
        float, typer.Option(min=0, max=60, metavar="SECONDS", help="Wait before each answer.")
    ] = 0.0,
    faults: Annotated[
        Literal["none", "mild", "full"],
        typer.Option(help="Faults to simulate: none, those of the real site, or all."),
    ] = "mild",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help=f"Set one fault; repeatable: {', '.join(SWITCHES)}."
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Serve a made-up catalogue on this machine.

    It listens on loopback only and behaves like Civitai: lists, cursors, counted downloads, signed
    links to a second address, refusals. Press Ctrl-C to stop it.
    """
    from crawler.sandbox import Catalogue, Faults, Sandbox

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    mixes = {"none": Faults.plain, "mild": Faults.mild, "full": Faults.full}
    catalogue = Catalogue(size, seed, with_switches(mixes[faults](), fault or ()))
    with Sandbox(catalogue, latency=latency, port=port) as running:
        with answers() as out:
            out.write(f"{running.url}\n")
        voice.notice(
            f"{count(size, 'model')}; files come from {running.storage_url};"
            f" its API key is {running.key}\n"
            f"try: lora-crawl sync --api-url {running.url} --rate 0 --db try.db\n"
            "press Ctrl-C to stop"
        )
        with suppress(KeyboardInterrupt):
            running.wait()
        seen = running.counters
    voice.notice(f"{count(seen.lists, 'list call')}, {count(seen.downloads, 'counted download')}")
    for name, times in sorted(seen.injected.items()):
        voice.notice(f"{name}: {times}")


def with_switches(faults: "Faults", settings: Iterable[str]) -> "Faults":
    """The faults changed by settings `NAME=VALUE`.

    A value is a share from 0 to 1, a count, seconds, `true` or `false`, or `none` for no limit.

    Raises:
        UsageError: There is no such fault, or it cannot have this value.
    """
    import msgspec

    values: dict[str, Any] = asdict(faults)
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        name = name.replace("-", "_")
        if name not in values:
            near = get_close_matches(name, values, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise UsageError(f"there is no fault {name!r}{hint}")
        if not equals:
            raise UsageError(f"fault {name} needs a value, e.g. {name}=0.1")
        values[name] = None if text.lower() == "none" else text
        try:
            faults = msgspec.convert(values, type(faults), strict=False)
        except msgspec.ValidationError as error:
            what = str(error).partition(" - at ")[0]
            raise UsageError(f"fault {name} cannot be {text!r}: {what}") from None
    return faults
