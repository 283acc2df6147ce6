"""Safetensors headers: the layers of each base, their tensors, and sound and broken bytes.

Layer names are those of sd-scripts (`networks/lora.py`, `networks/lora_flux.py`): `lora_unet_` or
`lora_te_` and the path of the layer with underscores for dots. ai-toolkit names the layers of Flux
as diffusers does.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import msgspec

_LENGTH_BYTES = 8  # little-endian, in front of the JSON
HUGE_HEADER_BYTES = 40 * 1024 * 1024  # longer than the default limit of a crawl
_GIANT_BODY_BYTES = 24 * 1024**3  # as large as the largest files of the site
_GIANT_ROWS = 1024
_ALIGNMENT = 8  # bytes; the library pads the JSON with spaces to it
_ELEMENT_BYTES = {"F16": 2, "BF16": 2, "F32": 4}
_REMEMBERED_LISTS = 128  # tensor lists, of up to 0.4 MB each
_LOKR_FACTOR = 8  # divides all widths that occur


class Base(StrEnum):
    """The architectures of the base models."""

    SD1 = "sd1"
    SDXL = "sdxl"
    FLUX1 = "flux1"


class Algo(StrEnum):
    """The algorithm of a network, as a value of `network_algo`."""

    LORA = "lora"
    LOCON = "locon"
    DORA = "dora"
    LOHA = "loha"
    LOKR = "lokr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The properties that determine the tensor list of a file."""

    base: Base
    algo: Algo
    dim: int  # the rank of all layers
    text_encoder: bool
    dtype: str
    diffusers_names: bool = False  # whether the layers of Flux are named as in ai-toolkit
    giant: bool = False  # whether one more tensor of 24 GiB follows


class TensorList(NamedTuple):
    """The tensor part of a header, without a brace around it, and the bytes that it describes."""

    entries: str
    body_bytes: int


