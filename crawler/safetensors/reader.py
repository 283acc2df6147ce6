"""The header of a safetensors file, read from its first bytes.

    8 bytes    length of the header, an unsigned little-endian integer
    length     JSON: `__metadata__` and, by name, the dtype, shape and data_offsets of each tensor
    the rest   the tensors' bytes, without gaps

The safetensors library 0.8 is the law. What it accepts as a whole file is read identically from the
header alone; what it refuses raises HeaderError. There are two readers:

1. `read_list` and `read_metadata`: the halves of a header as `split` cuts it, read by msgspec, if the
   library would read them identically.
2. `exact_reader`: everything else, token by token.

Codes of HeaderError: header_too_small, header_too_large, invalid_length, invalid_utf8, invalid_json,
duplicate_key, invalid_metadata, invalid_tensor, invalid_offset, invalid_size, misaligned, overflow,
incomplete, too_unusual (our own: the header is long and not plain, and was not read).
"""

import re
from collections.abc import Callable

import msgspec

from crawler.errors import HeaderError
from crawler.model import Header, Tensor
from crawler.model.header import LENGTH_BYTES
from crawler.model.int64 import MAX_INT64
from crawler.safetensors.exact_reader import read_exactly
from crawler.safetensors.layout import body_bytes
from crawler.safetensors.sniff import name_other_format, quoted
from crawler.safetensors.split import find_list, metadata_json

#: Longest header that the format allows, in bytes, without the 8 bytes of its length.
MAX_HEADER_BYTES = 100_000_000

#: Longest file, in bytes: file systems count with 63 bits. This keeps every offset storable.
MAX_FILE_BYTES = MAX_INT64

#: Longest header that is read token by token, in bytes: one as expensive as possible takes some
#: seconds. No real header of this kind has more than some kilobytes.
MAX_UNUSUAL_BYTES = 2 * 1024 * 1024

#: Commas of a plain header for each quotation mark, at most: an entry of ten marks has four commas and
#: one for each side of its shape but the first. A shape of millions of sides takes gigabytes.
_COMMAS_PER_QUOTE = 4

#: Quotation marks of an entry with only its name, its three fields and its dtype.
_QUOTES_PER_TENSOR = 10

_LENGTH_CODES = frozenset({"header_too_small", "header_too_large", "invalid_length"})
_OBJECT = re.compile(rb"[ \t\n\r]*\{")
_NO_OBJECT = re.compile(rb"[ \t\n\r]*[^ \t\n\r{]")
_METADATA_KEY = "__metadata__"

#: The digest of a tensor list -> the bytes that its tensors fill; None when it is not known.
Known = Callable[[bytes], int | None]

_METADATA = msgspec.json.Decoder(dict[str, str])
_TENSORS = msgspec.json.Decoder(dict[str, Tensor])


def needed_bytes(start: bytes, *, file_bytes: int | None = None) -> int:
    """How many bytes at the file's beginning hold its header, including the 8 of the length.

    Args:
        start: The first bytes, at least 8 of them or the whole file.
        file_bytes: The file's length, None when unknown.

    Raises:
        HeaderError: There is no header: the length is impossible, or no JSON object follows it.
            `other_format` is set when the bytes show another format.
    """
    try:
        return LENGTH_BYTES + _length(start, file_bytes)
    except HeaderError as error:
        raise _named(error, start) from None


def parse_header(
    data: bytes,
    *,
    file_bytes: int | None = None,
    known: Known | None = None,
    max_unusual: int = MAX_UNUSUAL_BYTES,
) -> Header:
    """The header at the beginning of a file.

    Args:
        data: The file's beginning; bytes after the header are ignored.
        file_bytes: The file's length, which the tensors must fill exactly. None when unknown: then
            the end of the last tensor is not checked.
        known: Looks up tensor lists that were read before. Such a list is not read again.
        max_unusual: Longest header that is read token by token, in bytes.

    Raises:
        HeaderError: The safetensors library would refuse the file, or it was not read, since its header
            is longer than `max_unusual` and not plain. Nothing else is raised. `other_format` is set
            when the bytes show another format.
    """
    try:
        length = _length(data, file_bytes)
        header = _read_plain(data, length, known) or _read_unusual(data, length, max_unusual)
        check_end(length, header.body_bytes, file_bytes)
    except HeaderError as error:
        raise _named(error, data) from None
    return header


