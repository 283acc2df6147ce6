"""`lora-crawl recipe`: sd-scripts files to train a LoRA with the same settings."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import typer

from crawler.answers.visible import visible, visible_toml
from crawler.cli.options import Db, Force, Output, Quiet, Verbose, voice_of
from crawler.cli.output.console import answers
from crawler.cli.reference import Ref, read_decoded
from crawler.errors import UsageError

_REPORT = "report.txt"


def escaped(text: str) -> str:
    """The lines of a TOML text with control characters escaped as TOML does."""
    return "\n".join(visible_toml(line) for line in text.split("\n"))


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
    output: Output = None,
    force: Force = False,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make sd-scripts files to train a LoRA with the same settings.

    They are config.toml, dataset.toml, and report.txt, which lists the settings that could not be
    recovered. Without --output all three are printed. A path needs no database.
    """
    from crawler.insight.export.draft import config_text, dataset_text, report_text
    from crawler.insight.export.recipe import export

    if force and output is None:
        raise UsageError("--force needs --output DIR")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    title, decoded = read_decoded(ref, db)
    made = export(decoded)
    texts = {
        "config.toml": escaped(config_text(made, f"the metadata of {title}")),
        "dataset.toml": escaped(dataset_text(made)),
        _REPORT: "".join(f"{visible(line)}\n" for line in report_text(made).split("\n")[:-1]),
    }
    if output is None:
        _print(texts)
    else:
        write_files(output, texts, force=force)
        counts = Counter(note.kind for note in made.notes)
        notes = ", ".join(f"{amount} {kind.value}" for kind, amount in counts.items())
        voice.notice(f"wrote {', '.join(texts)} to {output}: {notes}")
    if not made.script:
        voice.notice("sd-scripts has no script for this base model; see the report")


def _print(texts: Mapping[str, str]) -> None:
    """Print all three; the report becomes comments, so that the whole is valid TOML."""
    with answers(machine=True) as stream:
        for number, (name, text) in enumerate(texts.items()):
            gap = "\n" if number else ""
            stream.write(f"{gap}# --- {name}\n")
            for line in text.split("\n")[:-1]:
                stream.write(f"# {line}".rstrip() + "\n" if name == _REPORT else f"{line}\n")
