"""The places of layers: prefixes in any combination, text encoders, names that are too long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.layer_names import MAX_LAYER_NAME, Place, locate

#: Beginnings of names and what follows them, whole and cut, so that they meet in all ways.
PIECES = (
    *("lora_unet_", "lora_te1_", "lora_te_", "lora.unet.", "lycoris_", "unet_", "unet.", "unet:"),
    *("unet", "base_model.model.", "diffusion_model.", "transformer.", "transformer"),
    *("text_model.", "text_model_", "text_encoder.", "text_encoder:", "clip_l.", "down_blocks."),
    *("down_blocks_", "up_blocks_", "conv", "_op", "0", "_", ".", ":", "\n", "\U0010ffff"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_a_path_is_in_normal_form(layer: str) -> None:
    path = locate(layer).path
    assert "." not in path
    assert "__" not in path
    assert path == path.strip("_")
    spelled = re.sub("__+", "_", layer.replace(".", "_"))
    # Behind `text_model.` a wrapper may be cut out.
    assert path in spelled or path in spelled.replace("text_model_transformer_", "text_model_")


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        ("lora_unet_down_blocks_0_proj_in", Place(None, "down_blocks_0_proj_in")),
        ("unet.down_blocks.0.proj_in", Place(None, "down_blocks_0_proj_in")),
        ("base_model.model.unet.down_blocks.0", Place(None, "down_blocks_0")),
        ("lora_unet_unet_up_blocks_0", Place(None, "up_blocks_0")),
        ("lycoris.unet.mid_block.1", Place(None, "mid_block_1")),
        ("diffusion_model.double_blocks.0", Place(None, "double_blocks_0")),
        ("unet:0", Place(None, "unet:0")),
        ("lora_te_text_model_a", Place(0, "text_model_a")),
        ("lora_te2_text_model_a", Place(2, "text_model_a")),
        ("text_model.encoder.a", Place(0, "text_model_encoder_a")),
        ("base_model.model.text_model.b", Place(0, "text_model_b")),
        ("unet.text_model.c", Place(0, "text_model_c")),
        ("text_encoder:0", Place(0, "0")),
        ("text_encoders.clip_g.transformer.text_model.a", Place(2, "text_model_a")),
        # wrappers and prefixes of trainers
        ("lora_unet__orig_mod_blocks_0_ffn_0", Place(None, "blocks_0_ffn_0")),
        ("_orig_mod.transformer.layers.0.a", Place(None, "layers_0_a")),
        ("diffusion_model.blocks.3._orig_mod.attn.wq", Place(None, "blocks_3_attn_wq")),
        ("text_encoder._orig_mod.text_model.a", Place(0, "text_model_a")),
        ("pipe.dit.blocks.0.ffn.0", Place(None, "blocks_0_ffn_0")),
        ("pipe.dit2.blocks.0.ffn.0", Place(None, "blocks_0_ffn_0")),
        ("oft_unet_double_blocks_0_a", Place(None, "double_blocks_0_a")),
        ("conditional_transformer.layers.0.a", Place(None, "layers_0_a")),
        # underscores too many
        ("lora_unet_blocks_0_attn_to_q_", Place(None, "blocks_0_attn_to_q")),
        ("lora_unet__blocks__0_attn_to_q", Place(None, "blocks_0_attn_to_q")),
        ("lora_unet_blocks_0_attn_to_out_0_", Place(None, "blocks_0_attn_to_out")),
        # one place for the output of attention
        ("unet.mid_block.attn1.processor.to_out", Place(None, "mid_block_attn1_to_out")),
        ("unet.mid_block.attn1.to_out.0", Place(None, "mid_block_attn1_to_out")),
        # text encoders that are no CLIP
        ("t5.encoder.block.0", Place(3, "encoder_block_0")),
        ("llama.model.layers.0", Place(4, "model_layers_0")),
        ("gemma3_12b.model.layers.0", Place(0, "model_layers_0")),
        ("text_encoders.qwen3_4b.model.layers.0", Place(0, "qwen3_4b_model_layers_0")),
        ("text_encoders.unheard_of.layers.0", Place(0, "unheard_of_layers_0")),
        ("lora_qwen3_model_layers_0", Place(0, "model_layers_0")),
        ("lora_clip_g_text_model_a", Place(2, "text_model_a")),
        ("lora_t5xxl_encoder_block_0", Place(0, "encoder_block_0")),
        ("mistral.model.layers.0", Place(0, "model_layers_0")),
        ("umt5.block.0", Place(0, "block_0")),
        ("model.layers.0.self_attn", Place(None, "model_layers_0_self_attn")),
        ("lora_unet_" + "x" * MAX_LAYER_NAME, Place(None, "")),
        ("", Place(None, "")),
    ],
)
def test_places(layer: str, place: Place) -> None:
    assert locate(layer) == place
