"""Modules of base models, by the names and widths that the real models have.

The stacks are only as complete as the signs of an architecture need.
"""

from typing import NamedTuple


class Module(NamedTuple):
    """One module of a base model; a kernel larger than 1 makes it a convolution."""

    path: str
    outputs: int
    inputs: int
    kernel: int = 1


def _attention(path: str, width: int, depth: int, text: int) -> list[Module]:
    found = [Module(f"{path}.proj_in", width, width), Module(f"{path}.proj_out", width, width)]
    for number in range(depth):
        block = f"{path}.transformer_blocks.{number}"
        for name, keys in (("attn1", width), ("attn2", text)):
            found += [
                Module(f"{block}.{name}.to_q", width, width),
                Module(f"{block}.{name}.to_k", width, keys),
                Module(f"{block}.{name}.to_v", width, keys),
                Module(f"{block}.{name}.to_out.0", width, width),
            ]
        found.append(Module(f"{block}.ff.net.0.proj", 8 * width, width))
        found.append(Module(f"{block}.ff.net.2", width, 4 * width))
    return found


def _small_unet(text: int) -> list[Module]:
    levels = (
        ("down_blocks.0", 320),
        ("down_blocks.1", 640),
        ("down_blocks.2", 1280),
        ("mid_block", 1280),
        ("up_blocks.1", 1280),
        ("up_blocks.3", 320),
    )
    return [
        module
        for level, width in levels
        for module in _attention(f"{level}.attentions.0", width, 1, text)
    ]


def sd1() -> list[Module]:
    return _small_unet(768)


def sd2() -> list[Module]:
    return _small_unet(1024)


def sdxl() -> list[Module]:
    levels = (("down_blocks.1", 640, 2), ("down_blocks.2", 1280, 10), ("mid_block", 1280, 10))
    return [
        module
        for level, width, depth in levels
        for module in _attention(f"{level}.attentions.0", width, depth, 2048)
    ]


def convolutions() -> list[Module]:
    return [
        Module("down_blocks.1.resnets.0.conv1", 640, 320, 3),
        Module("down_blocks.1.resnets.0.conv_shortcut", 640, 320),
        Module("down_blocks.1.downsamplers.0.conv", 640, 640, 3),
    ]


def clip(width: int, depth: int) -> list[Module]:
    return [
        module
        for number in range(depth)
        for layer in (f"text_model.encoder.layers.{number}",)
        for module in (
            *(
                Module(f"{layer}.self_attn.{side}_proj", width, width)
                for side in ("q", "k", "v", "out")
            ),
            Module(f"{layer}.mlp.fc1", 4 * width, width),
            Module(f"{layer}.mlp.fc2", width, 4 * width),
        )
    ]


def sd3(width: int = 1536, depth: int = 24) -> list[Module]:
    """In the spelling of the original code."""
    return [
        Module(f"joint_blocks.{number}.{side}.attn.qkv", 3 * width, width)
        for number in range(depth)
        for side in ("context_block", "x_block")
    ]


def joint_transformer(width: int, depth: int) -> list[Module]:
    """Blocks of joint attention in the spelling of diffusers: SD3, and the double ones of Flux."""
    return [
        module
        for number in range(depth)
        for block in (f"transformer_blocks.{number}",)
        for module in (
            *(
                Module(f"{block}.attn.{side}", width, width)
                for side in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj")
            ),
            Module(f"{block}.ff.net.0.proj", 4 * width, width),
            Module(f"{block}.ff.net.2", width, 4 * width),
        )
    ]


def single_transformer(width: int, depth: int) -> list[Module]:
    """The single blocks of Flux.1 in the spelling of diffusers."""
    return [
        module
        for number in range(depth)
        for block in (f"single_transformer_blocks.{number}",)
        for module in (
            *(Module(f"{block}.attn.{side}", width, width) for side in ("to_q", "to_k", "to_v")),
            Module(f"{block}.proj_mlp", 4 * width, width),
            Module(f"{block}.proj_out", width, 5 * width),
        )
    ]


def double_blocks(width: int, depth: int, *, ratio: int = 4, gated: bool = False) -> list[Module]:
    """The double blocks of Flux in the spelling of the original code."""
    inner = ratio * width
    return [
        module
        for number in range(depth)
        for side in ("img", "txt")
        for block in (f"double_blocks.{number}.{side}",)
        for module in (
            Module(f"{block}_attn.qkv", 3 * width, width),
            Module(f"{block}_attn.proj", width, width),
            Module(f"{block}_mlp.0", inner * (2 if gated else 1), width),
            Module(f"{block}_mlp.2", width, inner),
        )
    ]


def single_blocks(width: int, depth: int, *, ratio: int = 4, gated: bool = False) -> list[Module]:
    inner = ratio * width
    return [
        module
        for number in range(depth)
        for module in (
            Module(
                f"single_blocks.{number}.linear1", 3 * width + inner * (2 if gated else 1), width
            ),
            Module(f"single_blocks.{number}.linear2", width, width + inner),
        )
    ]


def flux1() -> list[Module]:
    """In the spelling of the original code."""
    return [*double_blocks(3072, 19), *single_blocks(3072, 38)]


def flux1_diffusers() -> list[Module]:
    return [*joint_transformer(3072, 19), *single_transformer(3072, 38)]
