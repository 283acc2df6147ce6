"""What a safetensors file says in front of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """One entry of the header; a struct because headers hold thousands and are read in bulk.

    Attributes:
        dtype: The format's own name (`F16`, `BF16`, `F32` …).
        shape: Empty for a scalar.
        data_offsets: First byte and the byte behind the last, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Header:
    """A header that the safetensors library would accept as a whole file.

    Attributes:
        length: Bytes of JSON, without the 8 bytes of the length itself.
        tensors: By name.
        metadata: The raw strings; None when the header has no `__metadata__`, or null.
    """

    length: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] | None

    @property
    def body_bytes(self) -> int:
        """How many bytes of weights follow the header."""
        return max((tensor.data_offsets[1] for tensor in self.tensors.values()), default=0)

    @property
    def file_bytes(self) -> int:
        """How long the whole file must be."""
        return 8 + self.length + self.body_bytes
