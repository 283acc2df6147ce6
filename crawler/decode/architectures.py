"""Which kind of base model a file was made for, by the names and shapes of its layers.

Every family of models looks at the layers it knows and names one architecture, or none. What no
family names stays unknown, and so does what two of them name: the answer is never a guess. Not
to be told from tensors at all are fine-tunes of one architecture (Pony, Illustrious and the like
are `sdxl`; Flux dev, schnell and Krea are `flux1`; Wan 2.1 and 2.2 are `wan`).
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from crawler.decode import flux, transformers
from crawler.decode.layers import Layer
from crawler.decode.transformers import Block, Blocks

#: `double_blocks_3_img_attn_qkv`: a stack of equal blocks, the number of one, a layer in it.
#: Paths are short and every step moves forward, so the match is linear.
_BLOCK: Final = re.compile(r"([A-Za-z_]+?)_(\d{1,4})_(.+)", re.DOTALL)

#: How the layers of a UNet begin: diffusers' names, then those of the original code.
_UNET_STARTS: Final = (
    "down_blocks_",
    "mid_block_",
    "up_blocks_",
    "input_blocks_",
    "middle_block_",
    "output_blocks_",
)

#: The 320 wide level has attention in SD1 and SD2, and none in SDXL.
_SHALLOW_ATTENTION: Final = (
    "down_blocks_0_attentions_",
    "up_blocks_3_attentions_",
    "input_blocks_1_1_",
    "input_blocks_2_1_",
    "output_blocks_9_1_",
    "output_blocks_10_1_",
    "output_blocks_11_1_",
)

#: Width of the text that cross-attention reads -> architecture.
_BY_TEXT_WIDTH: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl"}

#: Width of the one CLIP of SD1 (ViT-L) and of SD2 (OpenCLIP ViT-H).
_BY_CLIP_WIDTH: Final = {768: "sd1", 1024: "sd2"}

#: SD1 and SD2 have one transformer block in an attention, SDXL up to ten.
_DEEP: Final = 2

#: OpenCLIP ViT-bigG, the second text encoder of SDXL: its width, and its layers against the
#: twelve of ViT-L.
_CLIP_G_WIDTH: Final = 1280
_CLIP_L_LAYERS: Final = 12


class _Unet(NamedTuple):
    """What the layers of a UNet say together.

    Attributes:
        text_widths: In-widths of keys and values of cross-attention.
        deep: Whether an attention has three or more transformer blocks.
        shallow: Whether the widest level has attention.
        temporal: Whether layers run over time, as in video UNets.
    """

    text_widths: frozenset[int]
    deep: bool
    shallow: bool
    temporal: bool


def architecture(layers: Iterable[Layer]) -> str | None:
    """One of the architectures of the public list, None when the layers do not tell."""
    unet: list[Layer] = []
    encoders: list[Layer] = []
    blocks: Blocks = {}
    for layer in layers:
        if layer.encoder is not None:
            encoders.append(layer)
        elif layer.path.startswith(_UNET_STARTS) or layer.path.startswith("unet:"):
            unet.append(layer)
        elif (match := _BLOCK.match(layer.path)) is not None:
            root, index, rest = match.groups()
            blocks.setdefault(root, []).append(Block(int(index), rest, layer))
        elif layer.path:
            blocks.setdefault(layer.path, []).append(Block(0, "", layer))
    named = {family(blocks) for family in _FAMILIES} - {None}
    if unet or (encoders and not blocks):
        named |= {_unet(unet, encoders)} - {None}
    return named.pop() if len(named) == 1 else None


_FAMILIES: Final[tuple[Callable[[Blocks], str | None], ...]] = (
    flux.named,
    transformers.of_transformer_blocks,
    transformers.of_blocks,
    transformers.of_layers,
    transformers.of_unmistakable_names,
)


def _unet(layers: list[Layer], encoders: list[Layer]) -> str | None:
    """sd1, sd2 or sdxl.

    Certain are the text width of cross-attention, three transformer blocks in one attention
    (SDXL), a second CLIP of width 1280 (SDXL), and attention at the widest level together with the
    width of the one CLIP (SD1, SD2). A LoRA of self-attention alone, limited to stages of two
    blocks, cannot be told. The refiner of SDXL (text width 1280) and video UNets are neither.
    """
    unet = _read_unet(layers)
    if unet.temporal:
        return None
    if unet.text_widths:
        (width, *others) = unet.text_widths
        named = None if others else _BY_TEXT_WIDTH.get(width)
        return None if unet.deep and named != "sdxl" else named
    if unet.deep or _has_clip_g(encoders):
        return "sdxl"
    if unet.shallow:
        widths = _clip_widths(encoders)
        return _BY_CLIP_WIDTH.get(widths.pop()) if len(widths) == 1 else None
    return None


def _read_unet(layers: list[Layer]) -> _Unet:
    text_widths: set[int] = set()
    deep = shallow = temporal = False
    for layer in layers:
        path = layer.path
        if path.startswith("unet:"):
            # cloneofsimo/lora counts layers; no other layer of a UNet is as wide as the text.
            if layer.in_width in _BY_TEXT_WIDTH:
                text_widths.add(layer.in_width)
            continue
        shallow = shallow or path.startswith(_SHALLOW_ATTENTION)
        temporal = temporal or "temp" in path or "motion_modules" in path or "time_stack" in path
        _, _, inner = path.partition("_transformer_blocks_")
        if inner:
            index, _, rest = inner.partition("_")
            deep = deep or (index.isdecimal() and int(index) >= _DEEP)
            if (
                rest.startswith("attn2_")
                and rest.endswith(("_to_k", "_to_v"))
                and layer.in_width is not None
            ):
                text_widths.add(layer.in_width)
    return _Unet(frozenset(text_widths), deep, shallow, temporal)


def _has_clip_g(encoders: list[Layer]) -> bool:
    """Whether the second text encoder is SDXL's.

    SD3 has the same one, beside a third text encoder and under another denoiser, which is named
    before; so a file with a third encoder is not taken for SDXL.
    """
    if any(layer.encoder not in (0, 1, 2) for layer in encoders):
        return False
    for layer in encoders:
        if layer.encoder == 2 and layer.path.startswith("text_model_"):  # noqa: PLR2004 - its number
            index = layer.path.partition("_layers_")[2].partition("_")[0]
            if index.isdecimal() and int(index) >= _CLIP_L_LAYERS:
                return True
            if "_self_attn_" in layer.path and _CLIP_G_WIDTH in (layer.in_width, layer.out_width):
                return True
    return False


def _clip_widths(encoders: list[Layer]) -> set[int]:
    """Widths of the text encoders' attention, whose inputs and outputs are equally wide."""
    return {
        width
        for layer in encoders
        if layer.path.startswith("text_model_") and "_self_attn_" in layer.path
        for width in (layer.in_width, layer.out_width)
        if width is not None
    }
