"""Files on this machine: their headers read, and nothing behind them."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from crawler.decode.header import needed_bytes
from crawler.errors import HeaderError

#: Bytes read at first: enough to know other formats by, and most headers of small LoRAs.
_FIRST_BYTES = 4096


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
    # A pipe put in the file's place would block the call; what has been opened is then looked at.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is no ordinary file")
        prefix = file.read(_FIRST_BYTES)
        try:
            missing = needed_bytes(prefix, file_bytes=status.st_size) - len(prefix)
        except HeaderError:
            return Beginning(prefix, status.st_size)
        return Beginning(prefix + file.read(max(missing, 0)), status.st_size)
