"""The rules of the format for dtypes, sizes and offsets of tensors."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from crawler.errors import HeaderError
from crawler.model import Tensor
from crawler.safetensors.sniff import quoted

#: Largest size or offset of the format: 64 bits without a sign.
MAX_U64 = 2**64 - 1

#: Bits of one element, by dtype of the format.
DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "F4": 4,
        **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
        **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
        **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
        **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
        **dict.fromkeys(("I32", "U32", "F32"), 32),
        **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
    }
)

#: Dimensions that are multiplied without checking the product in between; with a million dimensions
#: the product would have megabytes.
_FEW_DIMENSIONS = 8


def body_bytes(tensors: Mapping[str, Tensor]) -> int:
    """How many bytes the tensors fill, counted from the end of the header.

    Raises:
        HeaderError: invalid_offset (a gap, an overlap, an end before its beginning), invalid_tensor
            (an unknown dtype), overflow (a shape beyond 64 bits), misaligned (not a whole number of
            bytes) or invalid_size (offsets that do not fit dtype and shape).
    """
    end = _end_in_order(tensors)
    if end is None:
        end = 0
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
            _check_tensor(name, tensor, end)
            end = tensor.data_offsets[1]
    return end


def _end_in_order(tensors: Mapping[str, Tensor]) -> int | None:
    """The end of the last tensor, if they are listed in order and none is empty, large or wrong."""
    end = 0
    for tensor in tensors.values():
        begin, stop = tensor.data_offsets
        bits = DTYPE_BITS.get(tensor.dtype, 0)
        shape = tensor.shape
        if (
            begin != end
            or len(shape) > _FEW_DIMENSIONS
            or not 0 < 8 * (stop - begin) == math.prod(shape) * bits <= MAX_U64
        ):
            return None
        end = stop
    return end


def unknown_dtype(name: str, dtype: str) -> HeaderError:
    """The error for a tensor with an unknown dtype."""
    return HeaderError(
        "invalid_tensor", f"tensor {quoted(name)} has the unknown dtype {quoted(dtype)}"
    )


def _check_tensor(name: str, tensor: Tensor, due: int) -> None:
    """Raise HeaderError unless the tensor begins at `due` and its length fits dtype and shape."""
    begin, stop = tensor.data_offsets
    if begin != due or stop < begin or stop > MAX_U64:
        far = max(begin, stop) > MAX_U64
        place = "beyond 64 bits" if far else f"at bytes {begin:,} to {stop:,}"
        raise HeaderError(
            "invalid_offset", f"tensor {quoted(name)} is {place}, expected at {due:,}"
        )
    if tensor.dtype not in DTYPE_BITS:
        raise unknown_dtype(name, tensor.dtype)
    # Size by size, like the library: a zero at the end does not undo an overflow.
    elements = 1
    for size in tensor.shape:
        elements *= size
        if elements > MAX_U64 or size > MAX_U64:
            raise _overflow(name)
    bits = elements * DTYPE_BITS[tensor.dtype]
    if bits > MAX_U64:
        raise _overflow(name)
    if bits % 8:
        raise HeaderError(
            "misaligned", f"tensor {quoted(name)} has {bits:,} bits, not a whole number of bytes"
        )
    if bits != 8 * (stop - begin):
        raise HeaderError(
            "invalid_size",
            f"tensor {quoted(name)} needs {bits // 8:,} bytes but has {stop - begin:,}",
        )


def _overflow(name: str) -> HeaderError:
    return HeaderError("overflow", f"the shape of tensor {quoted(name)} is beyond 64 bits")
