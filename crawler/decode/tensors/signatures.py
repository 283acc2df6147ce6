"""Architectures of diffusion transformers, by their blocks.

Signs are module names of each model's code, and the width that runs through its blocks.
Widths decide wherever several models share their names.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from crawler.decode.tensors.algorithms import Layers


class Block(NamedTuple):
    """One layer of the same shapes in the blocks of a stack.

    Attributes:
        number: Of the last block that has it, from 0.
        rest: The layer's path inside the block; empty for a layer that is in none.
    """

    number: int
    rest: str
    layer: Layers


#: Stacks by their name (`double_blocks`); a layer outside of any stack under its own path.
Blocks = dict[str, list[Block]]

#: Layers that read a block's inner width and write the model's: the second half of an MLP, and the
#: last layer of blocks that compute attention and MLP in one.
_INNER: Final = (
    "linear2",
    "mlp_2",
    "mlp_fc2",
    "net_2",
    "proj_out",
    "linear_out",
)

#: SD3 medium and 3.5 medium, 3.5 large.
_SD3_WIDTHS: Final = frozenset({1536, 2432})

#: LTX-Video 0.9 and LTX-2; their cross-attention reads text brought to the model's own width.
_LTX_WIDTHS: Final = frozenset({2048, 4096})
_LTX_AUDIO: Final = ("audio_attn", "audio_to_video_attn", "video_to_audio_attn", "audio_ff")

#: Qwen-Image: its width, and the last of its 60 blocks.
_QWEN_WIDTH: Final = 3072
_QWEN_LAST: Final = 59

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
_ERNIE: Final = ("mlp_linear_fc2", "self_attention_to_")

#: Stacks of the models whose blocks are called layers, the modules in them that read the model's
#: width, and that width.
_LAYER_STACKS: Final = ("layers", "context_refiner", "noise_refiner")
_LAYER_MODULES: Final = (
    "attention_qkv",
    "attention_o",
    "attention_to_",
    "attn_to_",
    "feed_forward_w1",
    "feed_forward_w3",
)
_BY_LAYER_WIDTH: Final = {3840: "z-image", 2304: "lumina2", 4608: "ideogram4"}

#: Beginning of a stack's name, beginnings of what is inside of it -> architecture.
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


def widths(blocks: list[Block]) -> set[int]:
    """The model's width by each layer that reads it, or writes it back from within a block.

    Empty when the tensors do not say, several when the layers are not all one model's.
    """
    found = {
        block.layer.out_width if block.rest.endswith(_INNER) else block.layer.in_width
        for block in blocks
    }
    return {width for width in found if width is not None}


def of_transformer_blocks(blocks: Blocks) -> str | None:  # noqa: PLR0911 - one for each sign
    """qwen-image, ltx or sd3, which share the name `transformer_blocks` with half of Flux.

    PixArt, CogVideoX, Mochi, Cosmos and AuraFlow use it as well and are none of these.
    """
    if "joint_blocks" in blocks:
        return "sd3"
    stack = blocks.get("transformer_blocks")
    if stack is None or "single_transformer_blocks" in blocks:
        return None
    rests = {block.rest for block in stack}
    if any(rest.startswith(("img_mlp_", "txt_mlp_", "img_mod_", "txt_mod_")) for rest in rests):
        return "qwen-image"
    text = widths([block for block in stack if block.rest in ("attn2_to_k", "attn2_to_v")])
    if any(rest.startswith(_LTX_AUDIO) for rest in rests) or (text and text <= _LTX_WIDTHS):
        return "ltx"
    if any(rest.startswith("attn1_") for rest in rests):
        return None
    attention = [block for block in stack if block.rest.startswith("attn_")]
    if attention and len(width := widths(attention)) == 1:
        if width <= _SD3_WIDTHS:
            return "sd3"
        if width == {_QWEN_WIDTH} and max(block.number for block in stack) == _QWEN_LAST:
            return "qwen-image"
    return None


def of_blocks(blocks: Blocks) -> str | None:
    """wan, anima, krea2 or minimax-h3, whose stacks are plainly called `blocks`."""
    stack = blocks.get("blocks", [])
    rests = {block.rest for block in stack}
    if any(rest.startswith(_MINIMAX) for rest in rests):
        return "minimax-h3"
    if rests & _KREA2:
        return "krea2"
    if any(rest.startswith(_ANIMA) for rest in rests):
        own = [b for b in stack if b.rest.startswith(("self_attn_", "cross_attn_q_proj"))]
        return "anima" if widths(own) <= {_ANIMA_WIDTH} else None
    attention = [b for b in stack if b.rest in _WAN or b.rest.startswith(_WAN_DIFFUSERS)]
    width = widths(attention)
    if len(width) == 1:
        return "wan" if width <= _WAN_WIDTHS else None
    # Without a width only the original names tell; Hunyuan-DiT shares those of diffusers.
    return "wan" if not width and rests & _WAN else None


def of_layers(blocks: Blocks) -> str | None:
    """z-image, lumina2, ideogram4 or ernie, whose stacks are called `layers`.

    The first three differ by width alone; OmniGen2 has yet another one.
    """
    stack = [block for name in _LAYER_STACKS for block in blocks.get(name, ())]
    if any(block.rest.startswith(_ERNIE) for block in stack):
        return "ernie"
    known = [block for block in stack if block.rest.startswith(_LAYER_MODULES)]
    width = widths(known)
    return _BY_LAYER_WIDTH.get(width.pop()) if len(width) == 1 else None


def of_unmistakable_names(blocks: Blocks) -> str | None:
    """hidream, krea2, anima, kandinsky5, minimax-h3 or llm, by names that no other model has."""
    named = {
        architecture
        for start, inside, architecture in _UNMISTAKABLE
        for name, stack in blocks.items()
        if name.startswith(start) and any(block.rest.startswith(inside) for block in stack)
    }
    return named.pop() if len(named) == 1 else None


_WIDTH: Final = 3072
_FLUX2_WIDTHS: Final = frozenset({4096, 6144})
_HUNYUAN_WIDTHS: Final = frozenset({3072, 2048})

#: Last blocks of each model, counted from 0.
_FLUX1_LAST: Final = (18, 37)
_HUNYUAN_LAST: Final = (19, 39)
_KLEIN_LAST: Final = (4, 19)

#: Inputs of the layers whose width tells Flux.2 Klein from Flux.1.
_FLUX2_INPUTS: Final = frozenset({("img_mlp_2", 9216), ("txt_mlp_2", 9216), ("linear2", 12288)})
_FLUX1_INPUTS: Final = frozenset({("img_mlp_2", 12288), ("txt_mlp_2", 12288), ("linear2", 15360)})

#: Outputs of the layers whose width tells Flux.2 Klein from Flux.1.
_FLUX2_OUTPUTS: Final = frozenset({("img_mlp_0", 18432), ("txt_mlp_0", 18432), ("linear1", 27648)})
_FLUX1_OUTPUTS: Final = frozenset({("img_mlp_0", 12288), ("txt_mlp_0", 12288), ("linear1", 21504)})

#: Width of the text that the model reads, 4096 for Flux.1: Klein 4B, 9B, Dev.
_FLUX2_TEXT: Final = frozenset({7680, 12288, 15360})
_TEXT_INPUTS: Final = ("txt_in", "context_embedder")

#: Flux.2 modulates all blocks together, and joins attention and MLP (diffusers' names).
_FLUX2_STACKS: Final = ("double_stream_modulation", "single_stream_modulation")
_FLUX2_NAMES: Final = (
    "ff_linear_in",
    "ff_linear_out",
    "ff_context_linear_in",
    "ff_context_linear_out",
    "attn_to_qkv_mlp_proj",
)

#: Output of the attention of a single block: AuraFlow has it, neither Flux does.
_FOREIGN_SINGLE: Final = "attn_to_out_0"

#: Attention that joins text and image, in a stack whose name half of all transformers share.
_JOINT_NAMES: Final = ("attn_add_", "attn_to_add_out", "ff_context_", "norm1_context_")

#: Layers of Flux.1 that Flux.2 has not: modulation in each block, ungated MLPs (both spellings).
_FLUX1_NAMES: Final = (
    "img_mod_lin",
    "txt_mod_lin",
    "modulation_lin",
    "norm_linear",
    "norm1_",
    "ff_net_",
    "ff_context_net_",
    "proj_mlp",
    "proj_out",
)
_FLUX1_SINGLE_NAMES: Final = ("attn_to_q", "attn_to_k", "attn_to_v")

#: HunyuanVideo in its own spelling, which HunyuanImage shares at another width.
_HUNYUAN_NAMES: Final = (
    "img_mod_linear",
    "txt_mod_linear",
    "modulation_linear",
    "img_mlp_fc",
    "txt_mlp_fc",
)
_HUNYUAN_STACKS: Final = ("vision_in", "cond_type_embedding")


def named(blocks: Blocks) -> str | None:  # noqa: PLR0911 - one for each sign
    """flux1, flux2, chroma, hunyuan-video, or None where the layers do not tell."""
    if any(name.startswith("distilled_guidance_layer") for name in blocks):
        return "chroma"
    if any(name.startswith(_FLUX2_STACKS) for name in blocks):
        return "flux2"
    doubles, singles = _stacks(blocks)
    both = [*doubles, *singles]
    if not both or any(block.rest == _FOREIGN_SINGLE for block in singles):
        return None
    width = widths(both)
    if _any_named(both, _HUNYUAN_NAMES) or any(name.startswith(_HUNYUAN_STACKS) for name in blocks):
        return "hunyuan-video" if len(width) == 1 and width <= _HUNYUAN_WIDTHS else None
    if len(width) == 1 and width <= _FLUX2_WIDTHS:
        return None if _any_named(both, _FLUX1_NAMES) else "flux2"
    if _is_flux2(blocks, both):
        return "flux2"
    last = (_last(doubles), _last(singles))
    if width == {_WIDTH}:
        return _of_same_width(last, is_flux1=_is_flux1(both, singles))
    if not width and (last[0] == _FLUX1_LAST[0] or last[1] == _FLUX1_LAST[1]):
        return "flux1" if _any_named(both, _FLUX1_NAMES) and _within(last, _FLUX1_LAST) else None
    return None


def _stacks(blocks: Blocks) -> tuple[list[Block], list[Block]]:
    """Double and single blocks in both spellings, when they can be this family's."""
    doubles = list(blocks.get("double_blocks", ()))
    singles = [*blocks.get("single_blocks", ()), *blocks.get("single_transformer_blocks", ())]
    shared = blocks.get("transformer_blocks", [])
    joint = _any_named(shared, _JOINT_NAMES) and _any_named(shared, ("ff_net_", "norm1_"))
    # Mochi joins text and image as well; its attention is numbered.
    if (
        singles
        or _any_named(shared, _FLUX2_NAMES)
        or (joint and not _any_named(shared, ("attn1_",)))
    ):
        doubles += shared
    return doubles, singles


