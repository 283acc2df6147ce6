"""Diffusion transformers: whole models and parts of them, in every spelling."""

import re

import pytest

from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists
from tests.decode.tensors.base_models import WHOLE, Module, flux1_diffusers
from tests.decode.tensors.tensor_lists import Shapes, architecture_of, layer

#: Parts of a model, by the paths of its layers.
PARTS = {
    "whole": r"",
    "attention": r"attn|attention",
    "q, k and v": r"qkv|(?:to_|w|attn\.|^)(?:query|key|value|[qkv](?:_proj)?)$|_[qkv]_proj$",
    "feed-forward": r"ff|mlp|feed_forward",
}

#: Parts that several models have, so that they are not told.
SHARED = {
    # Bria, FIBO and LongCat-Image, as their classes in diffusers are by default
    *(("flux1 in diffusers", part) for part in ("attention", "q, k and v", "feed-forward")),
    # Motif-Video
    *(("hunyuan-video in diffusers", part) for part in ("attention", "q, k and v", "feed-forward")),
    ("ltx", "feed-forward"),
}

#: The larger Cosmos differs in inputs only, which OFT does not show.
TOLD_BY_INPUTS = {"ltx"}

#: Chroma's blocks are those of Flux.1.
AS_FLUX = {("chroma", part) for part in PARTS if part != "whole"}

SPELLINGS: list[tuple[str, lists.Algorithm]] = [
    ("transformer.", lists.peft),
    ("diffusion_model.", lists.loha),
    ("base_model.model.transformer.", lists.peft_named),
    ("lora_unet_", lists.lora),
    ("lora_transformer_", lists.dora),
    ("lycoris_", lists.lokr),
    ("pipe.dit.", lists.tlora),
    ("oft_unet_", lists.oft),
    ("", lists.full),
]


def part_of(modules: list[Module], part: str) -> list[Module]:
    """The layers of a part. The text of a language model has its own layers' names."""
    return [
        module
        for module in modules
        if re.search(PARTS[part], module.path.rpartition(".layers.")[2])
    ]


@pytest.mark.parametrize("name", WHOLE)
def test_parts_of_models(name: str) -> None:
    word, modules = WHOLE[name]
    for number, part in enumerate(PARTS):
        chosen = part_of(modules, part)
        expected = None if (name, part) in SHARED else word
        expected = "flux1" if (name, part) in AS_FLUX else expected
        for prefix, algorithm in SPELLINGS[number::4] if chosen else ():
            if name in TOLD_BY_INPUTS and algorithm is lists.oft:
                continue
            told = architecture_of(lists.spelled(prefix, chosen, algorithm))
            assert (part, prefix, told) == (part, prefix, expected)


@pytest.mark.parametrize(("prefix", "algorithm"), SPELLINGS)
def test_every_spelling(prefix: str, algorithm: lists.Algorithm) -> None:
    for name in ("flux1", "flux2 klein", "sd3.5 large in diffusers", "wan 14B", "lumina2", "krea2"):
        shapes = lists.spelled(prefix, WHOLE[name][1], algorithm)
        assert (name, architecture_of(shapes)) == (name, WHOLE[name][0])


@pytest.mark.parametrize("name", WHOLE)
def test_single_blocks_are_never_told_as_another_model(name: str) -> None:
    word, modules = WHOLE[name]
    may_be = {word, "flux1"} if word == "chroma" else {word}
    for number in ("0", "7", "19"):
        chosen = [module for module in modules if f".{number}." in module.path]
        assert architecture_of(lists.spelled("lora_unet_", chosen)) in may_be | {None}


@pytest.mark.parametrize("name", [name for name, (word, _) in WHOLE.items() if word])
def test_an_unknown_layer_in_a_block_is_another_model(name: str) -> None:
    path = WHOLE[name][1][0].path.rpartition(".")[0]
    shapes = lists.spelled("diffusion_model.", WHOLE[name][1], lists.peft)
    assert architecture_of(shapes | layer(f"diffusion_model.{path}.unheard_of", 64)) is None
    assert architecture_of(shapes | layer("diffusion_model.unheard_of.blocks.0.a", 64)) is None


def test_a_width_of_another_model_is_none() -> None:
    shapes = lists.spelled("", WHOLE["qwen-image"][1], lists.peft)
    assert architecture_of(shapes) == "qwen-image"
    assert architecture_of(shapes | layer("transformer_blocks.3.attn.to_q", 3584)) is None


def test_one_block_too_many_is_none() -> None:
    shapes = lists.spelled("", WHOLE["flux1"][1], lists.peft)
    assert architecture_of(shapes | layer("double_blocks.18.img_attn.proj", 3072)) == "flux1"
    assert architecture_of(shapes | layer("double_blocks.19.img_attn.proj", 3072)) is None


def test_biases_and_norms_say_nothing() -> None:
    shapes = lists.spelled("diffusion_model.", WHOLE["z-image"][1], lists.lora)
    norms: Shapes = {
        "diffusion_model.layers.0.attention.q_norm.diff": (128,),
        "diffusion_model.layers.0.ffn_norm1.w_norm": (3840,),
        "diffusion_model.layers.0.attention.out.diff_b": (3840,),
    }
    assert architecture_of(shapes | norms) == "z-image"


