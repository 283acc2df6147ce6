"""The fast reader, for headers formatted as by the safetensors library.

The library writes the metadata first, then the tensors in the order of their bytes, each with dtype,
shape and offsets in this order, without blanks. Python's `json` writes the same with blanks behind
commas and colons. Both are read without a Python step per tensor. A file has few distinct dtypes and
shapes, so the expected text between the names can be generated from them. The header is valid if its
text equals the expected text. Any other header, valid or not, is left to the slower readers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Final

import msgspec

from crawler.model import Form, TensorTable
from crawler.safetensors.layout import DTYPE_BITS, MAX_U64

#: Most dimensions of a usual shape, which keeps products short; real ones have five.
_MAX_SIDES: Final = 8

#: Least mean length of the parts between closing brackets, in bytes: two parts per entry of at least 50.
_MIN_PART_BYTES: Final = 24

#: The one key of a header that is not a tensor's name; it may follow the tensors.
_NO_TENSOR: Final = "__metadata__"

#: Names examined to find the ends that all layers share; an algorithm has at most nine.
_MAX_ENDS: Final = 12

_METADATA: Final = msgspec.json.Decoder(dict[str, str])
_NAMES: Final = msgspec.json.Decoder(list[str])
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the JSON is formatted.

    Attributes:
        comma: Between elements, blanks included.
        colon: Behind a key, blanks included.
        entry: The beginning of an entry.
        whole: A whole entry.
        form: From the first brace of an entry to the end of its shape.
        offsets: From the end of a shape to the first offset.
        before: From the end of an entry to the next name.
        behind: From the end of a name to the first brace of its entry.
    """

    comma: bytes
    colon: bytes
    entry: bytes
    whole: re.Pattern[bytes]
    form: re.Pattern[bytes]
    offsets: bytes
    before: bytes
    behind: bytes


def _spelling(comma: str, colon: str) -> _Spelling:
    side = "(?:0|[1-9][0-9]{0,18}+)"  # within 64 bits, give or take
    shape = rf"((?:{side}(?:{comma}{side}){{0,{_MAX_SIDES - 1}}}+)?+)"
    form = rf'"dtype"{colon}"(\w+)"{comma}"shape"{colon}\[{shape}'
    offsets = f'{comma}"data_offsets"{colon}['
    return _Spelling(
        comma=comma.encode(),
        colon=colon.encode(),
        entry=f'{{"dtype"{colon}"'.encode(),
        whole=re.compile(rf"\{{{form}\]{re.escape(offsets)}[0-9]++{comma}[0-9]++\]\}}".encode()),
        form=re.compile(form.encode()),
        offsets=offsets.encode(),
        before=f'}}{comma}"'.encode(),
        behind=f'"{colon}'.encode(),
    )


_SPELLINGS: Final = (_spelling(",", ":"), _spelling(", ", ": "))


class _Sizes(dict[bytes, int]):
    """Bytes of a tensor by its form as written, computed on first use.

    Attributes:
        forms: The parsed form of each written one.
    """

    def __init__(self, spelling: _Spelling) -> None:
        super().__init__()
        self.forms: dict[bytes, Form] = {}
        self._spelling = spelling

    def __missing__(self, written: bytes) -> int:
        """The size of a new form; raises ValueError if the form is not in the expected format."""
        found = self._spelling.form.fullmatch(written)
        if found is None:
            raise ValueError("not written as usual")
        dtype = found[1].decode()
        shape = tuple(map(int, found[2].split(self._spelling.comma))) if found[2] else ()
        bits = DTYPE_BITS.get(dtype, 0)
        # A zero must not hide that the other sides are too long.
        if bits == 0 or prod(side or 1 for side in shape) * bits > MAX_U64:
            raise ValueError("not a usual size")
        size_bytes, rest = divmod(prod(shape) * bits, 8)
        if rest:
            raise ValueError("not a whole number of bytes")
        self.forms[written] = Form(dtype, shape)
        self[written] = size_bytes
        return size_bytes


def read_usual(raw: bytes) -> tuple[TensorTable, dict[str, str] | None] | None:
    """Tensors and metadata of a usual header, completely checked; None for any other header."""
    for spelling in _SPELLINGS:
        first = raw.find(spelling.entry)
        # The first entry is checked before anything long is copied.
        if first >= 0 and raw.startswith(b'{"') and spelling.whole.match(raw, first):
            try:
                return _read(raw, first, spelling)
            except (ValueError, RecursionError):  # those of msgspec are ValueErrors
                return None
    return None


