"""The header of a safetensors file: its tensors and its metadata."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

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


class Form(msgspec.Struct, frozen=True, gc=False):
    """Dtype and shape, which most tensors of a LoRA share with many others."""

    dtype: str
    shape: tuple[int, ...]


class TensorTable(Mapping[str, Tensor]):
    """The tensors of a header in columns: thousands of names, few forms.

    It is also a mapping from name to Tensor. The tensors are created on first use, because most readers
    need only the columns.

    Attributes:
        stems: The beginnings of the names.
        ends: The ends of the names. Every stem has each end, in this order. If the names do not follow
            this pattern, the stems are the names, and the only end is empty.
        form_of: A key of `forms` for every name, stem by stem.
        forms: The distinct forms.
        bounds: The first byte of every tensor, from the end of the header, and the end of the last.
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
    """A valid header: the safetensors library would accept it with a file of the right length.

    Attributes:
        length: Bytes of JSON, without the 8 bytes of the length itself.
        metadata: The raw strings; None when the header has no `__metadata__`, or null.
    """

    length: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] | None
