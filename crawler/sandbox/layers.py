"""The layers that kohya's network modules attach to, by base architecture.

Names are those of sd-scripts (networks/lora.py, networks/lora_flux.py): `lora_unet_` or `lora_te_`
and the path of the layer with underscores for dots.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Base(StrEnum):
    """The base architectures that the sandbox knows."""

    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"
    FLUX1 = "flux1"


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear or convolutional layer.

    Attributes:
        kernel: Side of the convolution in px, 0 for a linear layer.
    """

    name: str
    fan_in: int
    fan_out: int
    kernel: int = 0


@dataclass(frozen=True, slots=True)
class _TextEncoder:
    """A CLIP text model: its prefix, the number of its layers, and the widths of each."""

    prefix: str
    depth: int
    width: int


_CLIP_L = _TextEncoder("lora_te", 12, 768)
_CLIP_H = _TextEncoder("lora_te", 23, 1024)
_TEXT_ENCODERS = {
    Base.SD1: (_CLIP_L,),
    Base.SD2: (_CLIP_H,),
    Base.SDXL: (_TextEncoder("lora_te1", 12, 768), _TextEncoder("lora_te2", 32, 1280)),
    Base.FLUX1: (_TextEncoder("lora_te1", 12, 768),),
}
_TIME_WIDTH = 1280  # of the time embedding in every Stable Diffusion UNet
_SD_STAGES = (320, 640, 1280, 1280)
# (block of the UNet in Stability's numbering, width, transformer blocks)
_SDXL_ATTENTIONS = (
    ("input_blocks_4_1", 640, 2),
    ("input_blocks_5_1", 640, 2),
    ("input_blocks_7_1", 1280, 10),
    ("input_blocks_8_1", 1280, 10),
    ("middle_block_1", 1280, 10),
    ("output_blocks_0_1", 1280, 10),
    ("output_blocks_1_1", 1280, 10),
    ("output_blocks_2_1", 1280, 10),
    ("output_blocks_3_1", 640, 2),
    ("output_blocks_4_1", 640, 2),
    ("output_blocks_5_1", 640, 2),
)
# (block, channels in, channels out)
_SDXL_RESNETS = (
    ("input_blocks_1_0", 320, 320),
    ("input_blocks_2_0", 320, 320),
    ("input_blocks_4_0", 320, 640),
    ("input_blocks_5_0", 640, 640),
    ("input_blocks_7_0", 640, 1280),
    ("input_blocks_8_0", 1280, 1280),
    ("middle_block_0", 1280, 1280),
    ("middle_block_2", 1280, 1280),
    ("output_blocks_0_0", 2560, 1280),
    ("output_blocks_1_0", 2560, 1280),
    ("output_blocks_2_0", 1920, 1280),
    ("output_blocks_3_0", 1920, 640),
    ("output_blocks_4_0", 1280, 640),
    ("output_blocks_5_0", 960, 640),
    ("output_blocks_6_0", 960, 320),
    ("output_blocks_7_0", 640, 320),
    ("output_blocks_8_0", 640, 320),
)
_SDXL_RESAMPLERS = (
    ("input_blocks_3_0_op", 320),
    ("input_blocks_6_0_op", 640),
    ("output_blocks_2_2_conv", 1280),
    ("output_blocks_5_2_conv", 640),
)
_FLUX_WIDTH = 3072
_FLUX_DOUBLE_BLOCKS = 19
_FLUX_SINGLE_BLOCKS = 38


def layers(base: Base, *, text_encoder: bool, convolutions: bool) -> Iterator[Layer]:
    """Every layer that a network of this kind trains.

    Args:
        base: The architecture.
        text_encoder: Whether the text encoders are trained too.
        convolutions: Whether the convolutions and time embeddings of the UNet are (Flux has none).
    """
    if text_encoder:
        for encoder in _TEXT_ENCODERS[base]:
            yield from _text_model(encoder)
    if base is Base.FLUX1:
        yield from _flux()
    elif base is Base.SDXL:
        yield from _sdxl(convolutions=convolutions)
    else:
        context = 768 if base is Base.SD1 else 1024
        yield from _sd(context, linear_projections=base is Base.SD2, convolutions=convolutions)


def _text_model(encoder: _TextEncoder) -> Iterator[Layer]:
    width = encoder.width
    for number in range(encoder.depth):
        stem = f"{encoder.prefix}_text_model_encoder_layers_{number}"
        yield Layer(f"{stem}_mlp_fc1", width, 4 * width)
        yield Layer(f"{stem}_mlp_fc2", 4 * width, width)
        for part in ("k", "out", "q", "v"):
            yield Layer(f"{stem}_self_attn_{part}_proj", width, width)


