"""A header as the safetensors library writes it, read in columns and proved in bulk.

Nearly every file was written by the library: metadata first, then the tensors in the order of their
bytes, each with dtype, shape and offsets in this order, without blanks. Python's `json` writes the
same with blanks behind commas and colons. Both are read here without a step of Python for each
tensor: the types and shapes that occur are few, so what the file should say between the names can be
written down from them; the file is sound when it says exactly that. Whatever else a file holds, sound
or not, is for the slower readers.
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

#: Most sides of a usual shape, which keep products short; real ones have five.
_MAX_SIDES: Final = 8

#: Shortest mean of what a closing bracket ends, in bytes: two for each entry, which has 50 at least.
_MIN_PART_BYTES: Final = 24

#: The one key of a header that names no tensor, and may stand behind them.
_NO_TENSOR: Final = "__metadata__"

#: Names that are looked at to find the ends that all layers have; an algorithm has nine at most.
_MAX_ENDS: Final = 12

_METADATA: Final = msgspec.json.Decoder(dict[str, str])
_NAMES: Final = msgspec.json.Decoder(list[str])
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the JSON is written.

    Attributes:
        comma: Between elements, blanks included.
        colon: Behind a key, blanks included.
        entry: What an entry begins with.
        whole: All of an entry.
        form: What stands between the first brace of an entry and the end of its shape.
        offsets: What stands between the end of a shape and the first offset.
        before: What stands between an entry and the next name.
        behind: What stands between a name and the first brace of its entry.
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
    """Bytes of a tensor by the form as it is written, each worked out when it is first asked for.

    Attributes:
        forms: What the written ones mean.
    """

    def __init__(self, spelling: _Spelling) -> None:
        super().__init__()
        self.forms: dict[bytes, Form] = {}
        self._spelling = spelling

    def __missing__(self, written: bytes) -> int:
        """Raises ValueError when the form is not usual."""
        found = self._spelling.form.fullmatch(written)
        if found is None:
            raise ValueError("not written as usual")
        dtype = found[1].decode()
        shape = tuple(map(int, found[2].split(self._spelling.comma))) if found[2] else ()
        bits = DTYPE_BITS.get(dtype, 0)
        # A zero must not hide that the other sides are too long.
        if bits == 0 or prod(side or 1 for side in shape) * bits > MAX_U64:
            raise ValueError("nothing usual")
        size_bytes, rest = divmod(prod(shape) * bits, 8)
        if rest:
            raise ValueError("no whole bytes")
        self.forms[written] = Form(dtype, shape)
        self[written] = size_bytes
        return size_bytes


def read_usual(raw: bytes) -> tuple[TensorTable, dict[str, str] | None] | None:
    """Tensors and metadata of a usual header, all of it judged; None for every other one."""
    for spelling in _SPELLINGS:
        first = raw.find(spelling.entry)
        # The first one is looked at before anything long is copied.
        if first >= 0 and raw.startswith(b'{"') and spelling.whole.match(raw, first):
            try:
                return _read(raw, first, spelling)
            except (ValueError, RecursionError):  # those of msgspec are ValueErrors
                return None
    return None


def _read(
    raw: bytes, first: int, spelling: _Spelling
) -> tuple[TensorTable, dict[str, str] | None] | None:
    """The same, where the first entry begins at `first`; raises what msgspec raises."""
    opening = b'{"__metadata__"' + spelling.colon
    if raw.startswith(opening):
        # When both parts are sound by themselves, so is the whole, wherever it was cut.
        end = raw.rfind(b"}" + spelling.comma, 0, first) + 1
        metadata = _METADATA.decode(memoryview(raw)[len(opening) : end])
        tensors = b"}" + memoryview(raw)[end:]
    else:
        metadata = None
        tensors = b"}" + spelling.comma + memoryview(raw)[1:]
    table = _tensors(tensors, spelling)
    return None if table is None else (table, metadata)


def _tensors(text: bytes, spelling: _Spelling) -> TensorTable | None:
    """The tensors, None when they are not written as usual.

    The proof: closing brackets cut the text into two parts for each tensor, opening braces cut the
    first of these in two again. So there are names with what stands around them; forms, each of the
    one pattern; and offsets, which in one comparison are those that follow from the forms. With the
    end of the header that is the whole text.

    Args:
        text: A brace and a comma, as if there were a tensor before, then the tensors to the end.
        spelling: How they are written.
    """
    if b"\\" in text:
        return None
    parts = text.split(b"]", len(text) // _MIN_PART_BYTES)
    heads = b"{".join(parts[:-1:2]).split(b"{")
    if parts[-1].rstrip(b" ") != b"}}" or len(parts) % 2 == 0 or len(heads) != len(parts) - 1:
        return None
    offsets = b"".join(parts[1::2])
    del parts  # much memory, of which the next steps need some
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
    """The last parts of the names that begin with the first layer: `.alpha`, `.lora_A.weight`.

    Empty when the first name is not a layer and a part.
    """
    layer = _without_suffix(names[0]).rpartition(".")[0] if names else ""
    ends = [name.removeprefix(layer) for name in names if layer and name.startswith(f"{layer}.")]
    return [end for end in ends if _without_suffix(end).count(".") == 1]


def _without_suffix(name: str) -> str:
    """The name without `.weight` and PEFT's adapter name."""
    return name.removesuffix(".weight").removesuffix(".default")


def _stems(around: Sequence[bytes], ends: Sequence[str], spelling: _Spelling) -> list[str] | None:
    """What all names begin with when they end in step; None when one does not.

    Args:
        around: The names, with what stands around them.
        ends: Of the names of every layer, in their order.
        spelling: What must stand around the names.
    """
    if not ends or len(around) % len(ends):
        return None
    stems = _names(around[:: len(ends)], ends[0], spelling)
    # One comparison of long texts is worth thousands of short ones. No stem has a line break.
    lines = "\n".join(stems).encode()
    for place, end in enumerate(ends):
        behind = end.encode() + spelling.behind
        due = lines.replace(b"\n", behind + b"\n" + spelling.before)
        if b"\n".join(around[place :: len(ends)]) != spelling.before + due + behind:
            return None
    return stems


def _names(around: Sequence[bytes], end: str, spelling: _Spelling) -> list[str]:
    """Names without what stands around them and without their common end.

    Raises:
        ValueError: They are no JSON texts.
    """
    first, last = len(spelling.before), -len(end) - len(spelling.behind)
    return _NAMES.decode(b'["' + b'","'.join([text[first:last] for text in around]) + b'"]')


def _offsets(bounds: Sequence[int], spelling: _Spelling) -> bytes:
    """The offsets of every tensor, each with what stands in front of them."""
    pairs = _ENCODER.encode(list(pairwise(bounds)))
    if len(spelling.comma) > 1:
        pairs = pairs.replace(b",", spelling.comma)
    return spelling.offsets + pairs[2:-2].replace(b"]" + spelling.comma + b"[", spelling.offsets)