def test_text_encoders_of_flux_and_sd3_do_not_make_them_sdxl() -> None:
    clip_l, clip_g = base_models.clip(768, 12), base_models.clip(1280, 32)
    t5 = [Module("encoder.block.0.layer.0.SelfAttention.q", 4096, 4096)]
    encoders = lists.spelled("lora_te1_", clip_l) | lists.spelled("lora_te2_", clip_g)
    assert architecture_of(encoders | lists.spelled("lora_unet_", base_models.sd3())) == "sd3"
    encoders = lists.spelled("lora_te1_", clip_l) | lists.spelled("lora_te2_", t5)
    flux = lists.spelled("lora_transformer_", flux1_diffusers())
    assert architecture_of(encoders | flux) == "flux1"
    unknown = layer("diffusion_model.unheard_of.0.attn.qkv", 1024)
    assert architecture_of(lists.spelled("lora_te2_", clip_g) | unknown) is None


def test_clip_tells_flux_from_the_models_without_it() -> None:
    attention = lists.spelled("lora_transformer_", part_of(flux1_diffusers(), "attention"))
    assert architecture_of(attention) is None
    clip = lists.spelled("lora_te1_", base_models.clip(768, 12))
    assert architecture_of(attention | clip) == "flux1"


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (layer("double_blocks.7.img_attn.proj", 3072), None),  # HunyuanVideo has the same
        (layer("double_blocks.2.img_mod.lin", 3072, 18432), "flux1"),
        (layer("single_blocks.1.modulation.lin", 3072, 9216), "flux1"),
        (layer("single_transformer_blocks.1.proj_out", 15360, 3072), None),
        # The layers that trainers offer by name
        (layer("transformer.single_transformer_blocks.7.proj_out", 15360, 3072), "flux1"),
        (layer("single_transformer_blocks.7.proj_out", 15360, 3072)
         | layer("single_transformer_blocks.20.proj_out", 15360, 3072), "flux1"),
        (layer("single_transformer_blocks.8.proj_out", 15360, 3072), None),
        # Sums of what other code keeps apart, and parts of what it joins
        ({"double_blocks.18.processor.qkv_lora1.down.weight": (16, 3072)}, "flux1"),
        (layer("transformer.double_blocks.4.img_mod.lin", 3072, 18432)
         | layer("transformer.double_blocks.4.img_attn.qkv.1", 3072)
         | layer("transformer.single_blocks.4.linear1.3", 3072, 12288), "flux1"),
        (layer("blocks.4.attn.a_to_qkv", 3072, 9216) | layer("single_blocks.4.to_qkv_mlp", 3072, 21504),
         "flux1"),
        ({
            "oft_unet_single_blocks_37_modulation_lin.oft_blocks.0": (4, 2304, 2304),
            "oft_unet_double_blocks_0_img_attn_qkv.oft_blocks.0": (4, 768, 768),
            "oft_unet_double_blocks_0_img_attn_qkv.oft_blocks.1": (4, 768, 768),
            "oft_unet_double_blocks_0_img_attn_qkv.oft_blocks.2": (4, 768, 768),
        }, "flux1"),
        # Old names are older than the models that look like Flux.1
        ({f"{stack}.{n}.attn.to_q.lora.down.weight": (8, 3072)
          for stack, count in (("transformer_blocks", 19), ("single_transformer_blocks", 38))
          for n in range(count)}, "flux1"),
        # Layers outside of blocks
        (layer("img_in", 128, 3072) | layer("double_blocks.0.img_mod.lin", 3072, 18432), "flux1"),
        (layer("distilled_guidance_layer.in_proj", 64, 5120)
         | layer("double_blocks.9.img_attn.proj", 3072), "chroma"),
        (layer("double_stream_modulation_img.lin", 3072, 18432), "flux2"),
        (layer("txt_in", 7680, 3072) | layer("double_blocks.0.img_attn.proj", 3072), "flux2"),
        (layer("txt_in", 2048, 3072) | layer("double_blocks.0.img_attn.proj", 3072), None),
        ({"lora_unet_txtfusion_projector.lora_down.weight": (4, 12)}, "krea2"),
        (layer("final_layer.adaln_proj.linear", 2688, 10752), "minimax-h3"),
        # One layer that no other model has
        (layer("single_transformer_blocks.0.attn.to_qkv_mlp_proj", 3072, 27648), "flux2"),
        (layer("transformer.double_blocks.9.txt_mod.linear", 3072, 18432), "hunyuan-video"),
        (layer("transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288), None),  # or MageFlow
        (layer("transformer_blocks.40.attn.add_k_proj", 3072), "qwen-image"),
        (layer("transformer_blocks.3.audio_attn1.to_k", 2048), "ltx"),
        (layer("transformer_blocks.3.attn1.to_k", 2048), None),  # LTX or Cosmos
        ({"lora_unet_blocks_0_self_attn_q.dora_scale": (1536, 1)}, "wan"),
        (layer("diffusion_model.vace_blocks.0.cross_attn.k", 5120), "wan"),
        (layer("diffusion_model.blocks.0.cross_attn.k_img", 5120), "wan"),
        (layer("transformer_2.blocks.0.attn2.to_k", 5120), "wan"),  # the second model of Wan 2.2
        (layer("transformer.blocks.0.attn2.to_k", 1024, 1408), None),  # Hunyuan-DiT
        (layer("blocks.0.self_attn.q_proj", 5120), None),  # the larger Cosmos
        ({"lora_unet_llm_adapter_blocks_0_mlp_0.lora_down.weight": (4, 1024)}, "anima"),
        (layer("token_refiner.blocks.0.attn.qkv_proj", 5376, 21504), "minimax-h3"),
        (layer("text_encoder.model.layers.0.self_attn.q_proj", 2560), None),
        (layer("unheard.of.0.layer", 64), None),
        (layer("double_blocks.7.img_mod.lin", 3072, 18432) | layer("blocks.0.cross_attn.k", 5120), None),
    ],
)  # fmt: skip
def test_signs_of_transformers(shapes: Shapes, name: str | None) -> None:
    assert architecture_of(shapes) == name
