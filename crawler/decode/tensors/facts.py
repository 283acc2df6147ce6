"""Facts about the weights, from the names, shapes and dtypes of the tensors alone.

Metadata can be wrong or missing. These facts are what the file contains, kept apart from the metadata.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Final, NamedTuple

from crawler.decode import clean
from crawler.decode.problems import OUT_OF_RANGE
from crawler.decode.tensors import signatures
from crawler.decode.tensors.algorithms import Layers, layers_of, table_of
from crawler.decode.tensors.signatures import Block, Blocks
from crawler.model import Header, Problem, TensorTable, Weights
from crawler.model.int64 import INT64

_FAMILIES: Final[tuple[Callable[[Blocks], str | None], ...]] = (
    signatures.of_double_and_single_blocks,
    signatures.of_transformer_blocks,
    signatures.of_blocks,
    signatures.of_layers,
    signatures.of_unmistakable_names,
)

#: `double_blocks_3_img_attn_qkv`: a stack of equal blocks, the number of one, a layer in it. The first
#: digit decides, so the time is linear.
_IN_A_BLOCK: Final = re.compile(r"([A-Za-z_]+)_(\d{1,4})_(.+)", re.DOTALL)

#: Beginnings of a UNet's layers: diffusers' names, the original code's, cloneofsimo's count.
_UNET_STARTS: Final = (
    *("down_blocks_", "mid_block_", "up_blocks_"),
    *("input_blocks_", "middle_block_", "output_blocks_"),
    "unet:",
)

#: The level of width 320 has attention in SD1 and SD2, and none in SDXL.
_SHALLOW_ATTENTION: Final = (
    *("down_blocks_0_attentions_", "up_blocks_3_attentions_"),
    *("input_blocks_1_1_", "input_blocks_2_1_"),
    *("output_blocks_9_1_", "output_blocks_10_1_", "output_blocks_11_1_"),
)

#: Width of the text that cross-attention reads -> architecture.
_BY_TEXT_WIDTH: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl"}

#: Width of the one CLIP of SD1 (ViT-L) and of SD2 (OpenCLIP ViT-H).
_BY_CLIP_WIDTH: Final = {768: "sd1", 1024: "sd2"}

#: Keys and values of cross-attention, which read the text.
_TEXT_READER: Final = re.compile(r"_transformer_blocks_[^_]*_attn2_(?:.*_)?to_[kv]\Z", re.DOTALL)

#: A third transformer block in an attention: SDXL has up to ten, SD1 and SD2 have one.
_DEEP: Final = re.compile(r"_transformer_blocks_(?:[2-9]|[1-9][0-9]+)(?:_|\Z)")

#: Layers over time, as in video UNets.
_TEMPORAL: Final = ("temp", "motion_modules", "time_stack")

#: OpenCLIP ViT-bigG, the second text encoder of SDXL: its width, and the number of layers of ViT-L,
#: which has fewer.
_CLIP_G_WIDTH: Final = 1280
_CLIP_L_LAYERS: Final = 12


class _Part(NamedTuple):
    """Layers of a UNet that have the same shapes."""

    in_width: int | None
    paths: Sequence[str]


def architecture(layers: Iterable[Layers]) -> str | None:
    """A value of the column `architecture`; None when no signature fits, or several do."""
    unet: list[_Part] = []
    encoders: list[Layers] = []
    blocks: Blocks = {}
    for alike in layers:
        if alike.encoders:
            encoders.append(alike)
        if own := [path for path in alike.paths if path.startswith(_UNET_STARTS)]:
            unet.append(_Part(alike.in_width, own))
        _add_blocks(alike, blocks)
    named = {family(blocks) for family in _FAMILIES} - {None}
    if unet or (encoders and not blocks):
        named |= {_unet(unet, encoders)} - {None}
    return named.pop() if len(named) == 1 else None


def _add_blocks(layers: Layers, blocks: Blocks) -> None:
    """Add the layers that are not in a UNet."""
    last: dict[tuple[str, str], int] = {}
    for path in layers.paths:
        if not path or path.startswith(_UNET_STARTS):
            continue
        found = _IN_A_BLOCK.fullmatch(path)
        stack, number, rest = found.groups() if found else (path, "0", "")
        last[stack, rest] = max(last.get((stack, rest), 0), int(number))
    for (stack, rest), number in last.items():
        blocks.setdefault(stack, []).append(Block(number, rest, layers))


def _unet(unet: Sequence[_Part], encoders: Sequence[Layers]) -> str | None:
    """sd1, sd2 or sdxl.

    Any of these is certain: the text width of cross-attention; a third transformer block in one
    attention (SDXL); a second CLIP of width 1280 (SDXL); attention at the widest level together with
    the width of the one CLIP (SD1, SD2). A LoRA of self-attention alone, limited to stages of two
    blocks, stays unknown. SDXL's refiner (text width 1280) and video UNets are neither.
    """
    paths = [path for part in unet for path in part.paths]
    if any(sign in path for path in paths for sign in _TEMPORAL):
        return None
    is_deep = any(map(_DEEP.search, paths))
    widths = {part.in_width for part in unet if _reads_text(part)}
    if widths:
        named = _BY_TEXT_WIDTH.get(widths.pop() or 0) if len(widths) == 1 else None
        return named if named == "sdxl" or not is_deep else None
    if is_deep or _has_clip_g(encoders):
        return "sdxl"
    if any(path.startswith(_SHALLOW_ATTENTION) for path in paths):
        clip = _clip_widths(encoders)
        return _BY_CLIP_WIDTH.get(clip.pop()) if len(clip) == 1 else None
    return None


def _reads_text(part: _Part) -> bool:
    """Whether the input width of these layers is that of the text."""
    if part.paths[0].startswith("unet:"):
        # cloneofsimo/lora numbers the layers; no other layer of a UNet is as wide as the text.
        return part.in_width in _BY_TEXT_WIDTH
    return part.in_width is not None and any(map(_TEXT_READER.search, part.paths))


def _has_clip_g(encoders: Sequence[Layers]) -> bool:
    """Whether the second text encoder is SDXL's.

    SD3 has the same one, and a third text encoder: a file with a third one is not SDXL's.
    """
    if any(number not in (0, 1, 2) for alike in encoders for number in alike.encoders):
        return False
    for alike in encoders:
        wide = _CLIP_G_WIDTH in (alike.in_width, alike.out_width)
        for path in alike.encoders.get(2, ()):
            if path.startswith("text_model_"):
                index = path.partition("_layers_")[2].partition("_")[0]
                if index.isdecimal() and int(index) >= _CLIP_L_LAYERS:
                    return True
                if wide and "_self_attn_" in path:
                    return True
    return False


def _clip_widths(encoders: Sequence[Layers]) -> set[int]:
    """Widths of the text encoders' attention, whose inputs and outputs are equally wide."""
    return {
        width
        for alike in encoders
        for width in (alike.in_width, alike.out_width)
        if width is not None
        and any(
            path.startswith("text_model_") and "_self_attn_" in path
            for paths in alike.encoders.values()
            for path in paths
        )
    }


