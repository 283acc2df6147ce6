"""Reads any header exactly as the safetensors library does: the slow reader for unusual headers.

The library reads the JSON with serde_json and adds rules of its own. This reader walks the bytes once,
token by token, with regular expressions for the tokens. Where it differs from other JSON readers:

- A tensor may be an array `[dtype, shape, data_offsets]` instead of an object.
- A field of a tensor that occurs twice is an error, and so is a second `__metadata__`. Of two tensors
  with one name, or two metadata keys, the last one wins.
- Sizes and offsets are integers without sign, fraction or exponent, below 2**64.
- Ignored fields are checked as closely as used ones: syntax, surrogates, nesting, range of numbers.
- At most 127 containers may be open. A number must fit a float in serde_json's own arithmetic.

Long runs of simple values in an ignored field are matched by one pattern, so even a long header
takes few Python steps.
"""

import re
from math import isinf

import msgspec

from crawler.errors import HeaderError
from crawler.model import Tensor
from crawler.safetensors.layout import DTYPE_BITS, MAX_U64, unknown_dtype
from crawler.safetensors.sniff import quoted

# Grammar. All patterns are possessive, so the time is linear. Before 3.11.5 Python does not go back to the
# beginning of a last, possessive try that fails half-way, unless another branch follows that cannot match.
_ELSE_NOTHING = "|(?!)"

#: Containers that may be open at once: serde_json gives up at the 128th.
_MAX_OPEN = 127

_BLANK = r"[ \t\n\r]*+"
_HEX = r"[0-9a-fA-F]"

# No raw control character; a high surrogate only in front of a low one.
_STRING = (
    r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]'
    rf"|u(?:[0-9a-ce-fA-CE-F]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}"
    rf'|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})){_ELSE_NOTHING})*+"'
)
_MEMBER_KEY = rf"{_STRING}{_BLANK}:"

_FRACTION = rf"(?:\.[0-9]++{_ELSE_NOTHING})?+"

# Fits a float whatever its fraction is: 200 digits and 99 zeros more, or 8 digits and 299 zeros.
_EASY_NUMBER = (
    rf"-?+(?:(?:0|[1-9][0-9]{{0,199}}+){_FRACTION}"
    rf"(?:[eE](?:-[0-9]++|\+?+(?:0*+[1-9][0-9]?+|0++)){_ELSE_NOTHING})?+(?![0-9.eE])"
    rf"|(?:0|[1-9][0-9]{{0,7}}+){_FRACTION}[eE]\+?+0*+[12][0-9]{{2}}(?![0-9.eE]))"
)
_EASY_SCALAR = rf"(?:{_STRING}|{_EASY_NUMBER}|true|false|null)"

# Behind an element: a comma and another one, or the end of the container.
_FOLLOWED = rf"{_BLANK}(?:,{_BLANK}(?![\]}}])|(?=[\]}}]))"

# A value that needs no further look: a scalar, or one container of scalars.
_EASY = (
    rf"(?:{_EASY_SCALAR}|\[{_BLANK}(?:{_EASY_SCALAR}{_FOLLOWED}{_ELSE_NOTHING})*+\]"
    rf"|\{{{_BLANK}(?:{_MEMBER_KEY}{_BLANK}{_EASY_SCALAR}{_FOLLOWED}{_ELSE_NOTHING})*+\}})"
)


def _token(pattern: str) -> re.Pattern[bytes]:
    """Compile a pattern that also accepts blanks before the token."""
    return re.compile((_BLANK + pattern).encode())


