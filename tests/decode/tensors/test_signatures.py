"""Diffusion transformers: the Flux family, SD3 and all others."""

from collections.abc import Sequence

import pytest

from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists
from tests.decode.tensors.tensor_lists import Shapes, architecture_of, layer

CLIP_L, CLIP_G = base_models.clip(768, 12), base_models.clip(1280, 32)
T5 = [base_models.Module("encoder.block.0.layer.0.SelfAttention.q", 4096, 4096)]


@pytest.mark.parametrize(
    ("prefix", "algorithm"),
    [
        ("lora_unet_", lists.lora),
        ("lora_unet_", lists.dora),
        ("lora_unet_", lists.loha),
        ("lora_unet_", lists.lokr),
        ("diffusion_model.", lists.peft),
        ("model.diffusion_model.", lists.lora),
        ("base_model.model.", lists.peft),
        ("", lists.peft),
    ],
)
@pytest.mark.parametrize(
    ("modules", "name"),
    [
        (base_models.flux1(), "flux1"),
        (base_models.double_blocks(3072, 19), "flux1"),
        (base_models.single_blocks(3072, 38), "flux1"),
        (base_models.single_blocks(3072, 1), "flux1"),
        (
            base_models.double_blocks(3072, 5, ratio=3, gated=True)
            + base_models.single_blocks(3072, 20, ratio=3, gated=True),
            "flux2",
        ),
        (base_models.single_blocks(3072, 1, ratio=3, gated=True), "flux2"),
        (base_models.double_blocks(4096, 8, ratio=3, gated=True), "flux2"),
        (base_models.single_blocks(6144, 48, ratio=3, gated=True), "flux2"),
        (base_models.sd3(), "sd3"),
        (base_models.sd3(2432, 38), "sd3"),
    ],
)
def test_transformers_in_the_original_spelling(
    prefix: str, algorithm: lists.Algorithm, modules: Sequence[base_models.Module], name: str
) -> None:
    assert architecture_of(lists.spelled(prefix, modules, algorithm)) == name


@pytest.mark.parametrize(
    ("prefix", "algorithm"),
    [
        ("transformer.", lists.peft),
        ("transformer.", lists.dotted),
        ("base_model.model.transformer.", lists.peft_named),
        ("lora_transformer_", lists.lora),
        ("lora_transformer_", lists.dora),
        ("lycoris_", lists.lokr),
        ("", lists.peft),
    ],
)
@pytest.mark.parametrize(
    ("modules", "name"),
    [
        (base_models.flux1_diffusers(), "flux1"),
        (base_models.single_transformer(3072, 2), "flux1"),
        (base_models.joint_transformer(3072, 19), "flux1"),
        (base_models.joint_transformer(1536, 24), "sd3"),
        (base_models.joint_transformer(2432, 38), "sd3"),
        (
            base_models.joint_transformer(3072, 20) + base_models.single_transformer(3072, 40),
            "hunyuan-video",
        ),
        (base_models.joint_transformer(3072, 30) + base_models.single_transformer(3072, 60), None),
    ],
)
def test_transformers_in_the_spelling_of_diffusers(
    prefix: str, algorithm: lists.Algorithm, modules: Sequence[base_models.Module], name: str | None
) -> None:
    assert architecture_of(lists.spelled(prefix, modules, algorithm)) == name


