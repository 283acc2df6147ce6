"""Files on this machine: folders looked through, headers read, and bytes hashed where that is wanted."""

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
from crawler.model import FileHashes, LocalFile
from crawler.model.int64 import INT64
from crawler.safetensors.reader import needed_bytes

#: Bytes read at first: enough to know other formats by, and most headers of small LoRAs.
_FIRST_BYTES = 4096

#: Bytes hashed at a time: enough that Python's share of the time is nothing.
_HASH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file.

    Attributes:
        prefix: At least the whole header where the file has one.
        file_bytes: The file's length.
    """

    prefix: bytes
    file_bytes: int


def read_beginning(path: Path) -> Beginning:
    """Read a file up to the end of its header, however long the file is.

    Only ordinary files are read: a pipe or a device could keep us waiting for ever.

    Raises:
        OSError: The file cannot be read, with the reason in `strerror`.
    """
    with _opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        prefix = file.read(_FIRST_BYTES)
        try:
            missing = needed_bytes(prefix, file_bytes=length) - len(prefix)
        except HeaderError:
            return Beginning(prefix, length)
        return Beginning(prefix + file.read(max(missing, 0)), length)


def refused_by_library(path: Path) -> str | None:
    """Why the safetensors library does not open a file, in its words; None where it does.

    It looks at the header and the length alone, and maps nothing: a mapped file that is cut short
    meanwhile would end the process.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with safe_open(path, framework="numpy", backend="pread"):
            return None
    except SafetensorError as error:
        return str(error)


def hash_file(path: Path, *, header_bytes: int | None) -> FileHashes:
    """Hash a whole file in one reading.

    Args:
        path: An ordinary file.
        header_bytes: Where the weights begin: the length of the header and the 8 bytes in front of
            it; None when the file has no sound header.

    Raises:
        OSError: The file cannot be read, with the reason in `strerror`.
    """
    whole, weights = hashlib.sha256(), hashlib.sha256()
    with _opened(path) as file:
        whole.update(file.read(header_bytes or 0))
        while piece := file.read(_HASH_BYTES):
            whole.update(piece)
            if header_bytes is not None:
                weights.update(piece)
    return FileHashes(
        whole.hexdigest().upper(),
        None if header_bytes is None else weights.hexdigest().upper(),
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # A pipe put in the file's place would block the call; what has been opened is then looked at.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(None, "it is no ordinary file")
        yield file


#: The suffixes of safetensors files, in lower case.
SUFFIXES = (".safetensors", ".sft")


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
    return LocalFile(str(path), found.st_size, mtime if mtime in INT64 else None)


def _reason(error: OSError | ValueError) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return reason[:1].lower() + reason[1:]
