"""The Flux family: flux1, flux2, chroma and hunyuan-video, models of double and single blocks.

They share most names, so that widths and the number of blocks decide:

| model | width | double, single blocks | inner width of an MLP |
|---|---|---|---|
| Flux.1, Chroma | 3072 | 19, 38 | 12288 |
| Flux.2 Klein 4B | 3072 | 5, 20 | 9216, behind a gate |
| Flux.2 Klein 9B, Dev | 4096, 6144 | 8, 24 and 8, 48 | three times the width |
| HunyuanVideo, 1.5 | 3072, 2048 | 20, 40 and 54, 0 | 12288, 8192 |

Chroma is Flux.1 without guidance, vector and modulation; layers that Flux.1 lacks are only in its
`distilled_guidance_layer`. A LoRA for Chroma that leaves that one alone holds nothing that one for
Flux.1 could not, works on both, and is read as `flux1`, as trainers and user interfaces read it.
"""

from collections.abc import Iterable
from typing import Final

from crawler.decode.tensors.signatures import Block, Blocks, widths

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
