"""Where layers are in their models: names taken together and one by one come to the same places."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.decode.tensors.layer_names import MAX_LAYER_NAME, Located, fronts_of, locate

#: What names begin with and go on with, whole and cut, so that they meet in all ways.
PIECES = (
    "lora_unet_",
    "lora_te1_",
    "lora_te_",
    "lora.unet.",
    "lycoris_",
    "unet_",
    "unet.",
    "unet:",
    "unet",
    "base_model.model.",
    "diffusion_model.",
    "transformer.",
    "transformer",
    "text_model.",
    "text_model_",
    "text_encoder.",
    "text_encoder:",
    "clip_l.",
    "down_blocks.",
    "down_blocks_",
    "up_blocks_",
    "conv",
    "_op",
    "0",
    "_",
    ".",
    ":",
    "\n",
    "\U0010ffff",
)
names = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


def places(located: Located) -> tuple[Counter[str], dict[int, Counter[str]]]:
    """The paths, whatever their order is."""
    encoders = {number: Counter(paths.split("\n")) for number, paths in located.encoders.items()}
    return Counter(located.denoiser.split("\n")), encoders


@given(st.lists(names, min_size=1, max_size=8), st.integers(0, 8))
@example(["unet:0", "text_encoder:0"], 1)
@example(["lora_te_text_model_a", "lora_unet_down_blocks_0", "lora_unet_unet_mid"], 2)
@example(["lora.text_model_a", "lora.unet.down_blocks_0"], 1)
@example(["text_model.a", "base_model.model.text_model.b", "unet.text_model.c"], 1)
def test_together_and_one_by_one(layers: list[str], cut: int) -> None:
    fronts = fronts_of(layers)
    for some in (layers, layers[:cut], layers[cut:]):
        together, alone = locate(some, fronts), locate(some)
        assert places(together) == places(alone)
        assert together.denoiser.count("\n") == alone.denoiser.count("\n")


@given(st.lists(names, min_size=1, max_size=8))
def test_a_unet_is_one(layers: list[str]) -> None:
    starts = ("down_blocks_", "up_blocks_", "unet:")
    located = locate(layers, fronts_of(layers))
    if located.unet:
        assert all(path.startswith(starts) for path in located.denoiser.split("\n")[:-1])


@pytest.mark.parametrize(
    ("layers", "heads", "unet"),
    [
        (["lora_unet_down_blocks_0", "lora_unet_up_blocks_1"], ["lora_unet_"], True),
        (["unet.down_blocks.0", "unet.mid_block.1"], ["unet."], True),
        (["lora_unet_unet_up_blocks_0"], ["lora_unet_unet_"], True),
        (["lora_te_a", "lora_unet_double_blocks_0"], ["lora_te_", "lora_unet_"], False),
        (["text_encoder:0", "unet:0"], ["text_encoder:", ""], True),
        (["unet_down_blocks_0", "unet_unet_up_blocks_0"], [], False),
        (["lora_unet_" + "x" * MAX_LAYER_NAME], [], False),
        (["lora_unet_down\nblocks"], [], False),
    ],
)
def test_fronts(layers: list[str], heads: list[str], *, unet: bool) -> None:
    fronts = fronts_of(layers)
    assert [front.head for front in fronts] == heads
    assert locate(layers, fronts).unet is unet


def test_paths_keep_the_name_of_a_model_that_is_in_them() -> None:
    layers = ["text_model.encoder.a", "text_model.encoder.b"]
    paths = {0: "text_model_encoder_a\ntext_model_encoder_b\n"}
    assert locate(layers, fronts_of(layers)).encoders == paths


def test_what_is_no_path_is_an_empty_one() -> None:
    assert locate(["a\nb", "x" * (MAX_LAYER_NAME + 1), "unet.c"]).denoiser == "\n\nc\n"
