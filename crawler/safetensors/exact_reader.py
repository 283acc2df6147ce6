"""Any header read exactly as the safetensors library reads it, for those that are not plain.

The library reads JSON with serde_json and its own rules on top: it looks into fields that it ignores
as closely as into those it uses, sees duplicates, takes no float for an integer, allows an entry to
be an array. This reader walks the bytes once, token by token.
"""

import re
from math import isinf

import msgspec

from crawler.errors import HeaderError
from crawler.model import Tensor
from crawler.safetensors.layout import DTYPE_BITS, MAX_U64, unknown_dtype
from crawler.safetensors.sniff import quoted

#: Containers that may be open at once: serde_json gives up at the 128th.
MAX_OPEN = 127

#: Blanks between tokens, as a pattern.
BLANK = r"[ \t\n\r]*+"

_HEX = r"[0-9a-fA-F]"

#: A string, as a pattern: no raw control character, a high surrogate only in front of a low one.
STRING = (
    r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]'
    rf"|u(?:[0-9a-ce-fA-CE-F]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}"
    rf'|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})))*+"'
)

_KEY = rf"{STRING}{BLANK}:"

# A number of this form fits a float, whatever its fraction: 200 digits and 99 zeros more, or 8 digits
# and 299 zeros.
_EASY_NUMBER = (
    r"-?+(?:(?:0|[1-9][0-9]{0,199}+)(?:\.[0-9]++)?+"
    r"(?:[eE](?:-[0-9]++|\+?+(?:0*+[1-9][0-9]?+|0++)))?+(?![0-9.eE])"
    r"|(?:0|[1-9][0-9]{0,7}+)(?:\.[0-9]++)?+[eE]\+?+0*+[12][0-9]{2}(?![0-9.eE]))"
)
_EASY_SCALAR = rf"(?:{STRING}|{_EASY_NUMBER}|true|false|null)"

# Behind an element: a comma and another one, or the end of the container.
_FOLLOWED = rf"{BLANK}(?:,{BLANK}(?![\]}}])|(?=[\]}}]))"


def _nested(inner: str) -> str:
    """A simple value, or an array or object of nothing but what is inner."""
    return (
        rf"(?:{_EASY_SCALAR}|\[{BLANK}(?:{inner}{_FOLLOWED})*+\]"
        rf"|\{{{BLANK}(?:{_KEY}{BLANK}{inner}{_FOLLOWED})*+\}})"
    )


#: What is passed over in one step, as a pattern. It opens one container at most.
EASY = _nested(_EASY_SCALAR)

# The same for long runs, which opens so many.
_EASY_IN_RUNS = _nested(_nested(EASY))
_OPEN_IN_RUNS = 3

# A key that can be counted by its brace.
_BRACELESS_KEY = rf'"[^"\\{{\x00-\x1f]*+"{BLANK}:'


def token(pattern: str) -> re.Pattern[bytes]:
    """The pattern behind any blanks."""
    return re.compile((BLANK + pattern).encode())


# The kinds of value. Containers that begin at once inside each other are taken together.
_VALUE = token(
    rf"(?:(?P<easy>{EASY})"
    r"|(?P<number>-?+(?P<whole>0|[1-9][0-9]*+)(?:\.(?P<fraction>[0-9]++))?+"
    r"(?:[eE](?P<sign>[-+]?+)(?P<power>[0-9]++))?+)"
    rf"|(?P<arrays>(?:\[{BLANK}(?!\]))++)"
    rf"|(?P<objects>(?:\{{{BLANK}{_BRACELESS_KEY}{BLANK})++)"
    rf"|(?P<object>\{{{BLANK}{_KEY}))"
)
_EASY_ELEMENTS = token(rf"(?:{EASY}{BLANK},{BLANK})*+")
_EASY_MEMBERS = token(rf"(?:{_KEY}{BLANK}{EASY}{BLANK},{BLANK})*+")
_RUN_OF_ELEMENTS = token(rf"(?:{_EASY_IN_RUNS}{BLANK},{BLANK})*+")
_RUN_OF_MEMBERS = token(rf"(?:{_KEY}{BLANK}{_EASY_IN_RUNS}{BLANK},{BLANK})*+")
_MEMBER = token(_KEY)
_AFTER = token(rf"([\]}}]*+){BLANK}(,?+)")
_SEPARATOR = token(r"([,\]}])")

_MAX_I32 = 2**31 - 1
_EXPONENT_DIGITS = 10


def skip_value(raw: bytes, at: int, *, depth: int) -> int:
    """Where the value that begins at `at` ends.

    Args:
        raw: Sound UTF-8.
        at: Any blanks in front of the value belong to it.
        depth: Containers that are open around the value.

    Raises:
        HeaderError: invalid_json, when serde_json would not read it.
    """
    closers = bytearray()
    while True:
        found = expect(_VALUE, raw, at, "a value")
        opened = _opened(found)
        closers += opened
        easy_container = found.lastgroup == "easy" and raw[found.start("easy")] in b"[{"
        if depth + len(closers) + easy_container > MAX_OPEN:
            raise HeaderError("invalid_json", f"more than {MAX_OPEN} levels of nesting")
        at = found.end()
        if not opened:
            at = _end_of_value(raw, at, closers)
            if not closers:
                return at
            at = _next_element(raw, at, closers, depth)
        elif opened.endswith(b"]"):
            at = _next_element(raw, at, closers, depth)


