import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.contradictions import disagreements
from crawler.decode.recipe import decode
from crawler.model import Header, Recipe, Weights
from tests.decode.tensors import base_models, tensor_lists
from tests.decode.test_hostile_metadata import holds

LORA = {"tensor_rank_min": 4, "tensor_rank_max": 16, "tensor_algo": "lora"}


def told(metadata: dict[str, Any], tensors: dict[str, Any]) -> list[tuple[str, str]]:
    found = disagreements(Recipe(**metadata), Weights(**tensors))
    assert {problem.code for problem in found} <= {"contradicted"}
    return [(problem.field, problem.detail) for problem in found]


@pytest.mark.parametrize(
    ("metadata", "tensors"),
    [
        ({}, {}),
        ({"network_dim": 32}, {}),
        ({}, LORA),
        ({"network_dim": 8}, LORA),
        ({"network_dim": 32, "conv_dim": 8}, LORA),
        ({"network_dim": 32}, LORA | {"tensor_algo": "lokr"}),
        ({"network_dim": 32, "network_args": {"block_dims": "4,16"}}, LORA),
        ({"network_dim": 32, "network_args": {"img_attn_dim": "4"}}, LORA),
        ({"network_dim": 32, "network_args": {"rank_pattern": {"to_k": 4}}}, LORA),
        ({"network_dim": 32, "network_args": {"split_qkv": "True"}}, LORA),
        ({"network_dim": 32, "network_args": {"preset": "mine.toml"}}, LORA),
        # `conv_dim` does nothing where the base has no convolutions, or a preset leaves them out.
        ({"conv_dim": 8}, {"trains_conv": False, "architecture": "flux1"}),
        ({"conv_dim": 8}, {"trains_conv": False}),
        ({"conv_dim": 8}, {"trains_conv": True, "architecture": "sd1"}),
        ({"conv_dim": 0}, {"trains_conv": False, "architecture": "sd1"}),
        ({"conv_dim": 8, "network_args": {"preset": "attn-mlp"}},
         {"trains_conv": False, "architecture": "sdxl"}),
        ({"conv_dim": 8, "trainer": "merge-tool"}, {"trains_conv": False, "architecture": "sd1"}),
        ({"network_algo": "locon"}, {"tensor_algo": "lora"}),
        ({"network_algo": "lora"}, {"tensor_algo": "locon"}),
        ({"network_algo": "loha", "network_args": {"preset": "own.toml"}}, {"tensor_algo": "lokr"}),
        ({"v2": False}, {"architecture": "sdxl"}),
        ({"v2": False}, {"architecture": "flux1"}),
        ({"v2": True}, {"architecture": "sd2"}),
        ({"v2": True}, {}),
        ({"base_model_version": "flux1"}, {"architecture": "chroma"}),
        ({"base_model_version": "chroma"}, {"architecture": "flux1"}),
        ({"base_model_version": "something new"}, {"architecture": "sdxl"}),
        ({"base_model_version": "flux1" * 100}, {"architecture": "sdxl"}),
        ({"base_model_version": "wander"}, {"architecture": "sdxl"}),
        # A rate of the text encoder stays in the metadata when none of its layers is trained.
        ({"text_encoder_lr": 5e-05}, {"trains_text_encoder": False}),
        ({"text_encoder_lr": 0.0}, {"trains_text_encoder": True}),
    ],
)  # fmt: skip
def test_what_can_both_be_true_is_no_contradiction(
    metadata: dict[str, Any], tensors: dict[str, Any]
) -> None:
    assert told(metadata, tensors) == []