def _transformer(stem: str, width: int, context: int, depth: int, kernel: int) -> Iterator[Layer]:
    yield Layer(f"{stem}_proj_in", width, width, kernel)
    yield Layer(f"{stem}_proj_out", width, width, kernel)
    for number in range(depth):
        block = f"{stem}_transformer_blocks_{number}"
        for attention, source in (("attn1", width), ("attn2", context)):
            yield Layer(f"{block}_{attention}_to_q", width, width)
            yield Layer(f"{block}_{attention}_to_k", source, width)
            yield Layer(f"{block}_{attention}_to_v", source, width)
            yield Layer(f"{block}_{attention}_to_out_0", width, width)
        yield Layer(f"{block}_ff_net_0_proj", width, 8 * width)
        yield Layer(f"{block}_ff_net_2", 4 * width, width)


def _sd(context: int, *, linear_projections: bool, convolutions: bool) -> Iterator[Layer]:
    kernel = 0 if linear_projections else 1
    for stage, width in enumerate(_SD_STAGES[:3]):
        for number in range(2):
            stem = f"lora_unet_down_blocks_{stage}_attentions_{number}"
            yield from _transformer(stem, width, context, 1, kernel)
    yield from _transformer("lora_unet_mid_block_attentions_0", 1280, context, 1, kernel)
    for stage, width in enumerate(reversed(_SD_STAGES)):
        for number in range(3 if stage else 0):
            stem = f"lora_unet_up_blocks_{stage}_attentions_{number}"
            yield from _transformer(stem, width, context, 1, kernel)
    if convolutions:
        yield from _sd_convolutions()


def _sd_convolutions() -> Iterator[Layer]:
    names = ("conv1", "conv2", "time_emb_proj", "conv_shortcut")
    skips = [320]  # channels that the way down hands to the way up
    channels = 320
    for stage, width in enumerate(_SD_STAGES):
        for number in range(2):
            stem = f"lora_unet_down_blocks_{stage}_resnets_{number}"
            yield from _resnet(stem, channels, width, names)
            channels = width
            skips.append(channels)
        if stage < len(_SD_STAGES) - 1:
            yield Layer(f"lora_unet_down_blocks_{stage}_downsamplers_0_conv", width, width, 3)
            skips.append(width)
    for number in range(2):
        yield from _resnet(f"lora_unet_mid_block_resnets_{number}", channels, channels, names)
    for stage, width in enumerate(reversed(_SD_STAGES)):
        for number in range(3):
            stem = f"lora_unet_up_blocks_{stage}_resnets_{number}"
            yield from _resnet(stem, channels + skips.pop(), width, names)
            channels = width
        if stage < len(_SD_STAGES) - 1:
            yield Layer(f"lora_unet_up_blocks_{stage}_upsamplers_0_conv", width, width, 3)


def _resnet(
    stem: str, fan_in: int, fan_out: int, names: tuple[str, str, str, str]
) -> Iterator[Layer]:
    first, second, time, shortcut = names
    yield Layer(f"{stem}_{first}", fan_in, fan_out, 3)
    yield Layer(f"{stem}_{second}", fan_out, fan_out, 3)
    yield Layer(f"{stem}_{time}", _TIME_WIDTH, fan_out)
    if fan_in != fan_out:
        yield Layer(f"{stem}_{shortcut}", fan_in, fan_out, 1)


def _sdxl(*, convolutions: bool) -> Iterator[Layer]:
    for block, width, depth in _SDXL_ATTENTIONS:
        yield from _transformer(f"lora_unet_{block}", width, 2048, depth, 0)
    if convolutions:
        names = ("in_layers_2", "out_layers_3", "emb_layers_1", "skip_connection")
        for block, fan_in, fan_out in _SDXL_RESNETS:
            yield from _resnet(f"lora_unet_{block}", fan_in, fan_out, names)
        for block, width in _SDXL_RESAMPLERS:
            yield Layer(f"lora_unet_{block}", width, width, 3)


def _flux() -> Iterator[Layer]:
    width = _FLUX_WIDTH
    for number in range(_FLUX_DOUBLE_BLOCKS):
        for side in ("img", "txt"):
            stem = f"lora_unet_double_blocks_{number}_{side}"
            yield Layer(f"{stem}_attn_proj", width, width)
            yield Layer(f"{stem}_attn_qkv", width, 3 * width)
            yield Layer(f"{stem}_mlp_0", width, 4 * width)
            yield Layer(f"{stem}_mlp_2", 4 * width, width)
            yield Layer(f"{stem}_mod_lin", width, 6 * width)
    for number in range(_FLUX_SINGLE_BLOCKS):
        stem = f"lora_unet_single_blocks_{number}"
        yield Layer(f"{stem}_linear1", width, 7 * width)
        yield Layer(f"{stem}_linear2", 5 * width, width)
        yield Layer(f"{stem}_modulation_lin", width, 3 * width)
