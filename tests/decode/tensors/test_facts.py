"""Counts, ranks, algorithms and dtypes."""

from collections.abc import Mapping

import pytest

from crawler.decode.tensors.facts import KnownLists, ListFacts, list_facts
from crawler.model import Header, Tensor, TensorList, Weights
from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists

SD1_ATTENTION = [module for module in base_models.sd1() if ".to_" in module.path]


def weights_of(shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    facts = list_facts(lists.header(shapes).tensors, 0)
    assert facts.problems == ()
    return facts.weights


def test_a_file_without_tensors_says_nothing() -> None:
    assert list_facts({}, 0) == ListFacts(0, Weights(tensor_count=0, parameter_count=0), ())


def test_tensors_that_are_no_adapters_are_counted_and_not_explained() -> None:
    weights = weights_of({"w_a_000": (4, 768), "encoder.proj.weight": (8, 8), "": (2,)})
    assert weights == Weights(tensor_count=3, parameter_count=3138, tensor_dtype="F16")


def test_parameters_are_numbers_of_every_tensor() -> None:
    weights = weights_of(
        {
            "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 1280, 1, 1),
            "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (1280, 4, 1, 1),
            "lora_unet_mid_block_attentions_0_proj_in.alpha": (),
            "nothing": (0, 5),
        }
    )
    assert (weights.tensor_count, weights.parameter_count) == (4, 2 * 4 * 1280 + 1)


@pytest.mark.parametrize(
    ("algorithm", "algo", "rank"),
    [
        (lists.lora, "lora", 8),
        (lists.peft, "lora", 8),
        (lists.peft_named, "lora", 8),
        (lists.dotted, "lora", 8),
        (lists.dora, "dora", 8),
        (lists.loha, "loha", 8),
        (lists.lokr, "lokr", 8),
        (lists.lokr_full, "lokr", None),
        (lists.tlora, "tlora", 8),
        (lists.ia3, "ia3", None),
        (lists.glora, "glora", 8),
        (lists.full, "full", None),
    ],
)
def test_algorithm_and_rank(algorithm: lists.Algorithm, algo: str, rank: int | None) -> None:
    weights = weights_of(lists.spelled("lora_unet_", base_models.sd1(), algorithm))
    assert (weights.tensor_algo, weights.tensor_rank) == (algo, rank)
    assert (weights.tensor_rank_min, weights.tensor_rank_max) == (rank, rank)
    assert (weights.trains_conv, weights.trains_text_encoder) == (False, False)


@pytest.mark.parametrize(
    ("algorithm", "algo"),
    [
        (lists.lora, "locon"),
        (lists.tucker, "locon"),
        (lists.peft, "locon"),
        (lists.dora, "dora"),
        (lists.loha, "loha"),
        (lists.lokr, "lokr"),
        (lists.lokr_full, "lokr"),
        (lists.oft, "oft"),
        (lists.boft, "boft"),
        (lists.ia3, "ia3"),
        (lists.glora, "glora"),
        (lists.full, "full"),
    ],
)
@pytest.mark.parametrize("prefix", ["lora_unet_", "unet.", "lycoris_"])
def test_convolutions_are_seen(prefix: str, algorithm: lists.Algorithm, algo: str) -> None:
    modules = [*base_models.sd1(), *base_models.convolutions()]
    weights = weights_of(lists.spelled(prefix, modules, algorithm))
    assert (weights.tensor_algo, weights.trains_conv) == (algo, True)


@pytest.mark.parametrize(
    ("prefix", "ends", "algo", "rank"),
    [
        # LyCORIS counts the size of a block, sd-scripts the blocks.
        ("lora_unet_", {".oft_blocks": (160, 8, 8)}, "oft", 8),
        ("lycoris_", {".oft_diag": (40, 16, 16)}, "oft", 16),
        ("lora_unet_", {".oft_blocks": (3, 160, 8, 8)}, "boft", 8),
        ("oft_unet_", {".oft_blocks": (4, 320, 320)}, "oft", 4),
        ("oft_unet_", {".oft_blocks.0": (4, 768, 768), ".oft_blocks.1": (4, 768, 768)}, "oft", 4),
    ],
)
def test_the_rank_of_oft_is_what_the_trainer_asks_for(
    prefix: str, ends: dict[str, tuple[int, ...]], algo: str, rank: int
) -> None:
    weights = weights_of({f"{prefix}mid_block_1{end}": shape for end, shape in ends.items()})
    assert (weights.tensor_algo, weights.tensor_rank) == (algo, rank)


@pytest.mark.parametrize("kernel", [(1, 2, 2), (2, 2), (14, 14), (1, 1)])
def test_the_kernel_of_a_patch_embedding_is_no_convolution(kernel: tuple[int, ...]) -> None:
    shapes = lists.spelled("diffusion_model.", base_models.flux1(), lists.peft) | {
        "diffusion_model.patch_embedding.lora_A.weight": (8, 16, *kernel),
        "diffusion_model.patch_embedding.lora_B.weight": (5120, 8, *(1 for _ in kernel)),
        "diffusion_model.patch_embedding.diff": (5120, 16, *kernel),
    }
    weights = weights_of(shapes)
    assert (weights.tensor_algo, weights.trains_conv) == ("lora", False)


def test_a_kernel_of_one_is_no_convolution() -> None:
    shortcut = [module for module in base_models.convolutions() if module.kernel == 1]
    weights = weights_of(lists.spelled("lora_unet_", shortcut))
    assert (weights.tensor_algo, weights.trains_conv) == ("lora", False)


@pytest.mark.parametrize(
    "names",
    [
        ["lora_unet_input_blocks_1_0_in_layers_2", "lora_unet_output_blocks_2_2_conv"],
        ["lora_unet_input_blocks_3_0_op"],
        ["lora_unet_conv_in"],
        ["unet.mid_block.resnets.1.conv2"],
    ],
)
def test_flattened_kernels_are_told_by_the_name(names: list[str]) -> None:
    weights = weights_of({f"{name}.hada_w1_b": (4, 2880) for name in names})
    assert weights.trains_conv is True


def test_a_flat_lora_is_none_of_a_convolution_whatever_it_is_called() -> None:
    layer = "lora_unet_down_blocks_0_resnets_0_conv1"
    weights = weights_of(
        {f"{layer}.lora_down.weight": (4, 320), f"{layer}.lora_up.weight": (320, 4)}
    )
    assert (weights.tensor_algo, weights.trains_conv) == ("lora", False)


def test_a_norm_or_a_bias_alone_is_trained_in_full() -> None:
    weights = weights_of({"lora_unet_mid_block_attentions_0_norm.w_norm": (1280,)})
    assert (weights.tensor_algo, weights.tensor_rank) == ("full", None)


def test_most_layers_decide_the_algorithm() -> None:
    shapes = lists.spelled("lora_unet_", SD1_ATTENTION[:5], lists.loha) | lists.spelled(
        "lora_unet_", SD1_ATTENTION[5:8], lists.full
    )
    assert weights_of(shapes).tensor_algo == "loha"


def test_of_equally_many_layers_the_order_decides() -> None:
    shapes = lists.spelled("lora_unet_", SD1_ATTENTION[:3], lists.lokr) | lists.spelled(
        "lora_unet_", SD1_ATTENTION[3:6], lists.loha
    )
    assert weights_of(shapes).tensor_algo == "loha"


def test_one_magnitude_makes_a_dora() -> None:
    shapes = lists.spelled("lora_unet_", SD1_ATTENTION[1:], lists.loha) | lists.spelled(
        "lora_unet_", SD1_ATTENTION[:1], lists.dora
    )
    assert weights_of(shapes).tensor_algo == "dora"


@pytest.mark.parametrize(
    "magnitude",
    [
        ".dora_scale",
        ".lora_magnitude_vector",
        ".lora_magnitude_vector.default.weight",
        ".magnitude",
    ],
)
def test_every_spelling_of_a_magnitude(magnitude: str) -> None:
    layer = "transformer.single_transformer_blocks.3.proj_out"
    shapes = {f"{layer}.lora_A.weight": (4, 15360), f"{layer}{magnitude}": (3072,)}
    assert weights_of(shapes).tensor_algo == "dora"


def test_ranks_may_differ_by_layer() -> None:
    shapes = (
        lists.spelled("lora_unet_", SD1_ATTENTION[:4], rank=16)
        | lists.spelled("lora_unet_", SD1_ATTENTION[4:6], rank=4)
        | lists.spelled("lora_unet_", SD1_ATTENTION[6:9], rank=64)
    )
    weights = weights_of(shapes)
    assert (weights.tensor_rank, weights.tensor_rank_min, weights.tensor_rank_max) == (16, 4, 64)


def test_of_equally_common_ranks_the_larger_one() -> None:
    shapes = lists.spelled("lora_unet_", SD1_ATTENTION[:2], rank=4) | lists.spelled(
        "lora_unet_", SD1_ATTENTION[2:4], rank=32
    )
    assert weights_of(shapes).tensor_rank == 32


def test_a_rank_of_zero_is_none() -> None:
    weights = weights_of({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (0, 1280)})
    assert (weights.tensor_algo, weights.tensor_rank) == ("lora", None)


def test_both_halves_of_lokr_split() -> None:
    weights = weights_of(
        {
            "lycoris_mid_block_attentions_0_proj_in.lokr_w1_a": (32, 6),
            "lycoris_mid_block_attentions_0_proj_in.lokr_w1_b": (6, 32),
            "lycoris_mid_block_attentions_0_proj_in.lokr_w2_a": (40, 6),
            "lycoris_mid_block_attentions_0_proj_in.lokr_w2_b": (6, 40),
        }
    )
    assert (weights.tensor_algo, weights.tensor_rank) == ("lokr", 6)


@pytest.mark.parametrize(
    ("layer", "trained"),
    [
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", True),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1", True),
        ("lora_te3_encoder_block_0_layer_0_SelfAttention_q", True),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", True),
        ("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj", True),
        ("base_model.model.text_model.encoder.layers.0.self_attn.q_proj", True),
        ("base_model.model.text_encoder.layers.0.self_attn.q_proj", True),
        ("lora_unet_mid_block_attentions_0_proj_in", False),
        ("transformer.transformer_blocks.0.attn.to_q", False),
        ("base_model.model.model.layers.0.self_attn.q_proj", False),
    ],
)
def test_text_encoders(layer: str, *, trained: bool) -> None:
    assert weights_of({f"{layer}.lora_down.weight": (4, 768)}).trains_text_encoder is trained


