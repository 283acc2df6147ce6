"""Names in columns and names in any order give the same layers."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.algorithms import gather, table_of
from crawler.decode.tensors.facts import read_weights
from crawler.decode.tensors.layer_names import split_name
from crawler.model import Header, Tensor
from crawler.safetensors.usual_reader import read_usual
from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists
from tests.safetensors.test_usual_reader import written

ALGORITHMS = {
    "lora": lists.lora,
    "dora": lists.dora,
    "loha": lists.loha,
    "lokr": lists.lokr,
    "oft": lists.oft,
    "peft": lists.peft,
}


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
        for parts, layers in gather(table_of(tensors)).items()
        for layer in layers
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
@pytest.mark.parametrize("model", [base_models.sd1(), base_models.flux1()], ids=["sd1", "flux1"])
def test_in_step_and_one_by_one(
    model: list[base_models.Module], algorithm: lists.Algorithm
) -> None:
    shapes = lists.spelled("lora_unet_", model, algorithm)
    read = read_usual(written(dict(sorted(shapes.items()))))
    assert read is not None
    table, _ = read
    assert len(table.ends) > 1
    assert roles_by_layer(table) == roles_by_layer(dict(table))
    assert read_weights(Header(1, table, None)) == read_weights(Header(1, dict(table), None))


def test_names_that_look_alike_but_are_not_in_step() -> None:
    shapes = {"a.alpha": (), "a.lora_up.weight": (2, 2), "b.alpha": (), "c.lora_up.weight": (2, 2)}
    read = read_usual(written(shapes))
    assert read is not None
    assert read[0].ends == [""]
    assert set(read[0]) == set(shapes)
    assert roles_by_layer(read[0]) == {
        "a": {"alpha", "up"},
        "b": {"alpha"},
        "c": {"up"},
    }


def test_two_ends_with_one_role_are_read_one_by_one() -> None:
    read = read_usual(written({"a.alpha": (), "a.alpha.weight": ()}))
    assert read is not None
    assert len(read[0].ends) > 1
    assert roles_by_layer(read[0]) == {"a": {"alpha"}}


def test_a_table_is_a_mapping_of_tensors() -> None:
    read = read_usual(written({"a.alpha": (), "a.lora_up.weight": (2, 3)}))
    assert read is not None
    table, _ = read
    assert table == {
        "a.alpha": Tensor("F16", (), (0, 2)),
        "a.lora_up.weight": Tensor("F16", (2, 3), (2, 14)),
    }
    assert "a" not in table
    assert repr(table) == "<TensorTable of 2 tensors in 2 forms>"
