"""Which kind of base model a file was made for, by the names and shapes of its layers.

Every family of models looks at the layers it knows and names one architecture, or none. What no
family names stays unknown, and so does what two of them name: the answer is never a guess. Not
to be told from tensors at all are fine-tunes of one architecture (Pony, Illustrious and the like
are `sdxl`; Flux dev, schnell and Krea are `flux1`; Wan 2.1 and 2.2 are `wan`).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from crawler.decode.tensors import signatures
from crawler.decode.tensors.algorithms import Layers
from crawler.decode.tensors.layer_names import UNET_STARTS
from crawler.decode.tensors.signatures import Block, Blocks

#: `double_blocks_3_img_attn_qkv`, one to a line: a stack of equal blocks, the number of one, a layer in
#: it; or the whole path. The first digit decides, so the time is linear.
_BLOCKS: Final = re.compile(r"^(?:([A-Za-z_]+)_(\d{1,4})_(.+)|(.+))$", re.MULTILINE)

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

#: Keys and values of cross-attention, which read the text.
_TEXT_READERS: Final = re.compile(
    r"_transformer_blocks_[^_\n]*_attn2_(?:.*_)?to_[kv]$", re.MULTILINE
)

#: SD1 and SD2 have one transformer block in an attention, SDXL up to ten: this is a third one.
_DEEP: Final = re.compile(r"_transformer_blocks_(?:[2-9]|[1-9][0-9]+)(?:_|$)", re.MULTILINE)

#: Layers over time, as in video UNets.
_TEMPORAL: Final = ("temp", "motion_modules", "time_stack")

#: OpenCLIP ViT-bigG, the second text encoder of SDXL: its width, and its layers against the
#: twelve of ViT-L.
_CLIP_G_WIDTH: Final = 1280
_CLIP_L_LAYERS: Final = 12


class _Part(NamedTuple):
    """The layers of a UNet that have the same shapes.

    Attributes:
        paths: Each with a line break behind it.
    """

    in_width: int | None
    paths: str


def architecture(layers: Iterable[Layers]) -> str | None:
    """One of the architectures of the public list, None when the layers do not tell."""
    unet: list[_Part] = []
    encoders: list[Layers] = []
    blocks: Blocks = {}
    for alike in layers:
        if alike.encoders:
            encoders.append(alike)
        own, others = (alike.paths, "") if alike.unet else _split(alike.paths)
        if own:
            unet.append(_Part(alike.in_width, own))
        if others:
            _stack(alike, others, blocks)
    named = {family(blocks) for family in _FAMILIES} - {None}
    if unet or (encoders and not blocks):
        named |= {_unet(unet, encoders)} - {None}
    return named.pop() if len(named) == 1 else None


def _split(paths: str) -> tuple[str, str]:
    """The paths of a UNet and all others."""
    lines = paths.split("\n")[:-1]
    own = [line for line in lines if line.startswith(UNET_STARTS)]
    if len(own) == len(lines):
        return paths, ""
    if not own:
        return "", paths
    others = [line for line in lines if not line.startswith(UNET_STARTS)]
    return "\n".join([*own, ""]), "\n".join([*others, ""])


def _stack(layers: Layers, paths: str, blocks: Blocks) -> None:
    """Add layers that are no UNet's to the blocks."""
    numbers: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for root, number, rest, whole in _BLOCKS.findall(paths):
        numbers[root or whole, rest].append(number or "0")
    for (root, rest), found in numbers.items():
        last = max(map(int, found))
        blocks.setdefault(root, []).append(Block(last, rest, layers))


_FAMILIES: Final[tuple[Callable[[Blocks], str | None], ...]] = (
    signatures.named,
    signatures.of_transformer_blocks,
    signatures.of_blocks,
    signatures.of_layers,
    signatures.of_unmistakable_names,
)


def _unet(unet: list[_Part], encoders: list[Layers]) -> str | None:
    """sd1, sd2 or sdxl.

    Certain are the text width of cross-attention, three transformer blocks in one attention
    (SDXL), a second CLIP of width 1280 (SDXL), and attention at the widest level together with the
    width of the one CLIP (SD1, SD2). A LoRA of self-attention alone, limited to stages of two
    blocks, cannot be told. The refiner of SDXL (text width 1280) and video UNets are neither.
    """
    if any(sign in part.paths for part in unet for sign in _TEMPORAL):
        return None
    widths: set[int | None] = set()
    for part in unet:
        if part.in_width not in widths and _reads_text(part):
            widths.add(part.in_width)
    if widths:
        named = _BY_TEXT_WIDTH.get(widths.pop() or 0) if len(widths) == 1 else None
        return named if named == "sdxl" or not _is_deep(unet) else None
    if _is_deep(unet) or _has_clip_g(encoders):
        return "sdxl"
    if any(path.startswith(_SHALLOW_ATTENTION) for part in unet for path in part.paths.split("\n")):
        clip = _clip_widths(encoders)
        return _BY_CLIP_WIDTH.get(clip.pop()) if len(clip) == 1 else None
    return None


def _reads_text(part: _Part) -> bool:
    """Whether the width of these layers is that of the text."""
    if part.paths.startswith("unet:"):
        # cloneofsimo/lora counts layers; no other layer of a UNet is as wide as the text.
        return part.in_width in _BY_TEXT_WIDTH
    return (
        part.in_width is not None
        and "_attn2_" in part.paths
        and _TEXT_READERS.search(part.paths) is not None
    )


def _is_deep(unet: list[_Part]) -> bool:
    return any(_DEEP.search(part.paths) for part in unet)


def _has_clip_g(encoders: list[Layers]) -> bool:
    """Whether the second text encoder is SDXL's.

    SD3 has the same one, beside a third text encoder and under another denoiser, which is named
    before; so a file with a third encoder is not taken for SDXL.
    """
    if any(number not in (0, 1, 2) for alike in encoders for number in alike.encoders):
        return False
    for alike in encoders:
        wide = _CLIP_G_WIDTH in (alike.in_width, alike.out_width)
        for path in alike.encoders.get(2, "").split("\n"):
            if path.startswith("text_model_"):
                index = path.partition("_layers_")[2].partition("_")[0]
                if index.isdecimal() and int(index) >= _CLIP_L_LAYERS:
                    return True
                if wide and "_self_attn_" in path:
                    return True
    return False


def _clip_widths(encoders: list[Layers]) -> set[int]:
    """Widths of the text encoders' attention, whose inputs and outputs are equally wide."""
    return {
        width
        for alike in encoders
        for width in (alike.in_width, alike.out_width)
        if width is not None
        and any(
            path.startswith("text_model_") and "_self_attn_" in path
            for paths in alike.encoders.values()
            for path in paths.split("\n")
        )
    }
