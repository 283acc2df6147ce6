"""`lora-crawl recipe`: a trainer's files to train a LoRA with the same settings."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import typer

from crawler.cli.options import (
    Db,
    Force,
    Output,
    Quiet,
    RecipeForm,
    Verbose,
    voice_of,
)
from crawler.cli.output.console import answers
from crawler.cli.reference import Ref, read_decoded
from crawler.errors import UsageError
from crawler.insight.export import Format


def write_files(folder: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write the files into a folder, which is created; write none if one of them exists.

    Args:
        folder: Where to write.
        texts: The contents by file name.
        force: Overwrite existing files.

    Raises:
        UsageError: A file exists and `force` is off, or the folder cannot be written.
    """
    try:
        existing = [name for name in texts if (folder / name).exists()]
        if existing and not force:
            raise UsageError(
                f"{folder} already has {', '.join(existing)}\nuse --force to overwrite"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            # Mode x: a file that appeared since the check is not overwritten either.
            mode = "w" if force else "x"
            with (folder / name).open(mode, encoding="utf-8", newline="\n") as file:
                file.write(text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot write to {folder}: {reason.lower()}") from error


def recipe(
    ctx: typer.Context,
    ref: Ref,
    *,
    form: RecipeForm = Format.SD_SCRIPTS,
    output: Output = None,
    force: Force = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make a trainer's files to train a LoRA with the same settings.

    For sd-scripts they are config.toml and dataset.toml. With them comes report.txt, which lists the
    settings that could not be recovered or carried over. Without --output all files are printed. A
    path needs no database.
    """
    from crawler.answers.recipe import recipe_files

    if force and output is None:
        raise UsageError("--force needs --output DIR")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    made = recipe_files(*read_decoded(ref, db), form)
    if output is None:
        _print(made.texts)
    else:
        write_files(output, made.texts, force=force)
        counts = Counter(note.kind for note in made.notes)
        notes = ", ".join(f"{amount} {kind.value}" for kind, amount in counts.items())
        voice.notice(f"wrote {', '.join(made.texts)} to {output}: {notes}")
    for remark in made.remarks:
        voice.notice(remark)


def _print(texts: Mapping[str, str]) -> None:
    """Print all files; the report becomes comments, so that TOML and YAML stay valid as a whole."""
    from crawler.answers.recipe import REPORT

    with answers(machine=True) as stream:
        for number, (name, text) in enumerate(texts.items()):
            gap = "\n" if number else ""
            stream.write(f"{gap}# --- {name}\n")
            for line in text.split("\n")[:-1]:
                stream.write(f"# {line}".rstrip() + "\n" if name == REPORT else f"{line}\n")