@pytest.mark.parametrize(
    ("metadata", "tensors", "field", "detail"),
    [
        ({"network_dim": 32}, LORA, "network_dim",
         "the metadata says rank 32, the tensors have ranks 4 to 16"),
        ({"network_dim": 1024}, LORA | {"tensor_rank_max": 4}, "network_dim",
         "the metadata says rank 1,024, the tensors have rank 4"),
        ({"network_dim": 32, "conv_dim": 64}, LORA | {"tensor_algo": "loha"}, "network_dim",
         "the metadata says rank 32, the tensors have ranks 4 to 16"),
        ({"network_dim": 32, "network_args": {"conv_dim": "8", "preset": "full"}}, LORA,
         "network_dim", "the metadata says rank 32, the tensors have ranks 4 to 16"),
        ({"conv_dim": 8}, {"trains_conv": False, "architecture": "sd1"}, "conv_dim",
         "the metadata says conv_dim 8, no tensor is a convolution"),
        ({"network_algo": "loha"}, {"tensor_algo": "lora"}, "network_algo",
         "the metadata says “loha”, the tensors are lora"),
        ({"network_algo": "dora"}, {"tensor_algo": "lora"}, "network_algo",
         "the metadata says “dora”, the tensors are lora"),
        ({"v2": True}, {"architecture": "sd1"}, "v2",
         "the metadata says Stable Diffusion 2, the tensors fit sd1"),
        ({"v2": False}, {"architecture": "sd2"}, "v2",
         "the metadata says not Stable Diffusion 2, the tensors fit sd2"),
        ({"base_model_version": "sd_1.5"}, {"architecture": "flux1"}, "base_model_version",
         "the metadata says “sd_1.5”, the tensors fit flux1"),
        ({"base_model_version": "z_image"}, {"architecture": "lumina2"}, "base_model_version",
         "the metadata says “z_image”, the tensors fit lumina2"),
    ],
)  # fmt: skip
def test_contradictions(
    metadata: dict[str, Any], tensors: dict[str, Any], field: str, detail: str
) -> None:
    assert told(metadata, tensors) == [(field, detail)]


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ("sd1", "sd_v1 sd_v1_v sd_1.5 stable-diffusion-v1"),
        ("sd2", "sd_v2 sd_v2_v sd_2.1 stable-diffusion-v2-512 stable-diffusion-v2-768-v"),
        ("sdxl", "sdxl_base_v1-0 sdxl_base_v0-9 sdxl_1.0 sdxl_ stable-diffusion-xl-v1-base"),
        ("sd3", "sd3m sd_3 sd_v3 stable-diffusion-3-m stable-diffusion-3-5-large"),
        ("flux1", "flux1 flux.1 flux.1_kontext flux_kontext flux-1-dev Flux.1-dev flux-1"),
        ("flux2", "flux2 flux_2_dev flux_2_klein_4b flux2_klein_9b"),
        ("chroma", "chroma chroma_radiance Chroma1"),
        ("lumina2", "lumina2 lumina-2"),
        ("hunyuan-video", "hunyuan_video hunyuan_video_1_5 hunyuan-video"),
        ("qwen-image", "qwen_image qwen_image_edit qwen_image_layered Qwen-Image"),
        ("wan", "wan wan_2.1 wan_2.2_14b wan_2.2_5b"),
        ("z-image", "z_image zimage Z-Image"),
        ("hidream", "hidream_i1"),
        ("anima", "anima anima-preview"),
        ("krea2", "krea2 Krea-2"),
        ("ideogram4", "ideogram4"),
        ("ernie", "ernie_image ERNIE-Image ernie-image-turbo"),
        ("minimax-h3", "minimax_h3 MiniMax-H3"),
        ("kandinsky5", "kandinsky5"),
        ("ltx", "ltx2 ltxv"),
    ],
)
def test_names_of_bases_mean_their_architecture(architecture: str, names: str) -> None:
    other = "llm"
    for name in names.split():
        assert told({"base_model_version": name}, {"architecture": architecture}) == []
        assert len(told({"base_model_version": name}, {"architecture": other})) == 1


@pytest.mark.parametrize(
    "name",
    ["hunyuan-image-2.1", "framepack", "hidream_o1_image", "omnigen2", "ssd", "unknown", "lumina",
     "flux", "krea", "flux3", "animagine"],
)  # fmt: skip
def test_names_that_leave_the_tensors_open_contradict_nothing(name: str) -> None:
    assert told({"base_model_version": name}, {"architecture": "llm"}) == []


def test_decoding_tells_of_contradictions() -> None:
    tensors = tensor_lists.header(
        tensor_lists.spelled("lora_unet_", base_models.sd2(), rank=4)
    ).tensors
    metadata = {"ss_network_module": "networks.lora", "ss_network_dim": "32", "ss_v2": "False"}
    decoded = decode(Header(length=1, tensors=tensors, metadata=metadata))
    assert [(one.code, one.field) for one in decoded.problems] == [
        ("contradicted", "network_dim"),
        ("contradicted", "v2"),
    ]
    assert (decoded.recipe.network_dim, decoded.weights.tensor_rank) == (32, 4)


OF_RECIPE = st.fixed_dictionaries(
    {},
    optional={
        "network_dim": st.integers(),
        "conv_dim": st.integers(),
        "network_algo": st.text(),
        "network_args": st.dictionaries(
            st.text(max_size=12) | st.sampled_from(["preset", "apply_preset", "conv_dim"]),
            st.none() | st.integers() | st.lists(st.integers(), max_size=1) | st.just({}),
        ),
        "base_model_version": st.text(),
        "v2": st.booleans(),
    },
)
OF_WEIGHTS = st.fixed_dictionaries(
    {"tensor_algo": st.sampled_from(["lora", "lokr", None])},
    optional={
        "tensor_rank_min": st.integers(),
        "tensor_rank_max": st.integers(),
        "architecture": st.sampled_from(["sd1", "sd2", "flux1"]),
        "trains_conv": st.booleans(),
    },
)


@given(OF_RECIPE, OF_WEIGHTS)
def test_whatever_they_say_the_problem_can_be_stored(
    metadata: dict[str, Any], tensors: dict[str, Any]
) -> None:
    for problem in disagreements(Recipe(**metadata), Weights(**tensors)):
        assert all(holds(value) for value in dataclasses.astuple(problem))