def separator(raw: bytes, at: int, closer: bytes) -> tuple[bool, int]:
    """Behind an element: whether another one follows, and where that or what is behind begins."""
    found = _SEPARATOR.match(raw, at)
    if found is not None and found[1] in (b",", closer):
        return found[1] == b",", found.end()
    raise malformed(raw, at, f"',' or '{closer.decode()}'")


def expect(pattern: re.Pattern[bytes], raw: bytes, at: int, due: str) -> re.Match[bytes]:
    """The token at `at`; raises HeaderError when it is not what is due."""
    found = pattern.match(raw, at)
    if found is None:
        raise malformed(raw, at, due)
    return found


def malformed(raw: bytes, at: int, due: str) -> HeaderError:
    """The error for something else than what is due, with the place."""
    found = raw[at : at + 20]
    if not found:
        return HeaderError("invalid_json", f"the header ends where {due} is expected")
    return HeaderError("invalid_json", f"expected {due} at byte {at}, found {quoted(found)}")


def _opened(value: re.Match[bytes]) -> bytes:
    """What must close the containers that begin here and are not passed over, outermost first."""
    match value.lastgroup:
        case "arrays":
            return b"]" * value["arrays"].count(b"[")
        case "objects":
            return b"}" * value["objects"].count(b"{")
        case "object":
            return b"}"
        case "number":
            _demand_finite(value)
    return b""


def _end_of_value(raw: bytes, at: int, closers: bytearray) -> int:
    """Where the next element begins, or with no `closers` left, where the whole value ends."""
    while closers:
        found = expect(_AFTER, raw, at, "a separator")
        ends = found[1][: len(closers)]
        if ends != closers[: -len(ends) - 1 : -1] or not found[0].strip():
            raise malformed(raw, at, f"',' or '{chr(closers[-1])}'")
        del closers[len(closers) - len(ends) :]
        if closers and found[2]:
            return found.end()
        at = found.start(1) + len(ends)
    return at


def _next_element(raw: bytes, at: int, closers: bytearray, depth: int) -> int:
    """Where the first value begins that is not easy, or the last one, in the innermost container."""
    in_object = closers.endswith(b"}")
    if depth + len(closers) + _OPEN_IN_RUNS <= MAX_OPEN:
        at = expect(_RUN_OF_MEMBERS if in_object else _RUN_OF_ELEMENTS, raw, at, "anything").end()
    elif depth + len(closers) < MAX_OPEN:  # what is easy may open one more
        at = expect(_EASY_MEMBERS if in_object else _EASY_ELEMENTS, raw, at, "anything").end()
    return expect(_MEMBER, raw, at, "a key").end() if in_object else at


def _demand_finite(number: re.Match[bytes]) -> None:
    """Raise when serde_json finds a number too large for a float, in its own arithmetic.

    It gathers the leading digits in 64 bits and multiplies once by a power of ten, so that the largest
    numbers are refused a little earlier than exact rounding would have it.
    """
    whole, fraction, sign, power = (
        number[part] or b"" for part in ("whole", "fraction", "sign", "power")
    )
    significand, taken = _gather(0, whole)
    exponent = len(whole) - taken
    significand, taken = _gather(significand, fraction)
    exponent -= taken
    digits = power.lstrip(b"0") or b"0"
    # Exponents are 32 bits; what has more digits is as good as infinite, and slow to convert.
    size = int(digits) if len(digits) <= _EXPONENT_DIGITS else _MAX_I32
    exponent += -size if sign == b"-" else size
    if significand == 0 or exponent < 0:
        return
    if isinf(float(significand) * float(f"1e{exponent}")):
        raise HeaderError("invalid_json", f"the number {quoted(number['number'])} is out of range")


def _gather(significand: int, digits: bytes) -> tuple[int, int]:
    """Digits appended for as long as the result fits 64 bits, and how many they were."""
    leading = len(digits) - len(digits.lstrip(b"0")) if significand == 0 else 0
    for taken in range(leading, len(digits)):
        longer = 10 * significand + digits[taken] - ord("0")
        if longer > MAX_U64:
            return significand, taken
        significand = longer
    return significand, len(digits)


#: The one key of a header that names no tensor.
_METADATA_KEY = "__metadata__"

_FIELDS = ("dtype", "shape", "data_offsets")

_OPEN_OBJECT = token(rf"\{{{BLANK}(\}})?+")
_OPEN_ARRAY = token(rf"\[{BLANK}(?!\])")
_TENSOR_KEY = token(rf"({STRING}){BLANK}:")
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
    if max(numbers, default=0) > MAX_U64:
        raise HeaderError("invalid_tensor", f"tensor {quoted(name)} has a size beyond 64 bits")
    return numbers, found.end()


def _wrong(raw: bytes, at: int, name: str, what: str, *, depth: int) -> HeaderError:
    """The error for a value of another type than is due; raises at once when it is no JSON at all."""
    end = skip_value(raw, at, depth=depth)
    return HeaderError("invalid_tensor", f"tensor {quoted(name)} {what}: {quoted(raw[at:end])}")


def _key(raw: bytes, at: int) -> tuple[str, int]:
    found = expect(_TENSOR_KEY, raw, at, "a key")
    return _text(found[1]), found.end()


def _text(literal: bytes) -> str:
    """The text of a sound JSON string."""
    if b"\\" in literal:
        return msgspec.json.decode(literal, type=str)
    return literal[1:-1].decode()
