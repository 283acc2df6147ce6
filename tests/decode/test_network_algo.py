"""The algorithm that the metadata names, with what the base model makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from crawler.decode.dialects.kohya import network
from crawler.decode.recipe import decode
from crawler.model import Header
from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists

FLUX = lists.spelled("lora_unet_", base_models.WHOLE["flux1"][1])
SDXL = lists.spelled("lora_unet_", base_models.sdxl())


@pytest.mark.parametrize(
    ("args", "algo"),
    [
        ({"algo": "tlora"}, "tlora"),
        ({"algo": "lokr", "weight_decompose": True}, "dora"),
        ({"algo": "loha", "weight_decompose": "True"}, "dora"),
        ({"algo": "lokr", "weight_decompose": False}, "lokr"),
        ({"algo": "ia3", "weight_decompose": True}, "ia3"),
        ({"algo": "lokr", "weight_decompose": None, "dora_wd": "1"}, "dora"),
    ],
)
def test_arguments_of_lycoris(args: Mapping[str, Any], algo: str) -> None:
    assert network.algo("lycoris.kohya", args, None) == algo


@pytest.mark.parametrize(
    ("metadata", "shapes", "algo"),
    [
        ({"ss_base_model_version": "flux1"}, {}, "lora"),
        ({"ss_base_model_version": "anima"}, {}, "lora"),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, {}, "locon"),
        ({}, FLUX, "lora"),
        ({}, SDXL, "locon"),
        ({}, {}, "locon"),
        # What the metadata names decides.
        ({"ss_base_model_version": "sdxl_base_v1-0"}, FLUX, "locon"),
        ({"ss_base_model_version": "chroma", "ss_network_args": '{"algo": "lokr"}'}, {}, "lokr"),
    ],
)
def test_lycoris_trains_convolutions_where_there_are_some(
    metadata: Mapping[str, str], shapes: lists.Shapes, algo: str
) -> None:
    written = {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "lora"}'}
    tensors = lists.header(shapes).tensors
    recipe = decode(Header(1, tensors, {**written, **metadata})).recipe
    assert recipe.network_algo == algo
