"""Folders on this machine, looked through for safetensors files."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crawler.model import LocalFile

#: The suffixes of safetensors files, in lower case.
SUFFIXES = (".safetensors", ".sft")

#: Nanoseconds that both databases hold; a file system may name times beyond them.
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was listed in full. `path` is absolute and without symbolic links."""

    path: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """What could not be looked at, and why, in words."""

    path: str
    reason: str


def look_through(roots: Iterable[str]) -> Iterator[Folder | LocalFile | Unseen]:
    """Every safetensors file in these folders and the folders in them, in the order of their names.

    Symbolic links are followed, and no folder is listed twice, however many ways lead to it. What
    begins with a dot is passed over: other programs keep caches, waste bins and copies of
    attributes there. A path that is named in `roots` is taken whatever its name is.

    Args:
        roots: Folders, and single files.

    Yields:
        A Folder once it is listed, its files behind it; an Unseen where something is in the way.
    """
    listed: set[str] = set()
    for root in roots:
        yield from _below(root, listed)


def vanished(path: str) -> bool:
    """Whether nothing is there any more. False where that cannot be found out."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _below(root: str, listed: set[str]) -> Iterator[Folder | LocalFile | Unseen]:
    if not root:
        yield Unseen(root, "an empty path names nothing")
        return
    if not Path(root).is_dir():
        folder, name = os.path.split(root)
        yield _look_at(os.path.realpath(folder), name)
        return
    waiting = [root]
    while waiting:
        folder = os.path.realpath(waiting.pop())
        if folder in listed:
            continue
        listed.add(folder)
        inner: list[str] = []
        yield from _listing(folder, inner)
        waiting += reversed(inner)


def _listing(folder: str, inner: list[str]) -> Iterator[Folder | LocalFile | Unseen]:
    """The files of one folder; the folders in it are added to `inner`."""
    try:
        with os.scandir(folder) as entries:
            shown = sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError as error:
        yield Unseen(folder, _reason(error))
        return
    yield Folder(folder)
    for entry in shown:
        if _is_folder(entry):
            inner.append(entry.path)
        elif entry.name.lower().endswith(SUFFIXES):
            yield _look_at(folder, entry.name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or into a folder that is closed to us
        return False


def _look_at(folder: str, name: str) -> LocalFile | Unseen:
    path = Path(folder, name)
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Unseen(str(path), _reason(error))
    if not stat.S_ISREG(found.st_mode):
        return Unseen(str(path), "it is no ordinary file")
    mtime = found.st_mtime_ns
    return LocalFile(str(path), found.st_size, mtime if mtime in _INT64 else None)


def _reason(error: OSError | ValueError) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return reason[:1].lower() + reason[1:]
