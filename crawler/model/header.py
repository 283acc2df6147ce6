"""What a safetensors file says in front of its weights."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec

#: Bytes in front of the header that hold its length: an unsigned integer, little-endian.
LENGTH_BYTES = 8


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


class Form(msgspec.Struct, frozen=True, gc=False):
    """Type and shape, which most tensors of a LoRA share with many others."""

    dtype: str
    shape: tuple[int, ...]


class TensorTable(Mapping[str, Tensor]):
    """The tensors of a header in columns: thousands of them, of few forms, named layer by layer.

    As a mapping it holds each tensor by its name; these are made when one is first asked for, since
    most readers are content with the columns.

    Attributes:
        stems: What names begin with.
        ends: What they end with: every stem has each of them, in this order, and the names are all
            different. A header without such order has its names for stems, and one empty end.
        form_of: A key of `forms` for every name, stem by stem.
        forms: Those that occur.
        bounds: For every name where its bytes begin, counted from the end of the header; at last
            where they all end.
    """

    def __init__(
        self,
        stems: Sequence[str],
        ends: Sequence[str],
        form_of: Sequence[Hashable],
        forms: Mapping[Any, Form],
        bounds: Sequence[int],
    ) -> None:
        self.stems = stems
        self.ends = ends
        self.form_of = form_of
        self.forms = forms
        self.bounds = bounds

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        names = (stem + end for stem in self.stems for end in self.ends)
        forms = (self.forms[key] for key in self.form_of)
        return {
            name: Tensor(form.dtype, form.shape, offsets)
            for name, form, offsets in zip(names, forms, pairwise(self.bounds), strict=True)
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self.form_of)

    def __repr__(self) -> str:
        return f"<TensorTable of {len(self)} tensors in {len(self.forms)} forms>"


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
        return LENGTH_BYTES + self.length + self.body_bytes
