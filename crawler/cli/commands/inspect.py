"""`lora-crawl inspect`: read headers without a database."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.text import count, json_text, number
from crawler.answers.visible import visible
from crawler.cli.options import ApiUrl, Json, NoPager, Quiet, Verbose, told_api_key, voice_of
from crawler.cli.output.console import answers, open_console, print_error
from crawler.model.outcome import READ
from crawler.settings import DEFAULT_API_URL

if TYPE_CHECKING:
    from crawler.answers.reading import Reading


def inspect(
    ctx: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH_OR_URL",
            help="Local files, Civitai pages or downloads, or https URLs of files.",
            show_default=False,
        ),
    ],
    *,
    as_json: Json = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the metadata as stored, sorted by key.")
    ] = False,
    api_url: ApiUrl = None,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Show how a LoRA file or URL was trained, without a database.

    Only the header of a remote file is downloaded. The exit code is 1 when an input is not a sound
    safetensors file; the others are shown anyway.
    """
    from crawler.cli.reference import read_inputs

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    unsound = 0

    def readings() -> Iterator["Reading"]:
        nonlocal unsound
        api, key = api_url or DEFAULT_API_URL, partial(told_api_key, voice)
        for reading in read_inputs(inputs, api_url=api, key=key):
            unsound += reading.outcome not in READ
            yield reading

    if as_json:
        _write_json(readings(), raw=raw)
    elif raw:
        _write_raw(readings(), several=len(inputs) > 1)
    else:
        _print_pages(readings(), pager=not no_pager)
    verb = "is" if len(inputs) == 1 else "are"
    voice.detail(f"{number(len(inputs) - unsound)} of {count(len(inputs), 'input')} {verb} sound")
    if unsound:
        raise typer.Exit(1)


def _write_json(readings: Iterable["Reading"], *, raw: bool) -> None:
    from crawler.answers.lora import inspected

    with answers(machine=True) as stream:
        opening = "[\n"
        for reading in readings:
            stream.write(f"{opening}{json_text(inspected(reading, raw=raw), indent=2)}")
            opening = ",\n"
        stream.write("\n]\n")


def _write_raw(readings: Iterable["Reading"], *, several: bool) -> None:
    """`key: value` lines; with several inputs each follows a line `# input`."""
    with answers(machine=True) as stream:
        for number, reading in enumerate(readings):
            if several:
                gap = "\n" if number else ""
                stream.write(f"{gap}# {visible(reading.input)}\n")
            for key, value in (reading.metadata or {}).items():
                stream.write(f"{visible(key)}: {visible(value)}\n")
            if reading.outcome not in READ:
                print_error(visible(f"{reading.input}: {reading.outcome}: {reading.reason}"))


def _print_pages(readings: Iterable["Reading"], *, pager: bool) -> None:
    from crawler.answers.lora import view_of_file
    from crawler.cli.pages.lora import print_lora

    with answers(pager=pager) as stream:
        console = open_console(stream)
        for number, reading in enumerate(readings):
            if number:
                stream.write("\n\n")
            print_lora(console, view_of_file(reading))
