"""Any header read exactly as the safetensors library reads it, for those that are not plain.

The library reads JSON with serde_json and its own rules on top: it looks into fields that it ignores
as closely as into those it uses, sees duplicates, takes no float for an integer, allows an entry to
be an array. This reader walks the bytes once, token by token.
"""

import re

import msgspec

from crawler.errors import HeaderError
from crawler.model import Tensor
from crawler.safetensors.json_value import BLANK, EASY, STRING, expect, separator, skip_value, token
from crawler.safetensors.layout import DTYPE_BITS, MAX_INTEGER, unknown_dtype
from crawler.safetensors.sniff import quoted

#: The one key of a header that names no tensor.
_METADATA_KEY = "__metadata__"

_FIELDS = ("dtype", "shape", "data_offsets")

_OPEN_OBJECT = token(rf"\{{{BLANK}(\}})?+")
_OPEN_ARRAY = token(rf"\[{BLANK}(?!\])")
_KEY = token(rf"({STRING}){BLANK}:")
_TEXT = token(f"({STRING})")
_NULL = token("null")
_END = token(r"\Z")

# Twenty digits hold every integer of 64 bits; what has a sign or a fraction is none.
_INTEGER = r"(?:0|[1-9][0-9]{0,19}+)"
_INTEGERS = token(rf"\[{BLANK}(?:{_INTEGER}{BLANK}(?:,{BLANK}(?=[0-9])|(?=\])))*+\]")
_DIGITS = re.compile(rb"[0-9]++")
# Members without escapes in their keys, none of them one of the three, up to one that is not easy.
_IGNORED = token(
    rf'(?:"(?!(?:{"|".join(_FIELDS)})")[^"\\\x00-\x1f]*+"{BLANK}:{BLANK}{EASY}{BLANK},{BLANK})*+'
)
# A type may be written like a variant without content: {"F32": null}.
_DTYPE = token(rf"(?:({STRING})|\{{{BLANK}({STRING}){BLANK}:{BLANK}null{BLANK}\}})")


def read_exactly(raw: bytes) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """Tensors and metadata of a header; sizes and offsets are not judged.

    Raises:
        HeaderError: The bytes are not what the safetensors library reads.
    """
    try:
        if not raw.isascii():
            raw.decode()
    except UnicodeDecodeError as error:
        place = quoted(raw[error.start : error.start + 8])
        raise HeaderError(
            "invalid_utf8", f"byte {error.start} of the header is no UTF-8: {place}"
        ) from None
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] | None = None
    metadata_seen = False
    opening = expect(_OPEN_OBJECT, raw, 0, "'{'")
    at, more = opening.end(), not opening[1]
    while more:
        name, at = _key(raw, at)
        if name != _METADATA_KEY:
            tensors[name], at = _entry(raw, at, name)
        elif metadata_seen:
            raise HeaderError("duplicate_key", "the header has __metadata__ twice")
        else:
            metadata, at = _metadata(raw, at)
            metadata_seen = True
        more, at = separator(raw, at, b"}")
    expect(_END, raw, at, "nothing more")
    return tensors, metadata


def _metadata(raw: bytes, at: int) -> tuple[dict[str, str] | None, int]:
    """The metadata that begins at `at`, and where it ends. The last of equal keys wins."""
    if null := _NULL.match(raw, at):
        return None, null.end()
    opening = _OPEN_OBJECT.match(raw, at)
    if opening is None:
        skip_value(raw, at, depth=1)
        raise HeaderError("invalid_metadata", "__metadata__ is no object of texts")
    metadata: dict[str, str] = {}
    at, more = opening.end(), not opening[1]
    while more:
        key, at = _key(raw, at)
        text = _TEXT.match(raw, at)
        if text is None:
            skip_value(raw, at, depth=2)
            raise HeaderError("invalid_metadata", f"the metadata {quoted(key)} is no text")
        metadata[key] = _text(text[1])
        more, at = separator(raw, text.end(), b"}")
    return metadata, at