# The kinds of value. A container that is not easy is only opened: an object with its first key, arrays
# that begin inside each other together.
_VALUE = _token(
    rf"(?:(?P<easy>{_EASY})"
    rf"|(?P<number>-?+(?P<whole>0|[1-9][0-9]*+)(?:\.(?P<fraction>[0-9]++){_ELSE_NOTHING})?+"
    rf"(?:[eE](?P<sign>[-+]?+)(?P<power>[0-9]++){_ELSE_NOTHING})?+)"
    rf"|(?P<arrays>(?:\[{_BLANK}(?!\]){_ELSE_NOTHING})++)"
    rf"|(?P<object>\{{{_BLANK}{_MEMBER_KEY}))"
)
_EASY_ELEMENTS = _token(rf"(?:{_EASY}{_BLANK},{_BLANK}{_ELSE_NOTHING})*+")
_EASY_MEMBERS = _token(rf"(?:{_MEMBER_KEY}{_BLANK}{_EASY}{_BLANK},{_BLANK}{_ELSE_NOTHING})*+")
_MEMBER = _token(_MEMBER_KEY)
_AFTER = _token(rf"([\]}}]*+){_BLANK}(,?+)")
_SEPARATOR = _token(r"([,\]}])")
_OPEN_OBJECT = _token(rf"\{{{_BLANK}(\}})?+")
_OPEN_ARRAY = _token(rf"\[{_BLANK}(?!\])")
_NAMED = _token(rf"({_STRING}){_BLANK}:")
_TEXT = _token(f"({_STRING})")
_NULL = _token("null")
_END = _token(r"\Z")

_FIELDS = ("dtype", "shape", "data_offsets")

# A dtype may be written like a variant without content: {"F32": null}.
_DTYPE = _token(rf"(?:({_STRING})|\{{{_BLANK}({_STRING}){_BLANK}:{_BLANK}null{_BLANK}\}})")
# Twenty digits hold every integer of 64 bits.
_INTEGER = r"(?:0|[1-9][0-9]{0,19}+)"
_INTEGERS = _token(
    rf"\[{_BLANK}(?:{_INTEGER}{_BLANK}(?:,{_BLANK}(?=[0-9])|(?=\])){_ELSE_NOTHING})*+\]"
)
_DIGITS = re.compile(rb"[0-9]++")

# Members to ignore: easy ones whose keys have no escapes and are none of the fields.
_IGNORED = _token(
    rf'(?:"(?!(?:{"|".join(_FIELDS)})")[^"\\\x00-\x1f]*+"{_BLANK}:{_BLANK}{_EASY}{_BLANK},{_BLANK}{_ELSE_NOTHING})*+'
)

_MAX_I32 = 2**31 - 1
_EXPONENT_DIGITS = 10


def read_exactly(raw: bytes) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """Tensors and metadata of a header. Offsets and sizes are not checked against each other.

    Raises:
        HeaderError: The safetensors library would refuse the bytes.
    """
    try:
        if not raw.isascii():
            raw.decode()
    except UnicodeDecodeError as error:
        place = quoted(raw[error.start : error.start + 8])
        raise HeaderError(
            "invalid_utf8", f"byte {error.start} of the header is not UTF-8: {place}"
        ) from None
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] | None = None
    metadata_seen = False
    opening = _expect(_OPEN_OBJECT, raw, 0, "'{'")
    at, more = opening.end(), not opening[1]
    while more:
        name, at = _key(raw, at)
        if name != "__metadata__":
            tensors[name], at = _entry(raw, at, name)
        elif metadata_seen:
            raise HeaderError("duplicate_key", "the header has __metadata__ twice")
        else:
            metadata, at = _metadata(raw, at)
            metadata_seen = True
        more, at = _separator(raw, at, b"}")
    _expect(_END, raw, at, "nothing more")
    return tensors, metadata


# Each function below takes the position of a value and returns the value and the position after it.


def _metadata(raw: bytes, at: int) -> tuple[dict[str, str] | None, int]:
    """The metadata. The last of equal keys wins."""
    if null := _NULL.match(raw, at):
        return None, null.end()
    opening = _OPEN_OBJECT.match(raw, at)
    if opening is None:
        _skip_value(raw, at, depth=1)
        raise HeaderError("invalid_metadata", "__metadata__ is not an object of texts")
    metadata: dict[str, str] = {}
    at, more = opening.end(), not opening[1]
    while more:
        key, at = _key(raw, at)
        text = _TEXT.match(raw, at)
        if text is None:
            _skip_value(raw, at, depth=2)
            raise HeaderError("invalid_metadata", f"the metadata value {quoted(key)} is not text")
        metadata[key] = _text(text[1])
        more, at = _separator(raw, text.end(), b"}")
    return metadata, at


