"""Cut a header in two: the tensor list, which many files share, and what is the file's own.

    length {"__metadata__":{…},"a":{…},"b":{…}} padding
    own                       list             own

Two valid halves make a valid header, wherever it was cut: an object of texts, a comma, and what is the
inside of an object of tensors. So a list that was read once need not be read again.
"""

import hashlib
import re

from crawler.model import TensorList
from crawler.model.header import LENGTH_BYTES

_BLANKS = b" \t\n\r"
_OPENING = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*("__metadata__"[ \t\n\r]*:[ \t\n\r]*)?')
_COMMA = re.compile(rb"[ \t\n\r]*,")

#: A field of every tensor. Inside a JSON text its quotation marks would be escaped.
_FIELD = b'"data_offsets"'


def find_list(data: bytes, length: int) -> TensorList | None:
    """Where a header has its tensor list; None when it is not written as usual.

    Usual is a header that begins with its metadata, or has none, and has tensors. The header is not
    checked: what is found is a list only if `reader.read_list` reads it.

    Args:
        data: The file's beginning, at least its whole header.
        length: Bytes of JSON.
    """
    stop = LENGTH_BYTES + length
    opening = _OPENING.match(data, LENGTH_BYTES, stop)
    field = data.find(_FIELD, LENGTH_BYTES, stop)
    end = data.rfind(b"}", LENGTH_BYTES, stop)
    if opening is None or field < 0 or data[end + 1 : stop].strip(_BLANKS):
        return None
    start = opening.end()
    if opening[1]:
        # In front of the brace and the name of the first tensor is the brace that ends the metadata.
        closing = data.rfind(b"}", start, data.rfind(b"{", start, field))
        comma = _COMMA.match(data, closing + 1, stop) if closing >= 0 else None
        if comma is None:
            return None
        start = comma.end()
    digest = hashlib.sha256(memoryview(data)[start:end]).digest()
    return TensorList(start, end - start, digest)


def cut(data: bytes, found: TensorList) -> tuple[bytes, bytes]:
    """What is the file's own, and the list."""
    end = found.start + found.size
    return data[: found.start] + data[end:], data[found.start : end]


def joined(own: bytes, start: int, tensors: bytes) -> bytes:
    """The bytes that `cut` has cut, from the file's own, the list's beginning, and the list."""
    return own[:start] + tensors + own[start:]


def metadata_json(data: bytes, start: int) -> bytes | None:
    """The metadata in front of a tensor list, as JSON; None when there is none."""
    opening = _OPENING.match(data, LENGTH_BYTES, start)
    if opening is None or not opening[1]:
        return None
    return data[opening.end() : start].removesuffix(b",")
