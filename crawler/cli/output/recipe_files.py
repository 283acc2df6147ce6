"""Recipes as files: TOML that is safe to print, written without overwriting anything."""

from collections.abc import Mapping
from pathlib import Path

from crawler.cli.output.safe import visible_toml
from crawler.errors import UsageError


def escaped(text: str) -> str:
    """TOML of any number of lines with everything unprintable escaped as TOML does."""
    return "\n".join(visible_toml(line) for line in text.split("\n"))


def write_files(folder: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write the files; none of them when one is there already. The folder is made.

    Args:
        folder: Where they go.
        texts: By the names of the files.
        force: Overwrite what is there.

    Raises:
        UsageError: One is there and may not be overwritten, or the folder cannot be written to.
    """
    try:
        there = [name for name in texts if (folder / name).exists()]
        if there and not force:
            raise UsageError(f"{folder} has {', '.join(there)} already\n--force overwrites")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            # Exclusive unless forced: a file that came in between is not overwritten either.
            with (folder / name).open(
                "w" if force else "x", encoding="utf-8", newline="\n"
            ) as file:
                file.write(text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{folder} cannot be written to: {reason.lower()}") from error