def _entry(raw: bytes, at: int, name: str) -> tuple[Tensor, int]:
    """A tensor."""
    opening = _OPEN_OBJECT.match(raw, at)
    if opening is None:
        return _entry_in_array(raw, at, name)
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    offsets: tuple[int, ...] | None = None
    seen: set[str] = set()
    at, more = opening.end(), not opening[1]
    while more:
        at = _expect(_IGNORED, raw, at, "anything").end()
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
            at = _skip_value(raw, at, depth=2)
        more, at = _separator(raw, at, b"}")
    if dtype is None or shape is None or offsets is None:
        missing = ", ".join(field for field in _FIELDS if field not in seen)
        raise HeaderError("invalid_tensor", f"tensor {quoted(name)} has no {missing}")
    return _tensor(name, dtype, shape, offsets), at


def _entry_in_array(raw: bytes, at: int, name: str) -> tuple[Tensor, int]:
    """A tensor written as `[dtype, shape, data_offsets]`."""
    opening = _OPEN_ARRAY.match(raw, at)
    if opening is None:
        raise _wrong(raw, at, name, "is not an object", depth=1)
    dtype, at = _dtype(raw, opening.end(), name)
    more, at = _separator(raw, at, b"]")
    if more:
        shape, at = _integers(raw, at, name)
        more, at = _separator(raw, at, b"]")
        if more:
            offsets, at = _integers(raw, at, name)
            more, at = _separator(raw, at, b"]")
            if not more:
                return _tensor(name, dtype, shape, offsets), at
    raise HeaderError("invalid_tensor", f"tensor {quoted(name)} is an array without 3 fields")


def _tensor(name: str, dtype: str, shape: tuple[int, ...], offsets: tuple[int, ...]) -> Tensor:
    if len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise HeaderError(
            "invalid_tensor", f"tensor {quoted(name)} has {len(offsets)} offsets, expected 2"
        )
    return Tensor(dtype, shape, (offsets[0], offsets[1]))


def _dtype(raw: bytes, at: int, name: str) -> tuple[str, int]:
    found = _DTYPE.match(raw, at)
    if found is None:
        raise _wrong(raw, at, name, "has a dtype that is not text", depth=2)
    dtype = _text(found[1] or found[2])
    # Checked here, since a later entry of the same name may replace this one.
    if dtype not in DTYPE_BITS:
        raise unknown_dtype(name, dtype)
    return dtype, found.end()


def _integers(raw: bytes, at: int, name: str) -> tuple[tuple[int, ...], int]:
    found = _INTEGERS.match(raw, at)
    if found is None:
        raise _wrong(raw, at, name, "has a shape or offsets that are not a list of sizes", depth=2)
    numbers = tuple(int(digits[0]) for digits in _DIGITS.finditer(raw, *found.span()))
    if max(numbers, default=0) > MAX_U64:
        raise HeaderError("invalid_tensor", f"tensor {quoted(name)} has a size beyond 64 bits")
    return numbers, found.end()


def _key(raw: bytes, at: int) -> tuple[str, int]:
    found = _expect(_NAMED, raw, at, "a key")
    return _text(found[1]), found.end()


def _separator(raw: bytes, at: int, closer: bytes) -> tuple[bool, int]:
    """Whether another element follows, and the position after the comma or the closing bracket."""
    found = _SEPARATOR.match(raw, at)
    if found is not None and found[1] in (b",", closer):
        return found[1] == b",", found.end()
    raise _malformed(raw, at, f"',' or '{closer.decode()}'")


def _text(literal: bytes) -> str:
    """The text of a valid JSON string."""
    if b"\\" in literal:
        return msgspec.json.decode(literal, type=str)
    return literal[1:-1].decode()


def _wrong(raw: bytes, at: int, name: str, what: str, *, depth: int) -> HeaderError:
    """The error for a value of the wrong type; raises another one when it is not JSON at all."""
    end = _skip_value(raw, at, depth=depth)
    return HeaderError("invalid_tensor", f"tensor {quoted(name)} {what}: {quoted(raw[at:end])}")


