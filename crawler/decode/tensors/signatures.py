"""Tell the base model of a LoRA from the layers that it changes.

    paths --split--> (stack, block, layer) --gather--> Found --fitting--> rows of BASES --> one word

A LoRA fits a base model when each of its layers is one of the model's: at the same path, in a block
that the model has, with the same widths. A width that the tensors do not show fits any. Most LoRAs
change some layers only, so several models may fit. The answer is then the one whose blocks are
changed from the first to the last; if there is none, or there are several, it is None.

Blocks are kept as the bits of an integer, so that one comparison covers a whole stack.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

from crawler.decode.tensors.algorithms import Layers
from crawler.decode.tensors.base_layers import CLIP_STACK, Layer, Widths, by_block, layers_of
from crawler.decode.tensors.bases import BASES

#: Ends of the names of stacks. An unknown stack shows an unknown model.
_STACK_ENDS: Final = ("blocks", "layers")

#: Chroma has the layers of Flux.1, which has many more LoRAs.
_STANDS_FOR: Final[Mapping[frozenset[str | None], str]] = {frozenset({"flux1", "chroma"}): "flux1"}


#: Layers with their widths -> the blocks that have them, as bits.
_Found = Mapping[tuple[Layer, Widths], int]


class _Index(NamedTuple):
    """BASES by layer.

    Attributes:
        layers: A layer -> the number of a row -> its widths and the blocks that have them.
        blocks: The number of a row -> a stack -> its blocks.
        stacks: The names of all stacks.
        with_ends: The rows that list the layers outside of stacks. These say nothing of other rows.
    """

    layers: Mapping[Layer, Mapping[int, Mapping[Widths, int]]]
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
    found: defaultdict[tuple[Layer, Widths], int] = defaultdict(int)
    for alike in layers:
        widths = Widths(alike.in_width, alike.out_width)
        if alike.algo == "full" and alike.in_width is None:
            continue  # a bias or a norm, which the rows do not have
        for (stack, path), bits in by_block(alike.paths).items():
            found[Layer(stack, path), widths] |= bits
        for encoder, paths in alike.encoders.items():
            for (stack, path), bits in by_block(paths).items():
                if stack == CLIP_STACK:
                    found[Layer(f"{encoder}:{stack}", path), widths] |= bits
    return found


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


def _outside_of_blocks(item: tuple[tuple[Layer, Widths], int]) -> bool:
    (layer, _), _ = item
    return not layer.stack


def _blocks_of(entry: Mapping[Widths, int], widths: Widths) -> int:
    """The blocks that have a layer of these widths."""
    bits = 0
    for own, blocks in entry.items():
        if own.fit(widths):
            bits |= blocks
    return bits


@cache
def _index() -> _Index:
    layers: defaultdict[Layer, dict[int, dict[Widths, int]]] = defaultdict(dict)
    blocks: dict[int, dict[str, int]] = {}
    for row, base in enumerate(BASES):
        own = blocks[row] = {}
        for layer, widths, bits in layers_of(base):
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