#: Dimensions up to which a product of huge sides costs nothing; real tensors have five.
_MANY_DIMENSIONS: Final = 8

#: Algorithms in the order that decides between equal numbers of layers.
_ALGOS: Final = ("lora", "loha", "lokr", "oft", "boft", "ia3", "glora", "full")


def read_weights(header: Header) -> tuple[Weights, tuple[Problem, ...]]:
    """The facts about a header's tensors. Never raises, whatever their names and shapes are.

    - `tensor_rank` is the rank of most layers; in a tie, the largest.
    - `tensor_algo` is `dora` when any layer has a magnitude of its own, else the algorithm of most
      layers; in a tie, the first of _ALGOS. A `lora` with convolutions that have
      a kernel is a `locon`.
    - `tensor_dtype` is the dtype of most numbers; in a tie, the first by name.
    - Other facts are None when no tensor belongs to an adapter.

    Returns:
        The facts, and a problem for each that is beyond 64 bits and therefore None.
    """
    problems: list[Problem] = []
    table = table_of(header.tensors)
    layers = layers_of(table)
    parameters, dtype = _numbers(table)
    rank, rank_min, rank_max = _ranks(layers)
    weights = Weights(
        tensor_rank=_storable("tensor_rank", rank, problems),
        tensor_rank_min=_storable("tensor_rank_min", rank_min, problems),
        tensor_rank_max=_storable("tensor_rank_max", rank_max, problems),
        tensor_algo=_algo(layers),
        tensor_dtype=dtype,
        tensor_count=len(header.tensors),
        parameter_count=_storable("parameter_count", parameters, problems),
        architecture=architecture(layers),
        trains_text_encoder=any(alike.encoders for alike in layers) if layers else None,
        trains_conv=any(alike.conv for alike in layers) if layers else None,
    )
    return weights, tuple(problems)


def _numbers(table: TensorTable) -> tuple[int, str | None]:
    """How many numbers the file holds, and the dtype of most of them."""
    by_dtype: Counter[str] = Counter()
    for key, count in Counter(table.form_of).items():
        form = table.forms[key]
        by_dtype[form.dtype] += count * _product(form.shape)
    most = min(by_dtype, key=lambda dtype: (-by_dtype[dtype], dtype), default=None)
    return by_dtype.total(), None if most is None else clean.text(most)


def _product(shape: tuple[int, ...]) -> int:
    """The product of the sides. It stops as soon as it exceeds 64 bits."""
    if len(shape) <= _MANY_DIMENSIONS:
        return prod(shape)
    size = 1
    for side in shape:
        size *= side
        if size not in INT64:
            break
    return size


def _ranks(layers: Iterable[Layers]) -> tuple[int | None, int | None, int | None]:
    """The most common rank, the smallest and the largest."""
    counts: Counter[int] = Counter()
    for alike in layers:
        if alike.rank is not None:
            counts[alike.rank] += alike.count
    if not counts:
        return None, None, None
    return max(counts, key=lambda rank: (counts[rank], rank)), min(counts), max(counts)


def _algo(layers: Iterable[Layers]) -> str | None:
    if any(alike.dora for alike in layers):
        return "dora"
    counts: Counter[str] = Counter()
    for alike in layers:
        if alike.algo is not None:
            counts[alike.algo] += alike.count
    if not counts:
        return None
    most = max(_ALGOS, key=lambda algo: counts[algo])
    if most == "lora" and any(alike.conv for alike in layers if alike.algo == "lora"):
        return "locon"
    return most


def _storable(field: str, number: int | None, problems: list[Problem]) -> int | None:
    if number is None or number in INT64:
        return number
    problems.append(Problem(OUT_OF_RANGE, field, "the number is beyond 64 bits"))
    return None
