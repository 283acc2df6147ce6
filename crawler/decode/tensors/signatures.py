"""Tell the base model of a LoRA from the layers that it changes.

    paths --split--> (stack, block, layer) --gather--> Found --fitting--> rows of BASES --> one word

A LoRA fits a base model when each of its layers is one of the model's: at the same path, in a block
that the model has, with the same widths. A width that the tensors do not show fits any. Most LoRAs
change some layers only, so several models may fit. The answer is then the one whose blocks are
changed from the first to the last; if there is none, or there are several, it is None.

Blocks are kept as the bits of an integer, so that one comparison covers a whole stack.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from crawler.decode.tensors.algorithms import Layers
from crawler.decode.tensors.bases import (
    BASES,
    CLIP,
    CLIP_DEPTHS,
    UNET_AROUND,
    UNET_BLOCK,
    UNET_INPUT,
    UNET_LEVEL,
    UNET_MIDDLE,
    Base,
)

#: `double_blocks_3_img_attn_qkv`: a stack of equal blocks, the number of one, a layer in it. The first
#: digit decides, so the time is linear.
_IN_A_BLOCK: Final = re.compile(r"([A-Za-z_]+)_(\d{1,3})_(.+)", re.DOTALL)

#: The stack of a CLIP, the only text encoder whose layers say something about the base model.
_CLIP_STACK: Final = "text_model_encoder_layers"

#: cloneofsimo/lora numbers the layers of a UNet instead of naming them.
_COUNTED: Final = "unet:"

#: Ends of the names of stacks. An unknown stack shows an unknown model.
_STACK_ENDS: Final = ("blocks", "layers")

#: Chroma has the layers of Flux.1, which has many more LoRAs.
_STANDS_FOR: Final[Mapping[frozenset[str | None], str]] = {frozenset({"flux1", "chroma"}): "flux1"}


class _Layer(NamedTuple):
    """A layer of a block: the stack, empty outside of any, and the path in the block."""

    stack: str
    path: str


class _Widths(NamedTuple):
    """Inputs and outputs; None fits any."""

    inputs: int | None
    outputs: int | None

    def fit(self, other: "_Widths") -> bool:
        return (self.inputs is None or other.inputs in (None, self.inputs)) and (
            self.outputs is None or other.outputs in (None, self.outputs)
        )


#: Layers with their widths -> the blocks that have them, as bits.
_Found = Mapping[tuple[_Layer, _Widths], int]


class _Index(NamedTuple):
    """BASES by layer.

    Attributes:
        layers: A layer -> the number of a row -> its widths and the blocks that have them.
        blocks: The number of a row -> a stack -> its blocks.
        stacks: The names of all stacks.
        with_ends: The rows that list the layers outside of stacks. These say nothing of other rows.
    """

    layers: Mapping[_Layer, Mapping[int, Mapping[_Widths, int]]]
    blocks: Mapping[int, Mapping[str, int]]
    stacks: frozenset[str]
    with_ends: frozenset[int]


def architecture(layers: Iterable[Layers]) -> str | None:
    """A value of the column `architecture`; None when no base model fits, or several do."""
    layers = tuple(layers)
    found = _gather(layers)
    rows = _fitting(found)
    if any(alike.before_peft for alike in layers):
        rows = {row for row in rows if not BASES[row].since_peft}
    told = _word(rows)
    if told is None and rows:
        blocks: defaultdict[str, int] = defaultdict(int)
        for (layer, _), bits in found.items():
            blocks[layer.stack] |= bits
        known = _index().stacks & blocks.keys()
        told = _word(
            {r for r in rows if all(_index().blocks[r].get(s) == blocks[s] for s in known)}
        )
    return told


def _word(rows: Iterable[int]) -> str | None:
    words = {BASES[row].word for row in rows}
    return words.pop() if len(words) == 1 else _STANDS_FOR.get(frozenset(words))


def _gather(layers: Iterable[Layers]) -> _Found:
    """The layers that say something about the base model."""
    found: defaultdict[tuple[_Layer, _Widths], int] = defaultdict(int)
    for alike in layers:
        widths = _Widths(alike.in_width, alike.out_width)
        if alike.algo == "full" and alike.in_width is None:
            continue  # a bias or a norm, which the rows do not have
        for path in alike.paths:
            layer, number = _split(path)
            found[layer, widths] |= 1 << number
        for encoder, paths in alike.encoders.items():
            for path in paths:
                layer, number = _split(path)
                if layer.stack == _CLIP_STACK:
                    found[_Layer(f"{encoder}:{_CLIP_STACK}", layer.path), widths] |= 1 << number
    return found


def _split(path: str) -> tuple[_Layer, int]:
    """The layer at a path, and the number of its block."""
    if path.startswith(_COUNTED):
        return _Layer(_COUNTED, ""), 0
    match = _IN_A_BLOCK.fullmatch(path)
    return (_Layer(match[1], match[3]), int(match[2])) if match else (_Layer("", path), 0)


def _fitting(found: _Found) -> set[int]:
    """The numbers of the rows that have all the layers; none when no row has any."""
    index = _index()
    rows: set[int] | None = None
    for (layer, widths), bits in sorted(found.items(), key=_outside_of_blocks):
        entries = index.layers.get(layer)
        if entries is None:
            if layer.stack in index.stacks or layer.stack.endswith(_STACK_ENDS):
                return set()
            continue
        kept = set() if layer.stack or rows is None else rows - index.with_ends
        among = entries if rows is None else entries.keys() & rows
        rows = kept | {row for row in among if not bits & ~_blocks_of(entries[row], widths)}
        if not rows:
            break
    return rows or set()


def _outside_of_blocks(item: tuple[tuple[_Layer, _Widths], int]) -> bool:
    (layer, _), _ = item
    return not layer.stack


def _blocks_of(entry: Mapping[_Widths, int], widths: _Widths) -> int:
    """The blocks that have a layer of these widths."""
    bits = 0
    for own, blocks in entry.items():
        if own.fit(widths):
            bits |= blocks
    return bits


@cache
def _index() -> _Index:
    layers: defaultdict[_Layer, dict[int, dict[_Widths, int]]] = defaultdict(dict)
    blocks: dict[int, dict[str, int]] = {}
    for row, base in enumerate(BASES):
        own = blocks[row] = {}
        for layer, widths, bits in _layers_of(base):
            entry = layers[layer].setdefault(row, {})
            entry[widths] = entry.get(widths, 0) | bits
            if layer.stack:
                own[layer.stack] = own.get(layer.stack, 0) | bits
    return _Index(
        layers,
        blocks,
        frozenset(stack for own in blocks.values() for stack in own),
        frozenset(row for row, base in enumerate(BASES) if "" in base.stacks),
    )


def _layers_of(base: Base) -> Iterator[tuple[_Layer, _Widths, int]]:
    """The layers of a row, each with the blocks that have it."""
    for name, text in base.stacks.items():
        stack, _, blocks = name.partition(" ")
        for path, widths in _parsed(text, base.letters):
            yield _Layer(stack, path), widths, _bits(blocks or "1")
    for encoder, width in base.encoders.items():
        for path, widths in _parsed(CLIP, {"d": width}):
            yield _Layer(f"{encoder}:{_CLIP_STACK}", path), widths, (1 << CLIP_DEPTHS[width]) - 1
    for path, widths in _unet(base) if base.unet else ():
        layer, number = _split(path)
        yield layer, widths, 1 << number
        if layer.path and widths.inputs:
            yield _Layer(_COUNTED, ""), widths, 1


def _bits(blocks: str) -> int:
    """The first blocks, by their number, or those that a list names."""
    if "," not in blocks:
        return (1 << int(blocks)) - 1
    return sum(1 << int(number) for number in blocks.split(",") if number)


def _unet(base: Base) -> Iterator[tuple[str, _Widths]]:
    """The paths of a UNet in diffusers' spelling and in the original one."""
    last = len(base.unet) - 1
    attention: list[tuple[str, int, int]] = []
    for level, depth in enumerate(base.unet):
        width = 320 * min(2**level, 4)
        down, up = f"down_blocks_{level}", f"up_blocks_{last - level}"
        attention += [(f"{down}_attentions_{n}", width, depth) for n in range(2)]
        attention += [(f"{up}_attentions_{n}", width, depth) for n in range(3)]
        attention += [(f"input_blocks_{3 * level + 1 + n}_1", width, depth) for n in range(2)]
        attention += [(f"output_blocks_{3 * (last - level) + n}_1", width, depth) for n in range(3)]
        for side in (down, up):
            yield from _under(side, UNET_LEVEL)
        for number in range(3 * level, 3 * level + 3):
            yield from _under(f"input_blocks_{number}", UNET_INPUT)
            yield from _under(f"output_blocks_{number}", UNET_INPUT)
    middle = max(1, base.unet[-1])
    attention += [("mid_block_attentions_0", 1280, middle), ("middle_block_1", 1280, middle)]
    for number in range(2):
        yield from _under(f"mid_block_resnets_{number}", "*>* conv1 conv2 time_emb_proj")
        yield from _under(f"middle_block_{2 * number}", UNET_MIDDLE)
    for path, width, depth in attention:
        letters = {**base.letters, "d": width}
        if depth:
            yield from _under(path, UNET_AROUND, letters)
        for block in range(depth):
            yield from _under(f"{path}_transformer_blocks_{block}", UNET_BLOCK, letters)


