"""The layers of a base model, from a short notation.

A row of the table of base models lists the stacks of equal blocks of a model, how many blocks each has
(or which ones), and the linear layers of a block. Layers are written as `inputs>outputs path path …`,
one group after the other with semicolons between. A path is underscored, as `layer_names` gives it;
braces hold alternatives. A width is a sum of numbers and letters (`d` is the width of the model,
`3d+f` three times that and the width of the feed-forward), or `*` for any width.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import product
from typing import Final, NamedTuple

from crawler.decode.tensors.layer_names import NAMES_KEPT


class Base(NamedTuple):
    """A base model.

    Attributes:
        word: Its value of `architecture`; None when it has none.
        letters: The width that each letter of the layers stands for.
        stacks: The stack and the number of its blocks (`double_blocks 19`; `blocks 3,5` are two of
            them) -> the layers of a block. The layers outside of any stack are under an empty name.
        encoders: The number of a text encoder -> a CLIP of `_CLIP_DEPTHS`, by its width.
        unet: The depth of the attention at each level, for a UNet.
        since_peft: Whether diffusers named layers as PEFT does when the model came out.
    """

    word: str | None
    letters: Mapping[str, int]
    stacks: Mapping[str, str] = {}
    encoders: Mapping[int, int] = {}
    unet: tuple[int, ...] = ()
    since_peft: bool = False


class Layer(NamedTuple):
    """A layer of a block: the stack, empty outside of any, and the path in the block."""

    stack: str
    path: str


class Widths(NamedTuple):
    """Inputs and outputs; None fits any."""

    inputs: int | None
    outputs: int | None

    def fit(self, other: "Widths") -> bool:
        """Whether both may be the widths of one layer."""
        return (self.inputs is None or other.inputs in (None, self.inputs)) and (
            self.outputs is None or other.outputs in (None, self.outputs)
        )


#: CLIP ViT-L, OpenCLIP ViT-H and ViT-bigG: width -> number of layers.
_CLIP_DEPTHS: Final = {768: 12, 1024: 24, 1280: 32}

_CLIP: Final = "d>d self_attn_{q,k,v,out}_proj; d>4d mlp_fc1; 4d>d mlp_fc2"

# UNets: a transformer block, the layers around it, and the convolutions of a level. LyCORIS flattens
# the kernels of convolutions into a width, so these have none.

_UNET_BLOCK: Final = """
    d>d attn1_to_{q,k,v,out} attn2_to_{q,out}; t>d attn2_to_{k,v}; d>8d ff_net_0_proj; 4d>d ff_net_2
"""
_UNET_AROUND: Final = "d>d proj_{in,out}"
_UNET_LEVEL: Final = """
    *>* resnets_{0,1,2}_{conv1,conv2,time_emb_proj,conv_shortcut} downsamplers_0_conv upsamplers_0_conv
"""
_UNET_INPUT: Final = (
    "*>* 0 {0,1,2}_{conv,op} 0_{in_layers_2,out_layers_3,emb_layers_1,skip_connection,op}"
)
_UNET_MIDDLE: Final = "*>* {in_layers_2,out_layers_3,emb_layers_1}"

#: `double_blocks_3_img_attn_qkv`: a stack of equal blocks, the number of one, a layer in it. The first
#: digit decides, so the time is linear.
_IN_A_BLOCK: Final = re.compile(r"([A-Za-z_]+)_(\d{1,3})_(.+)", re.DOTALL)

#: The stack of a CLIP, the only text encoder whose layers say something about the base model.
CLIP_STACK: Final = "text_model_encoder_layers"

#: cloneofsimo/lora numbers the layers of a UNet instead of naming them. Convolutions then need widths:
#: the inputs of any, of which the first three are outputs as well.
_COUNTED: Final = "unet:"
_CONV_INPUTS: Final = (320, 640, 1280, 960, 1920, 2560)


def by_block(paths: Iterable[str]) -> Mapping[tuple[str, str], int]:
    """The stack and the path in the block -> the numbers of the blocks, as bits."""
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for whole in paths:
        place, bit = _place(whole)
        found[place] |= bit
    return found


@lru_cache(NAMES_KEPT)
def _place(whole: str) -> tuple[tuple[str, str], int]:
    if match := _IN_A_BLOCK.fullmatch(whole):
        stack, number, path = match.groups()
        return (stack, path), 1 << int(number)
    if whole.startswith(_COUNTED):
        return (_COUNTED, ""), 1
    return ("", whole), 1


def layers_of(base: Base) -> Iterator[tuple[Layer, Widths, int]]:
    """The layers of a row, each with the blocks that have it."""
    for name, text in base.stacks.items():
        stack, _, blocks = name.partition(" ")
        for path, widths in _parsed(text, base.letters):
            yield Layer(stack, path), widths, _bits(blocks or "1")
    for encoder, width in base.encoders.items():
        for path, widths in _parsed(_CLIP, {"d": width}):
            yield Layer(f"{encoder}:{CLIP_STACK}", path), widths, (1 << _CLIP_DEPTHS[width]) - 1
    of_widths: defaultdict[Widths, list[str]] = defaultdict(list)
    for whole, widths in _unet(base) if base.unet else ():
        of_widths[widths].append(whole)
    for widths, paths in of_widths.items():
        for (stack, path), bits in by_block(paths).items():
            yield Layer(stack, path), widths, bits
        if widths.inputs:
            yield Layer(_COUNTED, ""), widths, 1
    for inputs, outputs in product(_CONV_INPUTS, _CONV_INPUTS[:3]) if base.unet else ():
        yield Layer(_COUNTED, ""), Widths(inputs, outputs), 1


def _bits(blocks: str) -> int:
    """The first blocks, by their number, or those that a list names."""
    if "," not in blocks:
        return (1 << int(blocks)) - 1
    return sum(1 << int(number) for number in blocks.split(",") if number)


def _unet(base: Base) -> Iterator[tuple[str, Widths]]:
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
            yield from _under(side, _UNET_LEVEL)
        for number in range(3 * level, 3 * level + 3):
            yield from _under(f"input_blocks_{number}", _UNET_INPUT)
            yield from _under(f"output_blocks_{number}", _UNET_INPUT)
    middle = max(1, base.unet[-1])
    attention += [("mid_block_attentions_0", 1280, middle), ("middle_block_1", 1280, middle)]
    for number in range(2):
        yield from _under(f"mid_block_resnets_{number}", "*>* conv1 conv2 time_emb_proj")
        yield from _under(f"middle_block_{2 * number}", _UNET_MIDDLE)
    for path, width, depth in attention:
        letters = {**base.letters, "d": width}
        if depth:
            yield from _under(path, _UNET_AROUND, letters)
        for block in range(depth):
            yield from _under(f"{path}_transformer_blocks_{block}", _UNET_BLOCK, letters)


def _under(
    path: str, text: str, letters: Mapping[str, int] | None = None
) -> Iterator[tuple[str, Widths]]:
    return ((f"{path}_{rest}", widths) for rest, widths in _parsed(text, letters or {}))


def _parsed(text: str, letters: Mapping[str, int]) -> tuple[tuple[str, Widths], ...]:
    """The layers of a text as BASES has them."""
    return _parsed_once(text, tuple(letters.items()))


@cache
def _parsed_once(text: str, letters: tuple[tuple[str, int], ...]) -> tuple[tuple[str, Widths], ...]:
    values = dict(letters)
    found = []
    for group in filter(str.strip, text.split(";")):
        widths, *paths = group.split()
        inputs, _, outputs = widths.partition(">")
        both = Widths(_width(inputs, values), _width(outputs, values))
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