def check_end(length: int, body_bytes: int, file_bytes: int | None) -> None:
    """Check that the last tensor ends with the file.

    Args:
        length: Bytes of JSON.
        body_bytes: Bytes that the tensors fill.
        file_bytes: The file's length, None when unknown.

    Raises:
        HeaderError: incomplete, or overflow.
    """
    end = LENGTH_BYTES + length + body_bytes
    if file_bytes is not None and end != file_bytes:
        raise HeaderError(
            "incomplete", f"the last tensor ends at byte {end:,}, the file at {file_bytes:,}"
        )
    if end > MAX_FILE_BYTES:
        raise HeaderError("overflow", f"the last tensor ends at byte {end:,}, beyond any file")


def _read_unusual(data: bytes, length: int, max_unusual: int) -> Header:
    if length > max_unusual:
        raise HeaderError(
            "too_unusual",
            f"a header of {length:,} bytes that is not written as usual; such headers are read up"
            f" to {max_unusual:,} bytes",
        )
    tensors, metadata = read_exactly(data[LENGTH_BYTES : LENGTH_BYTES + length])
    return Header(length, tensors, metadata, body_bytes(tensors))


def _length(start: bytes, file_bytes: int | None) -> int:
    """The length of the JSON from the first 8 bytes; raises HeaderError if it is impossible."""
    if len(start) < LENGTH_BYTES:
        raise HeaderError(
            "header_too_small", f"{len(start)} bytes are too few: a safetensors file has at least 8"
        )
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(
            "header_too_large",
            f"the header claims {length:,} bytes, more than {MAX_HEADER_BYTES:,}",
        )
    if file_bytes is not None and LENGTH_BYTES + length > file_bytes:
        raise HeaderError(
            "invalid_length",
            f"the header claims {length:,} bytes, more than a file of {file_bytes:,} bytes holds",
        )
    # Checked here, so that nobody fetches megabytes that cannot be a header.
    if _NO_OBJECT.match(start, LENGTH_BYTES, LENGTH_BYTES + length):
        found = quoted(start[LENGTH_BYTES : LENGTH_BYTES + 20])
        raise HeaderError("invalid_json", f"expected '{{' at byte 0, found {found}")
    return length


def _named(error: HeaderError, start: bytes) -> HeaderError:
    """The error, with the name of the other format that the bytes show, if any."""
    if error.code != "header_too_large" and _OBJECT.match(start, LENGTH_BYTES):
        return error
    other_format = name_other_format(start, length_possible=error.code not in _LENGTH_CODES)
    if other_format is None:
        return error
    detail = f"not a safetensors file but another format: {other_format}, beginning {quoted(start)}"
    return HeaderError(error.code, detail, other_format=other_format)


def _read_plain(data: bytes, length: int, known: Known | None) -> Header | None:
    """The header; None when it is not written as usual, not plain, or not valid."""
    if len(data) < LENGTH_BYTES + length:
        raise HeaderError(
            "invalid_length",
            f"the header claims {length:,} bytes, more than the {len(data):,} bytes read",
        )
    found = find_list(data, length)
    if found is None:
        return None
    size = known(found.digest) if known else None
    written = memoryview(data)[found.start : found.start + found.size]
    tensors = read_list(written) if size is None else {}
    if tensors is None:
        return None
    try:
        metadata = read_metadata(data, found.start)
    except ValueError:
        return None
    return Header(length, tensors, metadata, size or body_bytes(tensors), found)


def read_metadata(data: bytes, start: int) -> dict[str, str] | None:
    """The metadata in front of a tensor list; None when there is none.

    Args:
        data: The file's beginning, with or without the list.
        start: Where the list is.

    Raises:
        ValueError: It is no JSON object of texts.
    """
    written = metadata_json(data, start)
    return None if written is None else _METADATA.decode(written)


def read_list(written: bytes | memoryview) -> dict[str, Tensor] | None:
    """The tensors of a list; None when the list is not plain, or not valid.

    A list is plain when all of its entries have exactly their three fields and no escapes. Counting
    proves it. An entry that msgspec accepts has at least five strings, and a string has at least two
    quotation marks. With ten of them per tensor in the result there was no other field, no duplicate
    field or name, and nothing nested. Only integers can still differ: msgspec accepts negative ones
    and -0, which the count of hyphens shows, and any size, which `body_bytes` checks.
    """
    text = b"".join((b"{", written, b"}"))
    quotes = text.count(b'"')
    if text.count(b",") > _COMMAS_PER_QUOTE * quotes or b"\\" in text:
        return None
    try:
        tensors = _TENSORS.decode(text)
    except (ValueError, RecursionError):  # those of msgspec are ValueErrors
        return None
    if (
        quotes == _QUOTES_PER_TENSOR * len(tensors)
        and text.count(b"-") == "".join(tensors).count("-")
        and _METADATA_KEY not in tensors
    ):
        return tensors
    return None