def _under(
    path: str, text: str, letters: Mapping[str, int] | None = None
) -> Iterator[tuple[str, _Widths]]:
    return ((f"{path}_{rest}", widths) for rest, widths in _parsed(text, letters or {}))


def _parsed(text: str, letters: Mapping[str, int]) -> tuple[tuple[str, _Widths], ...]:
    """The layers of a text as BASES has them."""
    return _parsed_once(text, tuple(letters.items()))


@cache
def _parsed_once(
    text: str, letters: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, _Widths], ...]:
    values = dict(letters)
    found = []
    for group in filter(str.strip, text.split(";")):
        widths, *paths = group.split()
        inputs, _, outputs = widths.partition(">")
        both = _Widths(_width(inputs, values), _width(outputs, values))
        for path in paths:
            parts = (part.split(",") for part in re.split(r"[{}]", path))
            found += [("".join(spelt), both) for spelt in product(*parts)]
    return tuple(found)


def _width(text: str, letters: Mapping[str, int]) -> int | None:
    """The value of `3d+f`; None for `*`."""
    if text == "*":
        return None
    return sum(
        int(number or 1) * (letters[letter] if letter else 1)
        for number, letter in re.findall(r"(\d*)([a-z]?)(?:\+|\Z)", text)
        if number or letter
    )