def _entry(raw: bytes, at: int, name: str) -> tuple[Tensor, int]:
    """The tensor that begins at `at`, and where it ends."""
    opening = _OPEN_OBJECT.match(raw, at)
    if opening is None:
        return _entry_in_array(raw, at, name)
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    offsets: tuple[int, ...] | None = None
    seen: set[str] = set()
    at, more = opening.end(), not opening[1]
    while more:
        at = expect(_IGNORED, raw, at, "anything").end()
        field, at = _key(raw, at)
        if field in seen:
            raise HeaderError("duplicate_key", f"tensor {quoted(name)} has {field} twice")
        if field in _FIELDS:
            seen.add(field)
        if field == "dtype":
            dtype, at = _dtype(raw, at, name)
        elif field == "shape":
            shape, at = _integers(raw, at, name)
        elif field == "data_offsets":
            offsets, at = _integers(raw, at, name)
        else:
            at = skip_value(raw, at, depth=2)
        more, at = separator(raw, at, b"}")
    if dtype is None or shape is None or offsets is None:
        missing = ", ".join(field for field in _FIELDS if field not in seen)
        raise HeaderError("invalid_tensor", f"tensor {quoted(name)} has no {missing}")
    return _tensor(name, dtype, shape, offsets), at


def _entry_in_array(raw: bytes, at: int, name: str) -> tuple[Tensor, int]:
    """A tensor written as `[dtype, shape, data_offsets]`."""
    opening = _OPEN_ARRAY.match(raw, at)
    if opening is None:
        raise _wrong(raw, at, name, "is no object", depth=1)
    dtype, at = _dtype(raw, opening.end(), name)
    more, at = separator(raw, at, b"]")
    if more:
        shape, at = _integers(raw, at, name)
        more, at = separator(raw, at, b"]")
        if more:
            offsets, at = _integers(raw, at, name)
            more, at = separator(raw, at, b"]")
            if not more:
                return _tensor(name, dtype, shape, offsets), at
    raise HeaderError("invalid_tensor", f"tensor {quoted(name)} is an array of other than 3 fields")


def _tensor(name: str, dtype: str, shape: tuple[int, ...], offsets: tuple[int, ...]) -> Tensor:
    if len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise HeaderError(
            "invalid_tensor", f"tensor {quoted(name)} has {len(offsets)} offsets, expected 2"
        )
    return Tensor(dtype, shape, (offsets[0], offsets[1]))


def _dtype(raw: bytes, at: int, name: str) -> tuple[str, int]:
    found = _DTYPE.match(raw, at)
    if found is None:
        raise _wrong(raw, at, name, "has a dtype that is no text", depth=2)
    dtype = _text(found[1] or found[2])
    # Judged here, since a later entry of the same name may replace this one.
    if dtype not in DTYPE_BITS:
        raise unknown_dtype(name, dtype)
    return dtype, found.end()


def _integers(raw: bytes, at: int, name: str) -> tuple[tuple[int, ...], int]:
    found = _INTEGERS.match(raw, at)
    if found is None:
        raise _wrong(raw, at, name, "has a shape or offsets that are no list of sizes", depth=2)
    numbers = tuple(int(digits[0]) for digits in _DIGITS.finditer(raw, *found.span()))
    if max(numbers, default=0) > MAX_INTEGER:
        raise HeaderError("invalid_tensor", f"tensor {quoted(name)} has a size beyond 64 bits")
    return numbers, found.end()


def _wrong(raw: bytes, at: int, name: str, what: str, *, depth: int) -> HeaderError:
    """The error for a value of another type than is due; raises at once when it is no JSON at all."""
    end = skip_value(raw, at, depth=depth)
    return HeaderError("invalid_tensor", f"tensor {quoted(name)} {what}: {quoted(raw[at:end])}")


def _key(raw: bytes, at: int) -> tuple[str, int]:
    found = expect(_KEY, raw, at, "a key")
    return _text(found[1]), found.end()


def _text(literal: bytes) -> str:
    """The text of a sound JSON string."""
    if b"\\" in literal:
        return msgspec.json.decode(literal, type=str)
    return literal[1:-1].decode()
