"""Layers gathered from the names of their tensors."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.algorithms import gather, layers_of
from crawler.decode.tensors.layer_names import split_name
from crawler.model import Tensor

#: Ends of names that show the role, whatever stands in front.
TAILS = {
    ".lora_down.weight": "down",
    ".lora_A.default.weight": "down",
    ".lora_embedding_B": "up",
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    ".lora_magnitude_vector.default": "dora",
    ".hada_w1_a": "hada_w1_a",
    ".oft_diag": "oft_blocks",
    ".lora.down.weight": "old_down",
    "_lora.up.weight": "old_up",
    ".lora_linear_layer.up.weight": "old_up",
    ".q_layer.weight": "q_layer",
    ".lambda_layer": "lambda_layer",
    ".oft_blocks.3": "oft_blocks_3",
    "_lora_up.weight": "up",
    ":mid": "mid",
}


@given(st.text(max_size=12), st.sampled_from(sorted(TAILS)))
def test_a_tail_tells_the_role_whatever_stands_in_front(layer: str, tail: str) -> None:
    assert split_name(layer + tail) == (layer, TAILS[tail])


@pytest.mark.parametrize("layer", ["x.lora_A", "x.", "x_lora", "x.lora", "a.default", "unet:0", ""])
def test_a_tail_behind_what_looks_like_one(layer: str) -> None:
    assert {tail: split_name(layer + tail) for tail in TAILS} == {
        tail: (layer, role) for tail, role in TAILS.items()
    }


def roles_by_layer(tensors: Mapping[str, Tensor]) -> dict[str, set[str]]:
    return {
        layer: {role for role, _ in parts}
        for parts, layers in gather(tensors).items()
        for layer in layers
    }


def test_layers_whose_tensors_lie_apart() -> None:
    tensors = {
        name: Tensor("F16", shape, (0, 0))
        for name, shape in {
            "a.alpha": (),
            "b.alpha": (),
            "c.lora_up.weight": (2, 2),
            "a.lora_up.weight": (2, 2),
            "x": (3,),
        }.items()
    }
    assert roles_by_layer(tensors) == {"a": {"alpha", "up"}, "b": {"alpha"}, "c": {"up"}}


def test_of_two_tensors_with_one_role_the_last_counts() -> None:
    tensors = {
        "a.lora_down.weight": Tensor("F16", (4, 8), (0, 0)),
        "a.lora_A.weight": Tensor("F16", (2, 8), (0, 0)),
    }
    assert [layers.rank for layers in layers_of(tensors)] == [2]