@lru_cache(_REMEMBERED_LISTS)
def tensor_list(network: Network) -> TensorList:
    """The tensors of a network by name, their bytes in the same order, as the library saves them."""
    element = _ELEMENT_BYTES[network.dtype]
    shapes = {name: shape for layer in _layers(network) for name, shape in _tensors(layer, network)}
    if network.giant:
        shapes["unused.weight"] = (_GIANT_ROWS, _GIANT_BODY_BYTES // element // _GIANT_ROWS)
    spelled = {shape: (",".join(map(str, shape)), prod(shape)) for shape in set(shapes.values())}
    entries, offset = [], 0
    for name in sorted(shapes):
        shape, elements = spelled[shapes[name]]  # few shapes, thousands of tensors
        end = offset + elements * element
        facts = f'"dtype":"{network.dtype}","shape":[{shape}],"data_offsets":[{offset},{end}]'
        entries.append(f'"{name}":{{{facts}}}')
        offset = end
    return TensorList(",".join(entries), offset)


def sound(metadata: Mapping[str, str] | None, tensors: TensorList) -> bytes:
    """The length and the JSON, as the safetensors library writes them; None is no `__metadata__`."""
    front = "" if metadata is None else f'"__metadata__":{msgspec.json.encode(metadata).decode()},'
    return _framed(f"{{{front}{tensors.entries}}}".encode())


def broken(metadata: Mapping[str, str], tensors: TensorList, kind: int) -> bytes:
    """A header that the safetensors library refuses, in one of four ways that `kind` picks."""
    text = sound(metadata, tensors)[_LENGTH_BYTES:]
    match kind % 4:
        case 0:  # the JSON breaks off
            return _framed(text[:-64])
        case 1:  # a length far beyond the file
            return (1 << 40).to_bytes(_LENGTH_BYTES, "little") + text
        case 2:  # the first tensor does not begin at 0
            return _framed(text.replace(b'"data_offsets":[0,', b'"data_offsets":[2,'))
        case _:  # a dtype that does not exist
            return _framed(text.replace(b'"dtype":"', b'"dtype":"Q', 1))


def _framed(text: bytes) -> bytes:
    padded = text + b" " * (-len(text) % _ALIGNMENT)
    return len(padded).to_bytes(_LENGTH_BYTES, "little") + padded


class _Layer(NamedTuple):
    """A linear layer, or a convolution whose square kernel has a side of `kernel` px."""

    name: str
    fan_in: int
    fan_out: int
    kernel: int = 0


def _tensors(layer: _Layer, network: Network) -> Iterator[tuple[str, tuple[int, ...]]]:
    (name, fan_in, fan_out, kernel), rank = layer, network.dim
    if network.diffusers_names:
        yield f"{name}.lora_A.weight", (rank, fan_in)
        yield f"{name}.lora_B.weight", (fan_out, rank)
        return
    area = max(1, kernel) ** 2
    yield f"{name}.alpha", ()
    if network.algo is Algo.LOHA:
        for half in ("hada_w1", "hada_w2"):
            yield f"{name}.{half}_a", (fan_out, rank)
            yield f"{name}.{half}_b", (rank, fan_in * area)
    elif network.algo is Algo.LOKR:
        yield f"{name}.lokr_w1", (_LOKR_FACTOR, _LOKR_FACTOR)
        yield f"{name}.lokr_w2_a", (fan_out // _LOKR_FACTOR, rank)
        yield f"{name}.lokr_w2_b", (rank, fan_in // _LOKR_FACTOR * area)
    else:
        window, point = ((kernel, kernel), (1, 1)) if kernel else ((), ())
        yield f"{name}.lora_down.weight", (rank, fan_in, *window)
        yield f"{name}.lora_up.weight", (fan_out, rank, *point)
        if network.algo is Algo.DORA:
            yield f"{name}.dora_scale", (1, fan_in, *point)


# Prefix, number of layers and width of each CLIP text model
_TEXT_ENCODERS = {
    Base.SD1: (("lora_te", 12, 768),),
    Base.SDXL: (("lora_te1", 12, 768), ("lora_te2", 32, 1280)),
    Base.FLUX1: (("lora_te1", 12, 768),),
}
# Attentions of the UNets: name, width, transformer blocks
_SD1_ATTENTIONS = (
    *((f"down_blocks_{at // 2}_attentions_{at % 2}", 320 << at // 2, 1) for at in range(6)),
    ("mid_block_attentions_0", 1280, 1),
    *((f"up_blocks_{at // 3}_attentions_{at % 3}", 2560 >> at // 3, 1) for at in range(3, 12)),
)
_SDXL_ATTENTIONS = (
    *((f"input_blocks_{block}_1", 640, 2) for block in (4, 5)),
    *((f"input_blocks_{block}_1", 1280, 10) for block in (7, 8)),
    ("middle_block_1", 1280, 10),
    *((f"output_blocks_{block}_1", 1280, 10) for block in (0, 1, 2)),
    *((f"output_blocks_{block}_1", 640, 2) for block in (3, 4, 5)),
)
# Convolutions that a LoCon trains beside the attentions: some of those of both UNets
_CONVOLUTIONS: Mapping[Base, tuple[tuple[str, int], ...]] = {
    Base.SD1: (("down_blocks_0_resnets_0_conv1", 320), ("mid_block_resnets_0_conv1", 1280)),
    Base.SDXL: (("input_blocks_1_0_in_layers_2", 320), ("middle_block_0_in_layers_2", 1280)),
    Base.FLUX1: (),
}
_FLUX_WIDTH = 3072
# Blocks of Flux: path, number of blocks, layers with their widths in multiples of _FLUX_WIDTH
_KOHYA_FLUX = (
    *(
        (f"lora_unet_double_blocks_{{}}_{side}_", 19, (
            ("attn_proj", 1, 1), ("attn_qkv", 1, 3), ("mlp_0", 1, 4), ("mlp_2", 4, 1),
            ("mod_lin", 1, 6),
        ))
        for side in ("img", "txt")
    ),
    ("lora_unet_single_blocks_{}_", 38, (
        ("linear1", 1, 7), ("linear2", 5, 1), ("modulation_lin", 1, 3),
    )),
)  # fmt: skip
_DIFFUSERS_FLUX = (
    ("transformer.transformer_blocks.{}.", 19, (
        ("attn.to_q", 1, 1), ("attn.to_k", 1, 1), ("attn.to_v", 1, 1), ("attn.to_out.0", 1, 1),
        ("attn.add_q_proj", 1, 1), ("attn.add_k_proj", 1, 1), ("attn.add_v_proj", 1, 1),
        ("attn.to_add_out", 1, 1), ("ff.net.0.proj", 1, 4), ("ff.net.2", 4, 1),
        ("ff_context.net.0.proj", 1, 4), ("ff_context.net.2", 4, 1), ("norm1.linear", 1, 6),
    )),
    ("transformer.single_transformer_blocks.{}.", 38, (
        ("attn.to_q", 1, 1), ("attn.to_k", 1, 1), ("attn.to_v", 1, 1), ("norm.linear", 1, 3),
        ("proj_mlp", 1, 4), ("proj_out", 5, 1),
    )),
)  # fmt: skip


def _layers(network: Network) -> Iterator[_Layer]:
    """Every layer that a network of this kind trains."""
    if network.text_encoder:
        for prefix, depth, width in _TEXT_ENCODERS[network.base]:
            for number in range(depth):
                yield from _text_layer(f"{prefix}_text_model_encoder_layers_{number}", width)
    if network.base is Base.FLUX1:
        yield from _flux(_DIFFUSERS_FLUX if network.diffusers_names else _KOHYA_FLUX)
    else:
        is_sdxl = network.base is Base.SDXL
        attentions = _SDXL_ATTENTIONS if is_sdxl else _SD1_ATTENTIONS
        context, kernel = (2048, 0) if is_sdxl else (768, 1)
        for name, width, depth in attentions:
            yield from _transformer(f"lora_unet_{name}", width, context, depth, kernel=kernel)
    if network.algo is not Algo.LORA:
        for name, width in _CONVOLUTIONS[network.base]:
            yield _Layer(f"lora_unet_{name}", width, width, 3)


def _flux(stacks: Iterable[tuple[str, int, tuple[tuple[str, int, int], ...]]]) -> Iterator[_Layer]:
    for stem, depth, parts in stacks:
        for number, (name, fan_in, fan_out) in product(range(depth), parts):
            path = stem.format(number) + name
            yield _Layer(path, fan_in * _FLUX_WIDTH, fan_out * _FLUX_WIDTH)


def _text_layer(stem: str, width: int) -> Iterator[_Layer]:
    yield _Layer(f"{stem}_mlp_fc1", width, 4 * width)
    yield _Layer(f"{stem}_mlp_fc2", 4 * width, width)
    for part in ("k", "out", "q", "v"):
        yield _Layer(f"{stem}_self_attn_{part}_proj", width, width)


def _transformer(
    stem: str, width: int, context: int, depth: int, *, kernel: int
) -> Iterator[_Layer]:
    yield _Layer(f"{stem}_proj_in", width, width, kernel)
    yield _Layer(f"{stem}_proj_out", width, width, kernel)
    for number in range(depth):
        block = f"{stem}_transformer_blocks_{number}"
        for attention, source in (("attn1", width), ("attn2", context)):
            yield _Layer(f"{block}_{attention}_to_q", width, width)
            yield _Layer(f"{block}_{attention}_to_k", source, width)
            yield _Layer(f"{block}_{attention}_to_v", source, width)
            yield _Layer(f"{block}_{attention}_to_out_0", width, width)
        yield _Layer(f"{block}_ff_net_0_proj", width, 8 * width)
        yield _Layer(f"{block}_ff_net_2", 4 * width, width)
