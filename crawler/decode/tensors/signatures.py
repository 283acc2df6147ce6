"""Signatures of diffusion transformers: the names and widths that identify each architecture.

A transformer is a few stacks of equal blocks. Four functions look at stacks of one name each, which
several models share; the fifth looks for names that only one model has. Each function returns one
architecture, or None when its signs are missing or contradict each other.

    stack                                     function                       architectures
    double_blocks, single_blocks              of_double_and_single_blocks    flux1, flux2, chroma, ...
    transformer_blocks                        of_transformer_blocks          qwen-image, ltx, sd3
    blocks                                    of_blocks                      wan, anima, krea2, ...
    layers, context_refiner, noise_refiner    of_layers                      z-image, lumina2, ...
    names of one model                        of_unmistakable_names          hidream, kandinsky5, llm, ...

Names are the module names in each model's code. Where models share names, widths decide: the
model's width is the input of layers that read it and the output of layers that write it back.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from crawler.decode.tensors.algorithms import Layers


class Block(NamedTuple):
    """Layers of the same shapes, at the same path in several blocks of a stack.

    Attributes:
        number: Of the last block that has one, from 0.
        rest: The path inside the block; empty for a layer outside of blocks.
        layer: The shapes.
    """

    number: int
    rest: str
    layer: Layers


#: Stacks by name (`double_blocks`); a layer outside of any stack under its own path.
Blocks = dict[str, list[Block]]

#: Layers that read a block's inner width and write the model's: the second half of an MLP, and the
#: last layer of blocks that compute attention and MLP in one.
_INNER: Final = ("linear2", "mlp_2", "mlp_fc2", "net_2", "proj_out", "linear_out")


def _widths(blocks: Iterable[Block]) -> set[int]:
    """The model's width by each layer that reads it, or writes it back.

    Empty when the tensors do not show it; several when the layers are not all of one model.
    """
    found = {
        block.layer.out_width if block.rest.endswith(_INNER) else block.layer.in_width
        for block in blocks
    }
    return {width for width in found if width is not None}


def _last(stack: Iterable[Block]) -> int:
    """The number of the last block, -1 without blocks."""
    return max((block.number for block in stack), default=-1)


def _any_named(stack: Iterable[Block], starts: tuple[str, ...]) -> bool:
    return any(block.rest.startswith(starts) for block in stack)


# Double and single blocks: Flux.1, Flux.2, Chroma, HunyuanVideo.

#: Flux.1, HunyuanVideo and Flux.2 Klein 4B have this width; their numbers of blocks differ.
_FLUX_WIDTH: Final = 3072
_FLUX2_WIDTHS: Final = frozenset({4096, 6144})
_HUNYUAN_WIDTHS: Final = frozenset({3072, 2048})

#: The last double and the last single block of each model, from 0.
_FLUX1_LAST: Final = (18, 37)
_HUNYUAN_LAST: Final = (19, 39)
_KLEIN_LAST: Final = (4, 19)

#: Inputs and outputs of the layers whose width distinguishes Flux.2 Klein from Flux.1.
_FLUX2_INPUTS: Final = frozenset({("img_mlp_2", 9216), ("txt_mlp_2", 9216), ("linear2", 12288)})
_FLUX1_INPUTS: Final = frozenset({("img_mlp_2", 12288), ("txt_mlp_2", 12288), ("linear2", 15360)})
_FLUX2_OUTPUTS: Final = frozenset({("img_mlp_0", 18432), ("txt_mlp_0", 18432), ("linear1", 27648)})
_FLUX1_OUTPUTS: Final = frozenset({("img_mlp_0", 12288), ("txt_mlp_0", 12288), ("linear1", 21504)})

#: Width of the text that Klein 4B, 9B and Dev read; 4096 for Flux.1.
_FLUX2_TEXT: Final = frozenset({7680, 12288, 15360})
_TEXT_INPUTS: Final = ("txt_in", "context_embedder")

#: Flux.2 modulates all blocks together, and joins attention and MLP (diffusers' names).
_FLUX2_STACKS: Final = ("double_stream_modulation", "single_stream_modulation")
_FLUX2_NAMES: Final = (
    *("ff_linear_in", "ff_linear_out", "ff_context_linear_in", "ff_context_linear_out"),
    "attn_to_qkv_mlp_proj",
)

#: Attention that joins text and image, in a stack whose name many transformers share.
_JOINT_NAMES: Final = ("attn_add_", "attn_to_add_out", "ff_context_", "norm1_context_")

#: Layers of Flux.1 that Flux.2 does not have: modulation in each block, ungated MLPs.
_FLUX1_NAMES: Final = (
    *("img_mod_lin", "txt_mod_lin", "modulation_lin", "norm_linear", "norm1_"),
    *("ff_net_", "ff_context_net_", "proj_mlp", "proj_out"),
)
_FLUX1_SINGLE_NAMES: Final = ("attn_to_q", "attn_to_k", "attn_to_v")

#: HunyuanVideo's own spelling, which HunyuanImage shares at another width.
_HUNYUAN_NAMES: Final = (
    *("img_mod_linear", "txt_mod_linear", "modulation_linear"),
    *("img_mlp_fc", "txt_mlp_fc"),
)
_HUNYUAN_STACKS: Final = ("vision_in", "cond_type_embedding")


def of_double_and_single_blocks(blocks: Blocks) -> str | None:  # noqa: PLR0911 - one for each sign
    """flux1, flux2, chroma or hunyuan-video."""
    if any(name.startswith("distilled_guidance_layer") for name in blocks):
        return "chroma"
    if any(name.startswith(_FLUX2_STACKS) for name in blocks):
        return "flux2"
    doubles, singles = _doubles_and_singles(blocks)
    both = [*doubles, *singles]
    # AuraFlow's single blocks have this output of attention, those of Flux do not.
    if not both or any(block.rest == "attn_to_out_0" for block in singles):
        return None
    width = _widths(both)
    if _any_named(both, _HUNYUAN_NAMES) or any(name.startswith(_HUNYUAN_STACKS) for name in blocks):
        return "hunyuan-video" if len(width) == 1 and width <= _HUNYUAN_WIDTHS else None
    if len(width) == 1 and width <= _FLUX2_WIDTHS:
        return None if _any_named(both, _FLUX1_NAMES) else "flux2"
    if _is_flux2(blocks, both):
        return "flux2"
    last = (_last(doubles), _last(singles))
    if width == {_FLUX_WIDTH}:
        if _within(last, _FLUX1_LAST):
            is_flux1 = _is_flux1(both, singles) or not _within(last, _KLEIN_LAST)
            return "flux1" if is_flux1 else None
        return "hunyuan-video" if _within(last, _HUNYUAN_LAST) else None
    if not width and (last[0] == _FLUX1_LAST[0] or last[1] == _FLUX1_LAST[1]):
        return "flux1" if _any_named(both, _FLUX1_NAMES) and _within(last, _FLUX1_LAST) else None
    return None


def _doubles_and_singles(blocks: Blocks) -> tuple[list[Block], list[Block]]:
    """Double and single blocks in both spellings; of `transformer_blocks` only when they are joint."""
    doubles = list(blocks.get("double_blocks", ()))
    singles = [*blocks.get("single_blocks", ()), *blocks.get("single_transformer_blocks", ())]
    shared = blocks.get("transformer_blocks", [])
    joint = (
        _any_named(shared, _JOINT_NAMES)
        and _any_named(shared, ("ff_net_", "norm1_"))
        and not _any_named(shared, ("attn1_",))  # Mochi numbers its joint attention
    )
    if singles or joint or _any_named(shared, _FLUX2_NAMES):
        doubles += shared
    return doubles, singles


def _is_flux2(blocks: Blocks, both: list[Block]) -> bool:
    text = [block for name in _TEXT_INPUTS for block in blocks.get(name, ())]
    return (
        _any_named(both, _FLUX2_NAMES)
        or any(block.rest == "attn_to_out" for block in both)
        or any((block.rest, block.layer.in_width) in _FLUX2_INPUTS for block in both)
        or any((block.rest, block.layer.out_width) in _FLUX2_OUTPUTS for block in both)
        or any(block.layer.in_width in _FLUX2_TEXT for block in text)
    )


def _is_flux1(both: list[Block], singles: list[Block]) -> bool:
    return (
        _any_named(both, _FLUX1_NAMES)
        or _any_named(singles, _FLUX1_SINGLE_NAMES)
        or any((block.rest, block.layer.in_width) in _FLUX1_INPUTS for block in both)
        or any((block.rest, block.layer.out_width) in _FLUX1_OUTPUTS for block in both)
    )


def _within(last: tuple[int, int], bounds: tuple[int, int]) -> bool:
    return last[0] <= bounds[0] and last[1] <= bounds[1]


# Transformer blocks: Qwen-Image, LTX, SD3.

#: SD3 medium and 3.5 medium, 3.5 large.
_SD3_WIDTHS: Final = frozenset({1536, 2432})

#: LTX-Video 0.9 and LTX-2; their cross-attention reads text brought to the model's own width.
_LTX_WIDTHS: Final = frozenset({2048, 4096})
_LTX_AUDIO: Final = ("audio_attn", "audio_to_video_attn", "video_to_audio_attn", "audio_ff")

#: Qwen-Image: its names, its width, and the last of its 60 blocks.
_QWEN: Final = ("img_mlp_", "txt_mlp_", "img_mod_", "txt_mod_")
_QWEN_WIDTH: Final = 3072
_QWEN_LAST: Final = 59


def of_transformer_blocks(blocks: Blocks) -> str | None:  # noqa: PLR0911 - one for each sign
    """qwen-image, ltx or sd3.

    Flux, PixArt, CogVideoX, Mochi, Cosmos and AuraFlow use the same name of the stack.
    """
    if "joint_blocks" in blocks:
        return "sd3"
    stack = blocks.get("transformer_blocks")
    if stack is None or "single_transformer_blocks" in blocks:
        return None
    if _any_named(stack, _QWEN):
        return "qwen-image"
    text = _widths(block for block in stack if block.rest in ("attn2_to_k", "attn2_to_v"))
    if _any_named(stack, _LTX_AUDIO) or (text and text <= _LTX_WIDTHS):
        return "ltx"
    if _any_named(stack, ("attn1_",)):
        return None
    width = _widths(block for block in stack if block.rest.startswith("attn_"))
    if len(width) == 1 and width <= _SD3_WIDTHS:
        return "sd3"
    return "qwen-image" if width == {_QWEN_WIDTH} and _last(stack) == _QWEN_LAST else None


# Plain blocks: Wan, Anima, Krea 2, MiniMax.

#: Wan 1.3B, 5B and 14B: widths, and names of attention in the original code and in diffusers.
_WAN_WIDTHS: Final = frozenset({1536, 3072, 5120})
_WAN: Final = frozenset(
    {
        *(f"self_attn_{side}" for side in "qkvo"),
        *(f"cross_attn_{side}" for side in ("q", "k", "v", "o", "k_img", "v_img")),
    }
)
_WAN_DIFFUSERS: Final = ("attn1_to_", "attn2_to_", "attn2_add_")

#: Anima; the larger Cosmos Predict2, which has the same names, is 5120 wide.
_ANIMA_WIDTH: Final = 2048
_ANIMA: Final = (
    *(f"self_attn_{side}_proj" for side in ("q", "k", "v", "output")),
    *(f"cross_attn_{side}_proj" for side in ("q", "k", "v", "output")),
    "adaln_modulation_",
)

_KREA2: Final = frozenset({"attn_gate", "attn_wq", "attn_wk", "attn_wv", "attn_wo"})
_MINIMAX: Final = ("attn_qkv_proj", "adaln_proj_linear")


def of_blocks(blocks: Blocks) -> str | None:
    """wan, anima, krea2 or minimax-h3."""
    stack = blocks.get("blocks", [])
    names = {block.rest for block in stack}
    if _any_named(stack, _MINIMAX):
        return "minimax-h3"
    if names & _KREA2:
        return "krea2"
    if _any_named(stack, _ANIMA):
        own = (b for b in stack if b.rest.startswith(("self_attn_", "cross_attn_q_proj")))
        return "anima" if _widths(own) <= {_ANIMA_WIDTH} else None
    width = _widths(b for b in stack if b.rest in _WAN or b.rest.startswith(_WAN_DIFFUSERS))
    if len(width) == 1:
        return "wan" if width <= _WAN_WIDTHS else None
    # Without a width only the original names are certain: Hunyuan-DiT shares those of diffusers.
    return "wan" if not width and names & _WAN else None


# Layers: Z-Image, Lumina 2, Ideogram 4, ERNIE.

#: The stacks, the modules in them that read the model's width, and that width.
_LAYER_STACKS: Final = ("layers", "context_refiner", "noise_refiner")
_LAYER_MODULES: Final = (
    *("attention_qkv", "attention_o", "attention_to_", "attn_to_"),
    *("feed_forward_w1", "feed_forward_w3"),
)
_BY_LAYER_WIDTH: Final = {3840: "z-image", 2304: "lumina2", 4608: "ideogram4"}
_ERNIE: Final = ("mlp_linear_fc2", "self_attention_to_")


def of_layers(blocks: Blocks) -> str | None:
    """z-image, lumina2, ideogram4 or ernie. The first three, and OmniGen2, differ only by width."""
    stack = [block for name in _LAYER_STACKS for block in blocks.get(name, ())]
    if _any_named(stack, _ERNIE):
        return "ernie"
    width = _widths(block for block in stack if block.rest.startswith(_LAYER_MODULES))
    return _BY_LAYER_WIDTH.get(width.pop()) if len(width) == 1 else None


#: Beginning of a stack's name, beginnings of the paths inside -> architecture.
_UNMISTAKABLE: Final = (
    ("double_stream_blocks", ("",), "hidream"),
    ("single_stream_blocks", ("",), "hidream"),
    ("txtfusion", ("",), "krea2"),
    ("llm_adapter", ("",), "anima"),
    ("text_transformer_blocks", ("self_attention_", "feed_forward_"), "kandinsky5"),
    (
        "visual_transformer_blocks",
        ("self_attention_", "cross_attention_", "feed_forward_"),
        "kandinsky5",
    ),
    ("token_refiner_blocks", ("attn_qkv_proj",), "minimax-h3"),
    ("final_layer_adaln_proj_linear", ("",), "minimax-h3"),
    ("model_layers", ("self_attn_", "mlp_"), "llm"),
)


def of_unmistakable_names(blocks: Blocks) -> str | None:
    """hidream, krea2, anima, kandinsky5, minimax-h3 or llm, by names that no other model has."""
    named = {
        architecture
        for start, inside, architecture in _UNMISTAKABLE
        for name, stack in blocks.items()
        if name.startswith(start) and _any_named(stack, inside)
    }
    return named.pop() if len(named) == 1 else None