def _is_flux2(blocks: Blocks, both: list[Block]) -> bool:
    return (
        _any_named(both, _FLUX2_NAMES)
        or any(block.rest == "attn_to_out" for block in both)
        or any((block.rest, block.layer.in_width) in _FLUX2_INPUTS for block in both)
        or any((block.rest, block.layer.out_width) in _FLUX2_OUTPUTS for block in both)
        or any(
            block.layer.in_width in _FLUX2_TEXT
            for name in _TEXT_INPUTS
            for block in blocks.get(name, ())
        )
    )


def _is_flux1(both: list[Block], singles: list[Block]) -> bool:
    return (
        _any_named(both, _FLUX1_NAMES)
        or _any_named(singles, _FLUX1_SINGLE_NAMES)
        or any((block.rest, block.layer.in_width) in _FLUX1_INPUTS for block in both)
        or any((block.rest, block.layer.out_width) in _FLUX1_OUTPUTS for block in both)
    )


def _of_same_width(last: tuple[int, int], *, is_flux1: bool) -> str | None:
    """Flux.1, HunyuanVideo or Klein 4B by the number of blocks."""
    if _within(last, _FLUX1_LAST):
        return "flux1" if is_flux1 or not _within(last, _KLEIN_LAST) else None
    return "hunyuan-video" if _within(last, _HUNYUAN_LAST) else None


def _within(last: tuple[int, int], bounds: tuple[int, int]) -> bool:
    return last[0] <= bounds[0] and last[1] <= bounds[1]


def _last(stack: list[Block]) -> int:
    return max((block.number for block in stack), default=-1)


def _any_named(stack: Iterable[Block], starts: tuple[str, ...]) -> bool:
    return any(block.rest.startswith(starts) for block in stack)
