"""Whatever metadata holds: decoding ends, and all that comes of it can be stored."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from crawler.decode import clean
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.problems import CODES
from crawler.decode.recipe import decode
from crawler.model import Header
from crawler.store.schema.fields import BY_NAME

KEYS = [
    *sorted({key for key, *_ in (*kohya_keys.FLAT, *kohya_keys.SPLIT)}),
    "ss_datasets",
    "ss_dataset_dirs",
    "ss_reg_dataset_dirs",
    "ss_tag_frequency",
    "ss_bucket_info",
    "software",
    "modelspec.merged_from",
    "modelspec.architecture",
    "modelspec.encoder_layer",
    "modelspec.implementation_version",
    "ss_lr_step_rules",
    "sshs_blocks",
    "unet",
    "unet:0:rank",
    "unet:1:rank",
]
NESTED_NAMES = """
batch_size_per_device num_train_images num_reg_images resolution enable_bucket subsets bucket_info
buckets count mean_img_ar_error tag_frequency img_count num_repeats n_repeats image_dir is_reg
class_tokens keep_tokens algo conv_dim dropout dora_wd preset
"""


def holds(value: Any) -> bool:
    """Whether both databases hold a single value and give it back unchanged."""
    match value:
        case None | bool():
            return True
        case str():
            return clean.text(value) == value
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case datetime():
            return value.tzinfo is UTC
        case _:
            return False


def leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every single value in a noun, with its place."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{where} key", key
            yield from leaves(item, f"{where}[]")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, f"{where}[]")
    else:
        yield where, value


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["None", "Dynamic", "\x00", "\ud800", "1e999", "16.0"]),
)
NAMES = st.sampled_from([*NESTED_NAMES.split(), "a", "\x00", "\ud800"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    JSON.map(json.dumps),
    JSON.map(repr),
    JSON.map(lambda value: json.dumps(value)[:-1]),
    st.sampled_from(
        [
            "None",
            "Dynamic",
            "9" * 5000,
            "[" * 5000,
            "(" * 300,
            '{"a":' * 5000,
            "1e-999999",
            "(512, 512)",
            "[5e-05, 1e-05]",
            "adafactor:inf",
            "a.B(c=(1, 2),d=nan,e=[[[)",
            "dimension is resized from 128 to 4; ",
            "\x00\ud800",
        ]
    ),
)
METADATA = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=10), VALUES, max_size=25)


@given(METADATA)
@example(
    {"ss_datasets": json.dumps([[1], {"subsets": 5}, {"subsets": [None, {"img_count": "x"}]}])}
)
@example({"ss_steps": str(2**62), "ss_total_batch_size": str(2**62), "ss_resolution": "(9, 9)"})
@example({"ss_network_args": '{"\\u0000": null, "\\ud800": [1e400]}'})
@example({"ss_network_alpha": "1e308", "ss_network_dim": "1", "ss_unet_lr": "[]"})
def test_everything_that_is_decoded_can_be_stored(metadata: dict[str, str]) -> None:
    decoded = decode(Header(length=0, tensors={}, metadata=metadata))
    for part in ("recipe", "weights", "datasets", "directories", "tags", "problems"):
        found = leaves(getattr(decoded, part), part)
        assert [where for where, value in found if not holds(value)] == []
    assert {problem.code for problem in decoded.problems} <= CODES.keys()


@given(METADATA)
def test_every_value_has_the_type_of_its_column(metadata: dict[str, str]) -> None:
    decoded = decode(Header(length=0, tensors={}, metadata=metadata)).recipe
    types = {
        "integer": (int,),
        "number": (float, int),
        "text": (str,),
        "true/false": (bool,),
        "time": (datetime,),
        "list": (tuple,),
        "object": (dict,),
    }
    for field in dataclasses.fields(decoded):
        value = getattr(decoded, field.name)
        assert value is None or isinstance(value, types[BY_NAME[field.name].kind]), field.name
