"""UNets and their text encoders: sd1, sd2, sdxl."""

from collections.abc import Sequence

import pytest

from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists
from tests.decode.tensors.tensor_lists import Shapes, architecture_of, layer

UNETS = {"sd1": base_models.sd1(), "sd2": base_models.sd2(), "sdxl": base_models.sdxl()}
ATTENTION = {
    name: [module for module in modules if ".attn" in module.path]
    for name, modules in UNETS.items()
}
CLIP_L, CLIP_H, CLIP_G = (
    base_models.clip(768, 12),
    base_models.clip(1024, 23),
    base_models.clip(1280, 32),
)
T5 = [base_models.Module("encoder.block.0.layer.0.SelfAttention.q", 4096, 4096)]


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize(
    ("prefix", "algorithm"),
    [
        ("lora_unet_", lists.lora),
        ("lora_unet_", lists.dora),
        ("lora_unet_", lists.loha),
        ("lora_unet_", lists.lokr),
        ("lora_unet_", lists.lokr_full),
        ("lora_unet_", lists.glora),
        ("lora_unet_", lists.full),
        ("lycoris_", lists.lokr),
        ("lora_unet_unet_", lists.lora),
        ("unet.", lists.peft),
        ("unet.", lists.dotted),
        ("unet.", lists.lora),
        ("base_model.model.", lists.peft_named),
        ("base_model.model.unet.", lists.peft),
        ("", lists.peft),
    ],
)
def test_unets_in_every_spelling(name: str, prefix: str, algorithm: lists.Algorithm) -> None:
    assert architecture_of(lists.spelled(prefix, UNETS[name], algorithm)) == name


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("prefix", ["unet.", ""])
def test_unets_behind_processors(name: str, prefix: str) -> None:
    assert architecture_of(lists.processors(prefix, ATTENTION[name])) == name


@pytest.mark.parametrize("name", UNETS)
def test_unets_by_counted_layers(name: str) -> None:
    shapes = lists.counted("unet", ATTENTION[name]) | lists.counted("text_encoder", CLIP_L)
    assert architecture_of(shapes) == name


def test_counted_layers_may_be_convolutions() -> None:
    shapes = lists.counted("unet", [*ATTENTION["sd2"], *base_models.convolutions()])
    assert architecture_of(shapes) == "sd2"


@pytest.mark.parametrize("name", UNETS)
def test_underscores_in_the_place_of_every_dot(name: str) -> None:
    shapes = {
        key.replace(".lora_", "_lora_"): shape
        for key, shape in lists.spelled("lora_unet_", UNETS[name], lists.lora).items()
    }
    assert architecture_of(shapes) == name


@pytest.mark.parametrize(
    ("path", "width", "name"),
    [
        ("input_blocks_1_1_transformer_blocks_0_attn2_to_k", 768, "sd1"),
        ("output_blocks_3_1_transformer_blocks_0_attn2_to_v", 1024, "sd2"),
        ("middle_block_1_transformer_blocks_0_attn2_to_k", 2048, "sdxl"),
        ("input_blocks_7_1_transformer_blocks_9_attn1_to_q", 1280, "sdxl"),
        ("output_blocks_0_1_transformer_blocks_2_ff_net_2", 5120, "sdxl"),
        ("middle_block_1_transformer_blocks_1_attn1_to_q", 1280, "sdxl"),
        ("middle_block_1_transformer_blocks_0_attn1_to_q", 1280, None),
        ("input_blocks_4_1_transformer_blocks_0_attn2_to_q", 640, None),
    ],
)
def test_unets_in_the_original_spelling(path: str, width: int, name: str | None) -> None:
    assert architecture_of({f"lora_unet_{path}.lora_down.weight": (4, width)}) == name


@pytest.mark.parametrize("algorithm", [lists.oft, lists.boft, lists.ia3])
def test_sdxl_without_widths_by_its_depth(algorithm: lists.Algorithm) -> None:
    assert architecture_of(lists.spelled("lora_unet_", UNETS["sdxl"], algorithm)) == "sdxl"


@pytest.mark.parametrize(
    ("encoder", "name"), [(CLIP_L, "sd1"), (CLIP_H, "sd2"), (CLIP_G, None), ([], None)]
)
def test_sd1_and_sd2_without_widths_by_their_clip(
    encoder: Sequence[base_models.Module], name: str | None
) -> None:
    shapes = lists.spelled("lora_unet_", UNETS["sd1"], lists.oft)
    assert architecture_of(shapes | lists.spelled("lora_te_", encoder, lists.oft)) == name


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (lists.spelled("lora_te_", CLIP_L), None),
        (lists.spelled("lora_te1_", CLIP_L), None),
        (lists.spelled("base_model.model.", CLIP_L, lists.peft), None),
        (lists.spelled("lora_te2_", T5), None),
        # SDXL, SD3 and HiDream have the same two.
        (lists.spelled("lora_te1_", CLIP_L) | lists.spelled("lora_te2_", CLIP_G), None),
        (lists.spelled("text_encoder_2.", CLIP_G, lists.peft), None),
        (lists.spelled("lora_te_", CLIP_H), "sd2"),
    ],
)
def test_text_encoders_alone(shapes: Shapes, name: str | None) -> None:
    assert architecture_of(shapes) == name


def test_a_second_clip_tells_sdxl_from_a_unet_of_convolutions() -> None:
    shapes = lists.spelled("lora_unet_", base_models.convolutions())
    assert architecture_of(shapes) is None
    assert architecture_of(shapes | lists.spelled("lora_te2_", CLIP_G)) == "sdxl"


def test_self_attention_is_told_by_the_depth_of_its_stage() -> None:
    modules = [
        module
        for module in UNETS["sdxl"]
        if module.path.startswith("down_blocks.1") and ".attn1." in module.path
    ]
    assert architecture_of(lists.spelled("lora_unet_", modules)) == "sdxl"
    first = [module for module in modules if ".transformer_blocks.0." in module.path]
    assert architecture_of(lists.spelled("lora_unet_", first)) is None


@pytest.mark.parametrize(
    "shapes",
    [
        # the refiner of SDXL
        layer("unet.down_blocks.1.attentions.0.transformer_blocks.3.attn2.to_k", 1280, 768),
        # video UNets, with the text width of SD2
        layer("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 1024, 320)
        | layer("unet.down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1.to_k", 320),
        # two text widths
        lists.spelled("lora_unet_", UNETS["sd1"]) | lists.spelled("lora_unet_", UNETS["sdxl"]),
        # deep, and reading the text of SD1
        layer("unet.mid_block.attentions.0.transformer_blocks.9.attn2.to_k", 768, 1280),
        # a UNet and a transformer in one file
        lists.spelled("lora_unet_", UNETS["sd1"])
        | lists.spelled("lora_unet_", base_models.flux1()),
    ],
)
def test_contradictions_and_other_unets_are_none(shapes: Shapes) -> None:
    assert architecture_of(shapes) is None
