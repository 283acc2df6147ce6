"""`lora-crawl recipe`: the files to train a LoRA like this one again."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.options import Db, Quiet, Verbose, place, voice_of
from crawler.cli.output.console import answers
from crawler.cli.output.recipe_files import escaped, write_files
from crawler.cli.output.safe import visible
from crawler.cli.reference import REF_HELP, read_decoded
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.insight.export.parts import Export

_CONFIG, _DATASET, _REPORT = "config.toml", "dataset.toml", "report.txt"


def recipe(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help=REF_HELP, show_default=False)],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help=f"Write {_CONFIG}, {_DATASET} and {_REPORT} there in place of printing them; "
            "the folder is made.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what the folder has of these files.")
    ] = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make a recipe for sd-scripts of one LoRA: config.toml, dataset.toml, and what is missing.

    A path needs no database.
    """
    from crawler.insight.export.recipe import export
    from crawler.insight.export.text import config_text, dataset_text, report_text

    if force and output is None:
        raise UsageError("--force goes with -o DIR: nothing is written without it")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    title, decoded = read_decoded(ref, place(db))
    made = export(decoded)
    texts = {
        _CONFIG: escaped(config_text(made, f"the metadata of {title}")),
        _DATASET: escaped(dataset_text(made)),
        _REPORT: "".join(f"{visible(line)}\n" for line in report_text(made).split("\n")[:-1]),
    }
    if output is None:
        _print(texts)
    else:
        write_files(output, texts, force=force)
        voice.notice(f"{output}: {_CONFIG}, {_DATASET}, {_REPORT}; {_counted(made)}")
    if not made.script:
        voice.notice("sd-scripts has no script for this base model; see the report")


def _print(texts: Mapping[str, str]) -> None:
    """All three under each other, the report as comments: the whole is TOML too."""
    with answers(machine=True) as stream:
        for number, (name, text) in enumerate(texts.items()):
            gap = "\n" if number else ""
            stream.write(f"{gap}# --- {name}\n")
            for line in text.split("\n")[:-1]:
                stream.write(f"# {line}".rstrip() + "\n" if name == _REPORT else f"{line}\n")


def _counted(made: "Export") -> str:
    counts = Counter(note.kind for note in made.notes)
    return ", ".join(f"{amount} {kind.value}" for kind, amount in counts.items())
