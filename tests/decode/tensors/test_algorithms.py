"""Layers by their tensors: widths, ranks in rarer spellings, hostile names."""

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.algorithms import Layers, layers_of
from crawler.decode.tensors.facts import list_facts
from crawler.model import Tensor, Weights
from tests.decode.tensors import tensor_lists as lists

LARGEST = 2**63 - 1


def layers_by(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Layers, ...]:
    return layers_of(lists.header(shapes).tensors)


@pytest.mark.parametrize(
    ("shapes", "inputs", "outputs"),
    [
        (
            {".hada_t1": (4, 4, 3, 3), ".hada_w1_a": (4, 640), ".hada_w1_b": (4, 320)},
            320,
            640,
        ),
        (
            {
                ".lokr_w1": (4, 5),
                ".lokr_t2": (6, 6, 3, 3),
                ".lokr_w2_a": (6, 160),
                ".lokr_w2_b": (6, 64),
            },
            320,
            640,
        ),
        ({".lokr_w1": (4, 5), ".lokr_w2": (160, 64, 3, 3)}, 320, 640),
        ({".a1.weight": (4, 320), ".b1.weight": (4, 640)}, 320, 640),
        ({".oft_blocks": (8, 80, 80)}, None, 640),
        ({".oft_diag": (8, 80, 80)}, None, 640),
        ({".oft_blocks": (3, 8, 80, 80)}, None, 640),
        ({".lora_up.weight": (640, 4)}, None, 640),
        ({".alpha": ()}, None, None),
    ],
)
def test_widths_of_a_layer(
    shapes: Mapping[str, tuple[int, ...]], inputs: int | None, outputs: int | None
) -> None:
    named = {f"lora_unet_mid_block_resnets_0_conv1{end}": shape for end, shape in shapes.items()}
    (layer,) = layers_by(named)
    assert (layer.in_width, layer.out_width) == (inputs, outputs)


@pytest.mark.parametrize(
    ("ends", "algo", "rank"),
    [
        ({".oft_R.weight": (16, 120)}, "oft", 16),
        ({".oft_r": (4, 80, 80)}, "oft", 4),
        ({".boft_R": (2, 8, 80, 80)}, "boft", 8),
        ({".ia3_l": (640, 1)}, "ia3", None),
    ],
)
def test_spellings_of_peft(
    ends: Mapping[str, tuple[int, ...]], algo: str, rank: int | None
) -> None:
    layer = "base_model.model.transformer_blocks.0.attn.to_k"
    named = {f"{layer}{end}": shape for end, shape in ends.items()}
    (found,) = layers_by(named)
    assert (found.algo, found.rank) == (algo, rank)


def test_hostile_names_take_linear_time() -> None:
    long = 1_000_000
    names = [
        "a_" * (long // 2),
        "1" * long + ".lora_down.weight",
        "a." * (long // 2) + "weight",
        "lora_unet_" * (long // 10),
        "_transformer_blocks_" * (long // 20) + ".lora_A.weight",
        *("a" * 400 + f"_{number}_" + "_0" * 40 + ".lora_A.weight" for number in range(2_000)),
    ]
    tensors = {name: Tensor("F16", (1, 1), (0, 2)) for name in names}
    started = time.process_time()
    weights = list_facts(tensors, 0).weights
    assert time.process_time() - started < 1
    assert weights.tensor_count == len(names)
    assert weights.architecture is None


_PIECES = st.sampled_from(
    [
        "lora_unet_", "lora_te2_", "text_encoder.", "base_model.model.", "unet:", "transformer.",
        "down_blocks_0_attentions_0_transformer_blocks_", "double_blocks.", "single_blocks_",
        "transformer_blocks.", "layers.", "blocks.", "attn2_to_k", "attn.add_k_proj", "img_mlp.0",
        "0", "18", "99999", "_", ".", ":", "lora_down", "lora_A", "default", "weight", "alpha",
        "down", "hada_w1_a", "hada_w1_b", "lokr_w1", "lokr_w2", "lokr_w1_a", "lokr_w2_b",
        "lokr_t2", "oft_blocks", "a1", "b1", "diff", "on_input", "dora_scale", "\x00", "\ud800",
        "٣", "²",
    ]
)  # fmt: skip
_NAMES = st.one_of(st.text(), st.lists(_PIECES, max_size=8).map("".join))
_SIDES = st.one_of(st.integers(), st.sampled_from([0, 1, 768, 2048, 3072, 2**63, 2**64 - 1]))
_TENSORS = st.builds(
    Tensor,
    dtype=st.one_of(st.sampled_from(["F16", "BF16"]), st.text(), st.just("\ud800\x00")),
    shape=st.lists(_SIDES, max_size=12).map(tuple),
    data_offsets=st.just((0, 0)),
)


@given(st.dictionaries(_NAMES, _TENSORS, max_size=12))
def test_nothing_raises_and_everything_is_storable(tensors: dict[str, Tensor]) -> None:
    facts = list_facts(tensors, 0)
    for name in Weights.__dataclass_fields__:
        value = getattr(facts.weights, name)
        if isinstance(value, str):
            assert "\x00" not in value
            value.encode()
        elif value is not None:
            assert -LARGEST <= value <= LARGEST
    assert all(problem.code == "out_of_range" for problem in facts.problems)
