"""Recipes as files: TOML that is safe to print, and files that overwrite nothing."""

from collections.abc import Mapping
from pathlib import Path

from crawler.cli.output.safe import visible_toml
from crawler.errors import UsageError


def escaped(text: str) -> str:
    """The lines of a TOML text with control characters escaped as TOML does."""
    return "\n".join(visible_toml(line) for line in text.split("\n"))


def write_files(folder: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write the files into a folder, which is created; none of them when one exists already.

    Args:
        folder: Where to write.
        texts: File name -> content.
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
            with (folder / name).open(
                "w" if force else "x", encoding="utf-8", newline="\n"
            ) as file:
                file.write(text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot write to {folder}: {reason.lower()}") from error
