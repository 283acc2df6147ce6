"""The header of a safetensors file: its tensors and its metadata."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

#: Bytes in front of the header that hold its length: an unsigned integer, little-endian.
LENGTH_BYTES = 8


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """One entry of the header. It is a struct because headers have thousands, read in bulk.

    Attributes:
        dtype: The format's own name (`F16`, `BF16`, `F32` …).
        shape: Empty for a scalar.
        data_offsets: The first byte, and the byte after the last, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TensorList:
    """Where a header has its tensor list: the entries of all tensors, as written.

    LoRAs of one base model, rank and trainer have the same list, byte for byte.

    Attributes:
        start: The first byte of the list, counted from the beginning of the file.
        size: The length in bytes.
        digest: SHA-256 of the bytes.
    """

    start: int
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """A valid header: the safetensors library would accept it with a file of the right length.

    Attributes:
        length: Bytes of JSON, without the 8 bytes of the length itself.
        tensors: By name; empty if the reader was told that the list is known.
        metadata: The raw strings; None when the header has no `__metadata__`, or null.
        body_bytes: Bytes that the tensors fill.
        tensor_list: None if the header is not written as usual.
    """

    length: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] | None
    body_bytes: int = 0
    tensor_list: TensorList | None = None
