"""The safetensors library asked for its verdict, to compare ours with."""

from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from crawler.errors import HeaderError
from crawler.safetensors.reader import parse_header

#: Longest file that is laid out for the library, in bytes. It is sparse, but not every file system
#: takes more.
MAX_LAID_OUT = 2**43


class Content(NamedTuple):
    """The content of a file as the library returns it."""

    tensors: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[str, str] | None


def with_length(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def library_reads(place: Path, data: bytes, file_bytes: int) -> Content | None:
    """What the library reads from a file that begins with `data`; None when it refuses it.

    The file is made as long as it has to be and holds nothing behind `data`.
    """
    with place.open("wb") as file:
        file.write(data)
        file.truncate(file_bytes)
    try:
        with safe_open(place, framework="np") as content:
            slices = {name: content.get_slice(name) for name in content.keys()}  # noqa: SIM118
            return Content(
                {
                    name: (part.get_dtype(), tuple(part.get_shape()))
                    for name, part in slices.items()
                },
                content.metadata(),
            )
    except SafetensorError:
        return None


def we_read(data: bytes, file_bytes: int) -> Content | None:
    """The same by our own reader."""
    try:
        header = parse_header(data, file_bytes=file_bytes)
    except HeaderError:
        return None
    metadata = None if header.metadata is None else dict(header.metadata)
    return Content({name: (t.dtype, t.shape) for name, t in header.tensors.items()}, metadata)


def assert_same_verdict(place: Path, header: bytes, file_bytes: int | None = None) -> None:
    """Ours and the library's; without a length, for the file that the header asks for, if any."""
    data = with_length(header)
    if file_bytes is None:
        try:
            tensors = parse_header(data).tensors.values()
            file_bytes = len(data) + max((one.data_offsets[1] for one in tensors), default=0)
        except HeaderError:
            file_bytes = len(data) + 4
        if file_bytes > MAX_LAID_OUT:
            return
    assert we_read(data, file_bytes) == library_reads(place, data, file_bytes)