def _expect(pattern: re.Pattern[bytes], raw: bytes, at: int, expected: str) -> re.Match[bytes]:
    """The token at a position; raises HeaderError if there is another one."""
    found = pattern.match(raw, at)
    if found is None:
        raise _malformed(raw, at, expected)
    return found


def _malformed(raw: bytes, at: int, expected: str) -> HeaderError:
    found = raw[at : at + 20]
    if not found:
        return HeaderError("invalid_json", f"the header ends where {expected} is expected")
    return HeaderError("invalid_json", f"expected {expected} at byte {at}, found {quoted(found)}")


# Ignored values.


def _skip_value(raw: bytes, at: int, *, depth: int) -> int:
    """The place behind a value that is ignored; `depth` containers are open around it.

    Raises:
        HeaderError: invalid_json, when serde_json would not read it.
    """
    closers = bytearray()  # what closes the open containers, innermost last
    while True:
        found = _expect(_VALUE, raw, at, "a value")
        kind, at = found.lastgroup, found.end()
        if kind == "number":
            _check_range(found)
        elif kind == "arrays":
            closers += b"]" * found[kind].count(b"[")
        elif kind == "object":
            closers += b"}"
        easy_container = kind == "easy" and raw[found.start(kind)] in b"[{"
        if depth + len(closers) + easy_container > _MAX_OPEN:
            raise HeaderError("invalid_json", f"more than {_MAX_OPEN} levels of nesting")
        if kind == "object":
            continue  # its first value follows
        if kind != "arrays":
            at = _close(raw, at, closers)
            if not closers:
                return at
        at = _skip_easy(raw, at, closers, depth)


def _close(raw: bytes, at: int, closers: bytearray) -> int:
    """The position of the next element, or the end of the whole value if no container stays open."""
    while closers:
        found = _expect(_AFTER, raw, at, "a separator")
        ends = found[1][: len(closers)]
        if ends != closers[: -len(ends) - 1 : -1] or not found[0].strip():
            raise _malformed(raw, at, f"',' or '{chr(closers[-1])}'")
        del closers[len(closers) - len(ends) :]
        if closers and found[2]:
            return found.end()
        at = found.start(1) + len(ends)
    return at


def _skip_easy(raw: bytes, at: int, closers: bytearray, depth: int) -> int:
    """The position of the first value in the innermost container that is the last one or not easy."""
    in_object = closers.endswith(b"}")
    if depth + len(closers) < _MAX_OPEN:  # an easy value may open one more container
        at = _expect(_EASY_MEMBERS if in_object else _EASY_ELEMENTS, raw, at, "anything").end()
    return _expect(_MEMBER, raw, at, "a key").end() if in_object else at


def _check_range(number: re.Match[bytes]) -> None:
    """Raise HeaderError when serde_json finds a number too large for a float.

    serde_json collects the leading digits in 64 bits and multiplies once by a power of ten, so it
    refuses the largest numbers a little earlier than exact rounding would.
    """
    whole, fraction, sign, power = (
        number[part] or b"" for part in ("whole", "fraction", "sign", "power")
    )
    significand, taken = _collect(0, whole)
    exponent = len(whole) - taken
    significand, taken = _collect(significand, fraction)
    exponent -= taken
    digits = power.lstrip(b"0") or b"0"
    # Exponents have 32 bits; one with more digits counts as infinite, and is slow to convert.
    size = int(digits) if len(digits) <= _EXPONENT_DIGITS else _MAX_I32
    exponent += -size if sign == b"-" else size
    if significand == 0 or exponent < 0:
        return
    if isinf(float(significand) * float(f"1e{exponent}")):
        raise HeaderError("invalid_json", f"the number {quoted(number['number'])} is out of range")


def _collect(significand: int, digits: bytes) -> tuple[int, int]:
    """The significand with as many digits appended as fit 64 bits, and how many they are."""
    leading = len(digits) - len(digits.lstrip(b"0")) if significand == 0 else 0
    for taken in range(leading, len(digits)):
        longer = 10 * significand + digits[taken] - ord("0")
        if longer > MAX_U64:
            return significand, taken
        significand = longer
    return significand, len(digits)
