"""Safetensors headers, sound and broken, as bytes."""

from collections.abc import Mapping

import msgspec

from crawler.sandbox.tensors import Measure, Skeleton

_ALIGNMENT = 8  # bytes; the library pads the JSON with spaces to it
LENGTH_BYTES = 8  # little-endian, in front of the JSON
HUGE_HEADER_BYTES = 40 * 1024 * 1024  # sound, and more than a careful reader takes
_BAD_KINDS = 4


def sound(metadata: Mapping[str, str] | None, tensors: Skeleton) -> bytes:
    """The length and the JSON, as the safetensors library writes them.

    Args:
        metadata: None leaves `__metadata__` out.
        tensors: What stands behind it, at least one.
    """
    return _framed(f"{{{_front(metadata)}{tensors.entries}}}".encode())


def sound_bytes(metadata: Mapping[str, str] | None, measure: Measure) -> int:
    """How long `sound` would be, without making it."""
    text_bytes = len(_front(metadata).encode()) + measure.entries_bytes + len("{}")
    return LENGTH_BYTES + text_bytes + -text_bytes % _ALIGNMENT


def _front(metadata: Mapping[str, str] | None) -> str:
    if metadata is None:
        return ""
    text = msgspec.json.encode(metadata).decode()
    return f'"__metadata__":{text},'


def bad(metadata: Mapping[str, str], tensors: Skeleton, kind: int) -> bytes:
    """A header that the safetensors library refuses.

    Args:
        metadata: As in `sound`.
        tensors: As in `sound`.
        kind: Decides in which of several ways.
    """
    good = sound(metadata, tensors)
    match kind % _BAD_KINDS:
        case 0:  # the JSON breaks off
            return _framed(good[LENGTH_BYTES:-64])
        case 1:  # a length far beyond the file
            return (1 << 40).to_bytes(LENGTH_BYTES, "little") + good[LENGTH_BYTES:]
        case 2:  # the first tensor does not begin at 0
            return _framed(
                good[LENGTH_BYTES:].replace(b'"data_offsets":[0,', b'"data_offsets":[2,')
            )
        case _:  # a dtype that does not exist
            return _framed(good[LENGTH_BYTES:].replace(b'"dtype":"', b'"dtype":"Q', 1))


def huge() -> bytes:
    """The beginning of a header that goes on with spaces for HUGE_HEADER_BYTES."""
    return HUGE_HEADER_BYTES.to_bytes(LENGTH_BYTES, "little") + b"{}"


def _framed(text: bytes) -> bytes:
    padded = text + b" " * (-len(text) % _ALIGNMENT)
    return len(padded).to_bytes(LENGTH_BYTES, "little") + padded
