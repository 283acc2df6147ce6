"""The places of layers: prefixes in any combination, text encoders, names that are too long."""

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
def test_a_path_has_no_dots_and_ends_as_the_name_does(layer: str) -> None:
    path = locate(layer).path
    assert "." not in path
    assert layer.replace(".", "_").endswith(path)


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
        ("clip_g.transformer.a", Place(2, "transformer_a")),
        ("lora_unet_" + "x" * MAX_LAYER_NAME, Place(None, "")),
        ("", Place(None, "")),
    ],
)
def test_places(layer: str, place: Place) -> None:
    assert locate(layer) == place