def test_the_dtype_that_holds_most_numbers() -> None:
    tensors = {
        "lora_unet_conv_in.lora_down.weight": Tensor("BF16", (4, 320), (0, 2560)),
        "lora_unet_conv_in.lora_up.weight": Tensor("BF16", (320, 4), (2560, 5120)),
        "lora_unet_conv_in.dora_scale": Tensor("F32", (320,), (5120, 6400)),
    }
    assert list_facts(tensors, 0).weights.tensor_dtype == "BF16"


def test_of_equally_full_dtypes_the_first_by_name() -> None:
    tensors = {"b": Tensor("F32", (3,), (0, 12)), "a": Tensor("BF16", (3,), (12, 18))}
    assert list_facts(tensors, 0).weights.tensor_dtype == "BF16"


@pytest.mark.parametrize("shape", [(2**62, 4), (2**63,), (2,) * 64, (2**64 - 1,) * 100_000])
def test_more_parameters_than_64_bits(shape: tuple[int, ...]) -> None:
    facts = list_facts({"x": Tensor("F16", shape, (0, 0))}, 0)
    assert facts.weights.parameter_count is None
    assert [(problem.code, problem.field) for problem in facts.problems] == [
        ("out_of_range", "parameter_count")
    ]


def test_a_rank_beyond_64_bits() -> None:
    tensors = {"unet.conv_in.lora_A.weight": Tensor("F16", (2**63, 0), (0, 0))}
    facts = list_facts(tensors, 0)
    assert (facts.weights.tensor_rank, facts.weights.tensor_rank_max) == (None, None)
    assert {problem.field for problem in facts.problems} == {
        "tensor_rank",
        "tensor_rank_min",
        "tensor_rank_max",
    }


def _header(number: int, rank: int) -> Header:
    tensors = {"a.lora_A.weight": Tensor("F16", (rank, 4), (0, 8 * rank))}
    return Header(1, tensors, None, 8 * rank, TensorList(9, 1, bytes([number])))


def test_the_facts_of_a_list_are_kept_until_there_are_too_many() -> None:
    lists = KnownLists(most=2)
    first = lists.facts(_header(1, 4))
    # What the tensors show is not looked at again, so the digest alone counts.
    assert lists.facts(_header(1, 16)) is first
    lists.facts(_header(2, 8))
    lists.facts(_header(1, 4))
    lists.facts(_header(3, 8))
    assert [lists.body_bytes(bytes([number])) for number in (1, 2, 3)] == [32, None, 64]


def test_a_header_that_is_not_written_as_usual_is_not_kept() -> None:
    lists = KnownLists()
    header = Header(1, {"a.lora_A.weight": Tensor("F16", (4, 4), (0, 32))}, None, 32)
    assert lists.facts(header) is not lists.facts(header)
