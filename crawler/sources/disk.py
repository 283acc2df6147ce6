"""Find safetensors files in folders of this machine, read their headers, and hash them."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open

from crawler.errors import HeaderError
from crawler.model import FileHashes, HeaderBytes, LocalFile
from crawler.model.int64 import INT64
from crawler.safetensors.reader import needed_bytes

#: The suffixes of safetensors files, in lower case.
SUFFIXES = (".safetensors", ".sft")

#: Bytes of the first read: enough to recognise other formats, and most headers of small LoRAs.
_FIRST_BYTES = 4096

#: Bytes hashed at a time, so that Python's share of the time does not matter.
_HASH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was listed completely; its path is absolute, without symbolic links."""

    path: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """A file or folder that could not be examined, with the reason in words."""

    path: str
    reason: str


def look_through(roots: Iterable[str]) -> Iterator[Folder | LocalFile | Unseen]:
    """All safetensors files in these folders and their subfolders, sorted by name.

    Symbolic links are followed. No folder is listed twice. Names that start with a dot are skipped,
    because other programs keep caches and waste bins there. A path in `roots` is always taken.

    Args:
        roots: Folders and single files.

    Yields:
        A Folder once it is listed, then its files; an Unseen for what cannot be examined.
    """
    listed: set[str] = set()
    for root in roots:
        if not root:
            yield Unseen(root, "the path is empty")
        elif Path(root).is_dir():
            yield from _tree(root, listed)
        else:
            folder, name = os.path.split(root)
            yield _examined(os.path.realpath(folder), name)


def vanished(path: str) -> bool:
    """Whether a file no longer exists; False when that cannot be determined."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def read_beginning(path: Path) -> HeaderBytes:
    """Read a file up to the end of its header.

    Only regular files are read: a pipe or a device could block for ever.

    Raises:
        OSError: The file cannot be read; `strerror` says why.
    """
    with _opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        prefix = file.read(_FIRST_BYTES)
        try:
            missing = needed_bytes(prefix, file_bytes=length) - len(prefix)
        except HeaderError:
            return HeaderBytes(prefix, length)
        return HeaderBytes(prefix + file.read(max(missing, 0)), length)


def refused_by_library(path: Path) -> str | None:
    """The error of the safetensors library for a file; None if it opens the file.

    The library reads the header and the length. Nothing is mapped into memory: a mapped file that
    another program cuts short would end the process.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with safe_open(path, framework="numpy", backend="pread"):
            return None
    except SafetensorError as error:
        return str(error)


def hash_file(path: Path, *, header_bytes: int | None) -> FileHashes:
    """Hash a whole file, reading it once.

    Args:
        path: A regular file.
        header_bytes: Where the weights start: the header and the 8 bytes of its length. None when the
            file has no valid header.

    Raises:
        OSError: The file cannot be read; `strerror` says why.
    """
    whole, weights = hashlib.sha256(), hashlib.sha256()
    with _opened(path) as file:
        whole.update(file.read(header_bytes or 0))
        while piece := file.read(_HASH_BYTES):
            whole.update(piece)
            if header_bytes is not None:
                weights.update(piece)
    known = None if header_bytes is None else weights.hexdigest().upper()
    return FileHashes(whole.hexdigest().upper(), known)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # Opening a pipe would block without O_NONBLOCK. What was opened is checked, not the path.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(None, "it is not a regular file")
        yield file


def _tree(root: str, listed: set[str]) -> Iterator[Folder | LocalFile | Unseen]:
    waiting = [root]
    while waiting:
        folder = os.path.realpath(waiting.pop())
        if folder in listed:
            continue
        listed.add(folder)
        try:
            with os.scandir(folder) as entries:
                shown = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Unseen(folder, _reason(error))
            continue
        yield Folder(folder)
        inner: list[str] = []
        for entry in shown:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                inner.append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield _examined(folder, entry.name)
        waiting += reversed(inner)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link, or one into a folder without permission
        return False


def _examined(folder: str, name: str) -> LocalFile | Unseen:
    path = Path(folder, name)
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Unseen(str(path), _reason(error))
    if not stat.S_ISREG(found.st_mode):
        return Unseen(str(path), "it is not a regular file")
    mtime = found.st_mtime_ns
    return LocalFile(str(path), found.st_size, mtime if mtime in INT64 else None)


def _reason(error: OSError | ValueError) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return reason[:1].lower() + reason[1:]
