"""Files on this machine: their headers read, and nothing behind them unless a hash is wanted."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open

from crawler.errors import HeaderError
from crawler.model import FileHashes
from crawler.safetensors.reader import needed_bytes

#: Bytes read at first: enough to know other formats by, and most headers of small LoRAs.
_FIRST_BYTES = 4096

#: Bytes of the length in front of a header.
LENGTH_BYTES = 8

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
