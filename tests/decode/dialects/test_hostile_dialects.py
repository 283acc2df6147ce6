"""Every dialect, given whatever its own keys may hold: it ends, and all that comes of it can be stored."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.decode.dialects import merge_tool
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.problems import CODES
from crawler.decode.recipe import DIALECTS, Dialect, decode
from crawler.model import Header, Recipe
from crawler.store.schema.fields import BY_NAME
from tests.decode.test_hostile_metadata import JSON, VALUES, holds, leaves

TYPES = {
    "integer": (int,),
    "number": (float, int),
    "text": (str,),
    "true/false": (bool,),
    "time": (datetime,),
    "list": (tuple,),
    "object": (dict,),
}

#: A quoted value and the words around it.
MAX_DETAIL_CHARS = 200

KOHYA = tuple(key for key, *_ in (*kohya_keys.FLAT, *kohya_keys.SPLIT))
ADAPTER_NAMES = """
r lora_alpha alpha lora_dropout use_dora peft_type target_modules rank_pattern
base_model_name_or_path peft_version
"""
ADAPTER = tuple(
    f"{component}{name}"
    for component in ("", "transformer.", "unet.", "text_encoder.")
    for name in ADAPTER_NAMES.split()
)
ONETRAINER = """
model_type training_method optimizer unet transformer prior text_encoder text_encoder_2 vae
concepts resolution peft_type lora_rank lora_alpha lora_decompose lokr_dim dropout_probability
layer_filter base_model_name learning_rate learning_rate_scheduler learning_rate_warmup_steps
custom_learning_rate_scheduler gradient_accumulation_steps gradient_checkpointing epochs
batch_size train_dtype loss_weight_fn loss_weight_strength mse_strength huber_strength
timestep_distribution timestep_shift dynamic_timestep_shifting text_encoder_layer_skip
output_model_destination workspace_dir train include model_name weight_dtype guidance_scale
name path enabled type balancing balancing_strategy image text enable_tag_shuffling
keep_tags_count tag_dropout_enable tag_dropout_mode tag_dropout_probability
enable_random_flip enable_random_hue beta1 use_schedulefree
"""
WORDS = r"""
LORA LOKR OFT_2 STABLE_DIFFUSION_15 STABLE_DIFFUSION_XL_10_BASE FLUX_DEV_1 Z_IMAGE CUSTOM
ADAMW_8BIT MIN_SNR_GAMMA CONSTANT SAMPLES REPEATS RANDOM 512 768x1024 512,768 ON OFF
C:\a\b /a/b ~/a lora lokr locon
"""


@dataclass(frozen=True)
class Written:
    """What a dialect is driven with: keys, names within their JSON, and signs that make it match."""

    sign: Mapping[str, str]
    keys: tuple[str, ...]
    nested: tuple[str, ...] = ("a",)


WRITTEN: Mapping[str, Written] = {
    "aitoolkit": Written(
        {"software": '{"name": "ai-toolkit"}'},
        ("training_info", "name", "ss_output_name", "ss_base_model_version", "ss_tag_frequency"),
        ("step", "epoch", "version"),
    ),
    "cloneofsimo": Written(
        {"unet:0:rank": "4"},
        ("unet", "text_encoder", "unet:1:rank", "text_encoder:0:rank", "<s1>"),
    ),
    "diffusers": Written(
        {"lora_config": '{"lora_alpha": 4}'}, ("lora_adapter_metadata", "lora_config"), ADAPTER
    ),
    "kohya": Written({"ss_sd_scripts_commit_hash": "ab" * 20}, KOHYA),
    "merge_tool": Written({"modelspec.merged_from": "a, b"}, KOHYA),
    "musubi": Written(
        {"ss_num_train_items": "12"},
        (*KOHYA, "ss_datasets"),
        (
            "num_repeats",
            "image_directory",
            "video_directory",
            "resolution",
            "batch_size_per_device",
        ),
    ),
    "onetrainer": Written(
        {"ot_branch": "master"}, ("ot_config", "ot_revision", "ss_v2"), tuple(ONETRAINER.split())
    ),
    "simpletuner": Written(
        {"modelspec.implementation": "diffusers", "trained_words": "a"},
        ("lora_adapter_metadata", "lycoris_config", "global_step"),
        (*ADAPTER, "algo", "linear_dim", "linear_alpha", "conv_dim", "dropout", "apply_preset"),
    ),
    "plain": Written(
        {"rank": "8"},
        (*KOHYA, "alpha", "lora_alpha", "transformer.r", "step", "epoch", "mflux_version", "model"),
    ),
    "traintrain": Written({"ss_lr_step_rules": ""}, KOHYA),
}


EVERY: tuple[Dialect, ...] = (merge_tool, *DIALECTS)


def name_of(dialect: Dialect) -> str:
    assert isinstance(dialect, ModuleType)
    return dialect.__name__.removeprefix("crawler.decode.dialects.")


def metadata(written: Written) -> st.SearchStrategy[dict[str, str]]:
    names = st.sampled_from(written.nested)
    values = JSON | st.sampled_from(WORDS.split())
    flat = st.dictionaries(names, values, max_size=12)
    deep = st.dictionaries(names, values | flat | st.lists(flat, max_size=3), max_size=12)
    texts = st.one_of(VALUES, deep.map(json.dumps), st.lists(deep, max_size=3).map(json.dumps))
    return st.dictionaries(st.sampled_from(written.keys), texts, max_size=12).map(
        lambda drawn: {**written.sign, **drawn}
    )


def test_every_dialect_is_driven() -> None:
    assert {name_of(dialect) for dialect in EVERY} == WRITTEN.keys()


@pytest.mark.parametrize("dialect", EVERY, ids=name_of)
def test_its_signs_make_it_match(dialect: Dialect) -> None:
    sign = WRITTEN[name_of(dialect)].sign
    assert next(one for one in EVERY if one.matches(sign)) is dialect


@pytest.mark.parametrize("dialect", EVERY, ids=name_of)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_it_reads_can_be_stored(dialect: Dialect, data: st.DataObject) -> None:
    drawn = data.draw(metadata(WRITTEN[name_of(dialect)]))
    reading = dialect.read(drawn)
    decoded = decode(Header(length=0, tensors={}, metadata=drawn))
    parts = ("datasets", "directories", "tags", "problems")
    told: list[tuple[str, Any]] = [
        ("values", reading.values),
        ("rewritten", reading.rewritten),
        ("recipe", decoded.recipe),
        *((part, getattr(reading, part)) for part in parts),
        *((part, getattr(decoded, part)) for part in parts),
    ]
    found = [pair for where, noun in told for pair in leaves(noun, where)]
    assert [where for where, value in found if not holds(value)] == []
    for name, value in {**reading.values, **of_columns(decoded.recipe)}.items():
        assert value is None or isinstance(value, TYPES[BY_NAME[name].kind]), name
    assert {one.code for one in decoded.problems} <= CODES.keys()
    assert max((len(one.detail) for one in reading.problems), default=0) < MAX_DETAIL_CHARS
    assert reading.rewritten.keys() <= reading.used & drawn.keys()


def of_columns(recipe: Recipe) -> Mapping[str, Any]:
    return {one.name: getattr(recipe, one.name) for one in dataclasses.fields(recipe)}
