"""The header of a safetensors file, read from its first bytes.

    8 bytes    length of the header, an unsigned little-endian integer
    length     JSON: `__metadata__` and, by name, the dtype, shape and data_offsets of each tensor
    the rest   the tensors' bytes, without gaps

The safetensors library 0.8 is the law. What it accepts as a whole file is read identically from the
header alone; what it refuses raises HeaderError. Three readers are tried, fastest first. Each
passes a header that it cannot verify to the next:

1. `usual_reader`: a header as the library writes it, read in columns.
2. `_read_plain`: JSON read by msgspec, if the library would read it identically.
3. `exact_reader`: everything else, token by token.

Codes of HeaderError: header_too_small, header_too_large, invalid_length, invalid_utf8, invalid_json,
duplicate_key, invalid_metadata, invalid_tensor, invalid_offset, invalid_size, misaligned, overflow,
incomplete, too_unusual (our own: the header is long and not plain, and was not read).
"""

import re

import msgspec

from crawler.errors import HeaderError
from crawler.model import Header, Tensor
from crawler.model.header import LENGTH_BYTES
from crawler.model.int64 import MAX_INT64
from crawler.safetensors.exact_reader import read_exactly
from crawler.safetensors.layout import body_bytes
from crawler.safetensors.sniff import name_other_format, quoted
from crawler.safetensors.usual_reader import read_usual

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
_BLANKS = b" \t\n\r"
_METADATA_MEMBER = re.compile(rb'"__metadata__"[ \t\n\r]*:[ \t\n\r]*')
_COMMA = re.compile(rb"[ \t\n\r]*,")


class _Outline(msgspec.Struct, gc=False):
    """A header, decoded only for its metadata."""

    metadata: msgspec.Raw = msgspec.field(name="__metadata__")


_OUTLINE = msgspec.json.Decoder(_Outline)
_METADATA = msgspec.json.Decoder(dict[str, str] | None)
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
    data: bytes, *, file_bytes: int | None = None, max_unusual: int = MAX_UNUSUAL_BYTES
) -> Header:
    """The header at the beginning of a file.

    Args:
        data: The file's beginning; bytes after the header are ignored.
        file_bytes: The file's length, which the tensors must fill exactly. None when unknown: then
            the end of the last tensor is not checked.
        max_unusual: Longest header that is read token by token, in bytes.

    Raises:
        HeaderError: The safetensors library would refuse the file, or it was not read, since its header
            is longer than `max_unusual` and not plain. Nothing else is raised. `other_format` is set
            when the bytes show another format.
    """
    try:
        return _parse(data, file_bytes, max_unusual)
    except HeaderError as error:
        raise _named(error, data) from None


def _parse(data: bytes, file_bytes: int | None, max_unusual: int) -> Header:
    length = _length(data, file_bytes)
    if len(data) < LENGTH_BYTES + length:
        raise HeaderError(
            "invalid_length",
            f"the header claims {length:,} bytes, more than the {len(data):,} bytes read",
        )
    raw = data[LENGTH_BYTES : LENGTH_BYTES + length]
    usual = read_usual(raw)
    tensors, metadata = usual or _read_plain(raw) or _read_unusual(raw, max_unusual)
    weights_bytes = usual[0].bounds[-1] if usual else body_bytes(tensors)
    end = LENGTH_BYTES + length + weights_bytes
    if file_bytes is not None and end != file_bytes:
        raise HeaderError(
            "incomplete", f"the last tensor ends at byte {end:,}, the file at {file_bytes:,}"
        )
    if end > MAX_FILE_BYTES:
        raise HeaderError("overflow", f"the last tensor ends at byte {end:,}, beyond any file")
    return Header(length, tensors, metadata)


def _read_unusual(raw: bytes, max_unusual: int) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    if len(raw) > max_unusual:
        raise HeaderError(
            "too_unusual",
            f"a header of {len(raw):,} bytes that is not written as usual; such headers are read up"
            f" to {max_unusual:,} bytes",
        )
    return read_exactly(raw)


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


def _read_plain(raw: bytes) -> tuple[dict[str, Tensor], dict[str, str] | None] | None:
    """Tensors and metadata of a plain header; None when it is not plain, or not valid.

    A header is plain when it consists, without the metadata, of tensors with exactly their three
    fields and without escapes. Counting proves it. A tensor that msgspec accepts has at least five
    strings, and a string has at least two quotation marks. With ten of them per tensor in the result
    there was no other field, no duplicate field or name, and nothing nested. Only integers can still
    differ: msgspec accepts negative ones and -0, which the count of hyphens shows, and any size,
    which `body_bytes` checks.
    """
    try:
        metadata, rest = _split(raw)
        if rest.count(b",") > _COMMAS_PER_QUOTE * rest.count(b'"'):
            return None
        tensors = _TENSORS.decode(rest)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if (
        b"\\" not in rest
        and rest.count(b'"') == _QUOTES_PER_TENSOR * len(tensors)
        and rest.count(b"-") == "".join(tensors).count("-")
    ):
        return tensors, metadata
    return None


def _split(raw: bytes) -> tuple[dict[str, str] | None, bytes]:
    """The metadata, and the header without it. Raises the errors of msgspec, or ValueError.

    If the key that is cut out is one of two, or is inside a tensor, the real one stays in the
    header, where its texts are not a tensor: the header is then not plain.
    """
    key = _METADATA_MEMBER.search(raw)
    if key is None:
        return None, raw
    # This proves that the whole header is JSON, and finds the value of the last such key.
    value = bytes(_OUTLINE.decode(raw).metadata)
    if not raw.startswith(value, key.end()):
        raise ValueError("another key was found")
    metadata = _METADATA.decode(value)
    end = key.end() + len(value)
    if comma := _COMMA.match(raw, end):
        return metadata, raw[: key.start()] + raw[comma.end() :]
    return metadata, raw[: key.start()].rstrip(_BLANKS).removesuffix(b",") + raw[end:]