def test_text_encoders_of_flux_and_sd3_do_not_make_them_sdxl() -> None:
    encoders = lists.spelled("lora_te1_", CLIP_L) | lists.spelled("lora_te2_", CLIP_G)
    assert architecture_of(encoders | lists.spelled("lora_unet_", base_models.sd3())) == "sd3"
    encoders = lists.spelled("lora_te1_", CLIP_L) | lists.spelled("lora_te2_", T5)
    flux = lists.spelled("lora_transformer_", base_models.flux1_diffusers())
    assert architecture_of(encoders | flux) == "flux1"
    unknown = layer("diffusion_model.unheard_of.0.attn.qkv", 1024)
    assert architecture_of(lists.spelled("lora_te2_", CLIP_G) | unknown) is None


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (layer("double_blocks.7.img_attn.proj", 3072), "flux1"),
        (layer("double_blocks.2.img_attn.proj", 3072), None),  # Klein 4B has five of the same
        (layer("double_blocks.2.img_mod.lin", 3072, 18432), "flux1"),
        (layer("single_blocks.1.modulation.lin", 3072, 9216), "flux1"),
        (layer("single_transformer_blocks.1.proj_out", 15360, 3072), "flux1"),
        ({"double_blocks.18.processor.qkv_lora1.down.weight": (16, 3072)}, "flux1"),
        (lists.spelled("lora_unet_", base_models.double_blocks(3072, 19), lists.oft), "flux1"),
        (
            {
                "lora_unet_single_blocks_37_linear1.oft_blocks": (4, 5376, 5376),
                "lora_unet_single_blocks_37_modulation_lin.oft_blocks": (4, 2304, 2304),
            },
            "flux1",
        ),
        (layer("distilled_guidance_layer.layers.0.in_layer", 5120), "chroma"),
        (
            layer("distilled_guidance_layer.in_proj", 64, 5120)
            | layer("double_blocks.9.img_attn.proj", 3072),
            "chroma",
        ),
        (layer("double_stream_modulation_img.lin", 3072, 18432), "flux2"),
        (layer("single_transformer_blocks.0.attn.to_qkv_mlp_proj", 3072, 27648), "flux2"),
        (layer("single_transformer_blocks.0.attn.to_out", 12288, 3072), "flux2"),
        (layer("transformer_blocks.0.ff.linear_in", 3072, 18432), "flux2"),
        (layer("txt_in", 7680, 3072) | layer("double_blocks.0.img_attn.proj", 3072), "flux2"),
        (layer("transformer.double_blocks.9.txt_mod.linear", 3072, 18432), "hunyuan-video"),
        (layer("transformer.single_blocks.9.modulation.linear", 3072, 9216), "hunyuan-video"),
        ({"lora_unet_double_blocks_0_img_mlp_fc1.lora_down.weight": (4, 3072)}, "hunyuan-video"),
        (layer("vision_in.proj.1", 1152) | layer("double_blocks.0.img_attn.proj", 2048),
         "hunyuan-video"),
        (layer("double_blocks.0.img_mod.linear", 3584, 21504), None),  # HunyuanImage
        (layer("single_transformer_blocks.30.attn.to_out.0", 3072), None),  # AuraFlow
        (layer("transformer_blocks.9.attn1.add_k_proj", 3072)
         | layer("transformer_blocks.9.ff_context.net.0.proj", 3072)
         | layer("transformer_blocks.9.ff.net.0.proj", 3072), None),  # Mochi
        (layer("double_blocks.3.img_mod.lin", 4096, 24576), None),  # Flux.2 has none in its blocks
    ],
)  # fmt: skip
def test_signs_of_the_flux_family(shapes: Shapes, name: str | None) -> None:
    assert architecture_of(shapes) == name


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (layer("transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288), "qwen-image"),
        (layer("transformer.transformer_blocks.4.txt_mod.1", 3072, 18432), "qwen-image"),
        (layer("transformer_blocks.59.attn.add_k_proj", 3072), "qwen-image"),
        (layer("transformer_blocks.40.attn.add_k_proj", 3072), None),
        (layer("transformer_blocks.3.attn.to_q", 1536), "sd3"),
        (layer("transformer_blocks.3.attn2.to_k", 1536)  # 3.5 medium has a second attention
         | layer("transformer_blocks.3.attn.to_k", 1536), "sd3"),
        (layer("transformer_blocks.3.attn.to_q", 1152), None),
        (layer("transformer_blocks.3.attn2.to_k", 2048), "ltx"),
        (layer("transformer_blocks.3.attn2.to_k", 4096), "ltx"),
        (layer("transformer_blocks.3.audio_attn1.to_k", 2048), "ltx"),
        (layer("transformer_blocks.3.attn1.to_k", 2048), None),  # or Cosmos
        (layer("transformer_blocks.3.attn2.to_k", 1024, 2048)
         | layer("transformer_blocks.3.attn1.to_k", 2048), None),  # Cosmos
        (layer("transformer_blocks.3.attn2.to_k", 1152), None),  # PixArt
        (layer("diffusion_model.blocks.0.cross_attn.k", 5120), "wan"),
        (layer("diffusion_model.blocks.0.cross_attn.k_img", 5120), "wan"),
        ({"lora_unet_blocks_0_self_attn_q.lora_down.weight": (4, 1536)}, "wan"),
        ({"lora_unet_blocks_0_self_attn_q.dora_scale": (1536, 1)}, "wan"),
        (layer("transformer.blocks.0.attn2.to_k", 3072), "wan"),
        (layer("transformer.blocks.0.attn2.to_k", 1024, 1408), None),  # Hunyuan-DiT
        (layer("blocks.0.cross_attn.k", 999), None),
        (layer("blocks.0.cross_attn.k_proj", 1024, 2048)
         | layer("blocks.0.self_attn.q_proj", 2048), "anima"),
        (layer("blocks.0.self_attn.q_proj", 5120), None),  # the larger Cosmos
        ({"lora_unet_llm_adapter_blocks_0_mlp_0.lora_down.weight": (4, 1024)}, "anima"),
        ({"lora_unet_blocks_3_attn_wq.lora_down.weight": (4, 6144)}, "krea2"),
        ({"lora_unet_txtfusion_projector.lora_down.weight": (4, 12)}, "krea2"),
        (layer("blocks.0.attn.qkv_proj", 4096), "minimax-h3"),
        (layer("token_refiner.blocks.0.attn.qkv_proj", 4096), "minimax-h3"),
        (layer("final_layer.adaln_proj.linear", 4096), "minimax-h3"),
        (layer("diffusion_model.layers.0.attention.to_q", 3840), "z-image"),
        ({"lora_unet_layers_29_feed_forward_w1.lora_down.weight": (4, 3840)}, "z-image"),
        (layer("diffusion_model.noise_refiner.0.attention.qkv", 3840), "z-image"),
        (layer("layers.0.attention.qkv", 2304), "lumina2"),
        (layer("transformer.layers.0.attn.to_q", 2304), "lumina2"),
        (layer("transformer.layers.0.attn.to_q", 2520), None),  # OmniGen2
        (layer("layers.0.attention.wq", 2304), None),  # the first Lumina
        (layer("layers.33.attention.qkv", 4608), "ideogram4"),
        (layer("layers.3.mlp.linear_fc2", 12288, 4096), "ernie"),
        (layer("layers.3.self_attention.to_q", 4096), "ernie"),
        (layer("double_stream_blocks.0.block.ff_i.shared_experts.w1", 2560), "hidream"),
        (layer("text_transformer_blocks.0.feed_forward.in_layer", 1792), "kandinsky5"),
        (layer("visual_transformer_blocks.3.self_attention.to_query", 1792), "kandinsky5"),
        (layer("visual_transformer_blocks.3.video_dec_block.attn.to_q", 1792), None),
        (layer("base_model.model.model.layers.0.self_attn.q_proj", 4096), "llm"),
        (layer("text_encoder.model.layers.0.self_attn.q_proj", 2560), None),
        (layer("unheard.of.0.layer", 64), None),
    ],
)  # fmt: skip
def test_signs_of_other_transformers(shapes: Shapes, name: str | None) -> None:
    assert architecture_of(shapes) == name


def test_names_of_two_models_are_none() -> None:
    shapes = layer("double_blocks.7.img_attn.proj", 3072) | layer("blocks.0.cross_attn.k", 5120)
    assert architecture_of(shapes) is None