def _read(
    raw: bytes, first: int, spelling: _Spelling
) -> tuple[TensorTable, dict[str, str] | None] | None:
    """As `read_usual`, with the first entry at `first`. Raises the errors of msgspec."""
    opening = b'{"__metadata__"' + spelling.colon
    if raw.startswith(opening):
        # When both parts are valid by themselves, so is the whole, wherever it was cut.
        end = raw.rfind(b"}" + spelling.comma, 0, first) + 1
        metadata = _METADATA.decode(memoryview(raw)[len(opening) : end])
        tensors = b"}" + memoryview(raw)[end:]
    else:
        metadata = None
        tensors = b"}" + spelling.comma + memoryview(raw)[1:]
    table = _tensors(tensors, spelling)
    return None if table is None else (table, metadata)


def _tensors(text: bytes, spelling: _Spelling) -> TensorTable | None:
    """The tensors; None if they are not formatted as by the library.

    The text is split at closing brackets into two parts per tensor, and the first part is split at the
    opening brace. The pieces are the names, the forms and the offsets. The forms must match one pattern.
    The offsets must equal those computed from the forms. Together the pieces are the whole text, so
    nothing in it is unchecked.

    Args:
        text: A closing brace and a comma, as after another tensor, then the tensors to the end.
        spelling: How the JSON is formatted.
    """
    if b"\\" in text:
        return None
    parts = text.split(b"]", len(text) // _MIN_PART_BYTES)
    heads = b"{".join(parts[:-1:2]).split(b"{")
    if parts[-1].rstrip(b" ") != b"}}" or len(parts) % 2 == 0 or len(heads) != len(parts) - 1:
        return None
    offsets = b"".join(parts[1::2])
    del parts  # frees much memory for the next steps
    written = heads[1::2]
    sizes = _Sizes(spelling)
    bounds = list(accumulate(map(sizes.__getitem__, written), initial=0))
    if bounds[-1] > MAX_U64 or offsets != _offsets(bounds, spelling):
        return None
    around = heads[::2]
    ends = _ends_of_first_layer(_names(around[:_MAX_ENDS], "", spelling))
    stems = _stems(around, ends, spelling)
    if stems is None:
        ends = [""]
        stems = _stems(around, ends, spelling)
    if stems is None or _NO_TENSOR in stems or len(set(stems)) != len(stems):
        return None
    return TensorTable(stems, ends, written, sizes.forms, bounds)


def _ends_of_first_layer(names: Sequence[str]) -> list[str]:
    """The ends of the names that begin with the first layer: `.alpha`, `.lora_A.weight`.

    Empty when the first name does not consist of a layer and an end.
    """
    layer = _without_suffix(names[0]).rpartition(".")[0] if names else ""
    ends = [name.removeprefix(layer) for name in names if layer and name.startswith(f"{layer}.")]
    return [end for end in ends if _without_suffix(end).count(".") == 1]


def _without_suffix(name: str) -> str:
    """The name without `.weight` and PEFT's adapter name."""
    return name.removesuffix(".weight").removesuffix(".default")


def _stems(around: Sequence[bytes], ends: Sequence[str], spelling: _Spelling) -> list[str] | None:
    """The stem of every layer, when each layer has the same ends in the same order; else None.

    Args:
        around: The names, with the text around them.
        ends: The ends of each layer's names, in order.
        spelling: The text that must be around the names.
    """
    if not ends or len(around) % len(ends):
        return None
    stems = _names(around[:: len(ends)], ends[0], spelling)
    # One comparison of long texts replaces thousands of short ones. No stem has a line break.
    lines = "\n".join(stems).encode()
    for place, end in enumerate(ends):
        behind = end.encode() + spelling.behind
        due = lines.replace(b"\n", behind + b"\n" + spelling.before)
        if b"\n".join(around[place :: len(ends)]) != spelling.before + due + behind:
            return None
    return stems


def _names(around: Sequence[bytes], end: str, spelling: _Spelling) -> list[str]:
    """The names, without the surrounding text and without their common end.

    Raises:
        ValueError: They are not JSON texts.
    """
    first, last = len(spelling.before), -len(end) - len(spelling.behind)
    return _NAMES.decode(b'["' + b'","'.join([text[first:last] for text in around]) + b'"]')


def _offsets(bounds: Sequence[int], spelling: _Spelling) -> bytes:
    """The expected text of the offsets of every tensor."""
    pairs = _ENCODER.encode(list(pairwise(bounds)))
    if len(spelling.comma) > 1:
        pairs = pairs.replace(b",", spelling.comma)
    return spelling.offsets + pairs[2:-2].replace(b"]" + spelling.comma + b"[", spelling.offsets)
