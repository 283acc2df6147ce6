"""Starting recipes from examples, and the files made of them."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crawler.answers.suggest import evidence
from crawler.errors import UsageError
from crawler.insight.export.draft import PLACEHOLDER, Kind, config_text, dataset_text
from crawler.insight.suggest.advice import COLUMNS, advise, recipe_of
from crawler.insight.suggest.settings import (
    COMBINED,
    ENOUGH,
    MAX_VALUES,
    REQUIRED,
    SETTINGS,
    Advice,
)
from crawler.model.catalogue import MONTH
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.examples import examples_of
from tests.insight.export import sd_scripts

NOW = datetime(2026, 3, 4, tzinfo=UTC)

#: A run that tells what a recipe needs.
FULL: dict[str, Any] = {
    "architecture": "sdxl",
    "trainer": "kohya",
    "base_model_version": "sdxl_base_v1-0",
    "sd_model_name": "harbour.safetensors",
    "network_module": "networks.lora",
    "network_algo": "lora",
    "network_dim": 32,
    "network_alpha": 16.0,
    "trains_text_encoder": True,
    "optimizer": "AdamW8bit",
    "optimizer_path": "bitsandbytes.optim.adamw.AdamW8bit",
    "optimizer_args": {"weight_decay": 0.1},
    "effective_unet_lr": 0.0003,
    "effective_text_encoder_lr": 0.00005,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 100,
    "max_grad_norm": 1.0,
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "steps": 1500,
    "mean_repeats": 9.6,
    "resolution": 1024.0,
    "enable_bucket": True,
    "max_bucket_reso": 2048,
    "shuffle_caption": True,
    "keep_tokens": 1,
    "min_snr_gamma": 5.0,
    "mixed_precision": "bf16",
    "gradient_checkpointing": True,
    "tensor_dtype": "BF16",
}


Row = tuple[Any, ...]


def example(number: int = 1, *, likes: int | None = 10, **values: Any) -> Row:
    """A LoRA of a year ago; `age` in months and `creator` may be given beside its values."""
    age = values.pop("age", 12)
    creator = values.pop("creator", f"mason{number}")
    published = None if age is None else NOW - age * MONTH
    found = (values.get(name) for name in COLUMNS)
    settings = (json.dumps(one) if isinstance(one, dict) else one for one in found)
    return (number, f"Marble {number}", creator, likes, published, *settings)


def advice_of(*examples: Row) -> Advice:
    batches = [examples[:2], examples[2:]] if len(examples) > 2 else [examples] * bool(examples)
    return advise(examples_of(batches, dict.fromkeys(COLUMNS, _decoded)), NOW)


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def test_settings_are_columns_and_stand_behind_what_decides_them() -> None:
    names = [setting.name for setting in SETTINGS]

    assert len(names) == len(set(names))
    assert set(names) <= set(BY_NAME)
    assert set(REQUIRED) <= set(COMBINED) <= set(names)
    for setting in SETTINGS:
        assert all(names.index(name) < names.index(setting.name) for name in setting.given)


def test_likes_a_month_decide() -> None:
    found = advice_of(
        example(1, likes=120, age=12, network_dim=8),
        example(2, likes=90, age=3, network_dim=16),
        example(3, likes=15, age=0.5, network_dim=8),
    )
    dim = found.findings["network_dim"]

    assert found.chosen("network_dim") == 16
    assert [(one.value, one.count) for one in dim.values] == [(16, 1), (8, 2)]
    assert dim.values[0].share == pytest.approx(30 / 55)
    assert [one.file_id for one, _ in found.examples] == [2, 3, 1]
    assert found.examples[1][1] == 15


def test_what_nobody_likes_weighs_nothing() -> None:
    found = advice_of(
        example(1, network_dim=8),
        example(2, likes=0, network_dim=16),
        example(3, likes=None, network_dim=16),
        example(4, age=None, network_dim=16),
        example(5, likes=-4, network_dim=16),
    )

    assert (found.loras, found.weightless, found.is_weighted) == (1, 4, True)
    assert found.chosen("network_dim") == 8


def test_without_any_likes_all_weigh_the_same() -> None:
    found = advice_of(*(example(n, likes=0, network_dim=8 * n) for n in (1, 2, 2)))

    assert (found.loras, found.weightless, found.is_weighted) == (3, 0, False)
    assert found.chosen("network_dim") == 16


def test_rates_are_those_of_the_chosen_optimizer() -> None:
    prodigy: dict[str, Any] = {
        "optimizer": "Prodigy",
        "effective_unet_lr": 1.0,
        "lr_scheduler": "constant",
    }
    adam: dict[str, Any] = {"optimizer": "AdamW", "lr_scheduler": "cosine"}
    found = advice_of(
        *(example(n, **prodigy) for n in range(4)),
        *(example(n, effective_unet_lr=n / 1024, **adam) for n in range(1, 6)),
    )
    rate = found.findings["effective_unet_lr"]

    assert found.chosen("optimizer") == "AdamW"
    assert found.chosen("lr_scheduler") == "cosine"
    assert rate.given == (("optimizer", "AdamW"),)
    assert (rate.count, rate.among) == (5, 5)
    assert rate.quartiles == (2 / 1024, 3 / 1024, 4 / 1024)
    assert sum(one.count for one in rate.histogram) == 5


def test_a_median_is_a_value_that_somebody_used() -> None:
    found = advice_of(example(1, images_seen=100), example(2, likes=11, images_seen=900))

    assert found.findings["images_seen"].quartiles == (100, 900, 900)


def test_what_most_leave_out_is_left_out() -> None:
    found = advice_of(
        example(1, min_snr_gamma=5.0), example(2), example(3), example(4, loss_type="l1")
    )
    gamma = found.findings["min_snr_gamma"]

    assert found.chosen("min_snr_gamma") is None
    assert (gamma.count, gamma.among, gamma.share) == (1, 4, 0.25)
    assert [one.value for one in gamma.values] == [5.0]
    assert "huber_c" not in found.findings


def test_what_hangs_on_something_that_is_off_is_off() -> None:
    untrained: dict[str, Any] = {"trains_text_encoder": False, "effective_text_encoder_lr": 5e-5}
    found = advice_of(
        *(example(n, enable_bucket=False, max_bucket_reso=9, **untrained) for n in (1, 2))
    )

    assert found.chosen("trains_text_encoder") is False
    assert "effective_text_encoder_lr" not in found.findings
    assert "max_bucket_reso" not in found.findings


def test_what_nobody_tells_decides_nothing() -> None:
    found = advice_of(example(1, effective_unet_lr=1e-4))

    assert found.chosen("effective_unet_lr") == 1e-4
    assert "optimizer" not in found.findings


def test_objects_are_counted_like_other_values() -> None:
    args = {"decouple": True, "betas": [0.9, 0.99]}
    same = dict(reversed(args.items()))
    found = advice_of(
        *(example(n, optimizer="Prodigy", optimizer_args=one) for n, one in enumerate((args, same)))
    )

    (value,) = found.findings["optimizer_args"].values
    assert (value.value, value.count) == (args, 2)


def test_whole_combinations_that_are_shared_come_first() -> None:
    common: dict[str, Any] = {"optimizer": "Lion", "network_dim": 8, "effective_unet_lr": 1e-4}
    single = common | {"network_dim": 128}
    found = advice_of(
        example(1, likes=900, **single),
        example(2, **common),
        example(3, **common),
        example(4, optimizer="Lion"),
    )
    alone = advice_of(example(1, **single))

    (shared,) = found.combinations
    assert shared.value == ("Lion", None, 8, None, 1e-4, None)
    assert shared.count == 2
    assert shared.share == pytest.approx(20 / 920)
    assert [one.count for one in alone.combinations] == [1]


def test_one_creator_shows_one_example_and_is_named() -> None:
    found = advice_of(
        *(example(n, likes=100, creator="mill") for n in range(1, 9)),
        *(example(n, likes=50) for n in range(9, 20)),
    )

    assert [one.file_id for one, _ in found.examples] == [1, 9, 10, 11, 12]
    assert len(found.examples) == MAX_VALUES
    assert found.top_creator is not None
    name, share = found.top_creator
    assert name == "mill"
    assert share == pytest.approx(800 / 1350)
    assert (found.creators, found.half) == (12, 7)


def test_few_are_told_to_be_few() -> None:
    assert not advice_of(*(example(n) for n in range(ENOUGH - 1))).is_enough
    assert advice_of(*(example(n) for n in range(ENOUGH))).is_enough


def test_nobody_to_ask() -> None:
    found = advice_of()

    assert (found.loras, found.half, found.top_creator, found.findings) == (0, 0, None, {})
    assert (found.combinations, found.examples) == ((), ())
    with pytest.raises(UsageError, match="cannot make a recipe"):
        recipe_of(found, None, evidence)


def test_the_recipe_is_what_was_chosen() -> None:
    found = advice_of(*(example(n, **FULL) for n in range(30)))
    made = recipe_of(found, 40, evidence)
    config = sd_scripts.read_config(config_text(made, "a test"), made.script)
    (dataset,) = sd_scripts.read_datasets(dataset_text(made))

    assert made.script == "sdxl_train_network.py"
    expected = {
        "pretrained_model_name_or_path": f"{PLACEHOLDER}/harbour.safetensors",
        "network_module": "networks.lora",
        "network_dim": 32,
        "network_alpha": 16.0,
        "unet_lr": 0.0003,
        "text_encoder_lr": 0.00005,
        "optimizer_type": "AdamW8bit",
        "optimizer_args": ["weight_decay=0.1"],
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 100,
        "max_train_steps": 1500,
        "min_snr_gamma": 5.0,
        "mixed_precision": "bf16",
    }
    assert {name: config.get(name) for name in expected} == expected
    assert (dataset["resolution"], dataset["batch_size"]) == ([1024, 1024], 2)
    (subset,) = dataset["subsets"]
    assert (subset["num_repeats"], subset["shuffle_caption"]) == (10, True)


def test_every_option_says_what_it_rests_on() -> None:
    wide = FULL | {"effective_unet_lr": 0.0001}
    found = advice_of(
        *(example(n, **FULL) for n in range(3)), *(example(n, **wide) for n in range(3, 6))
    )
    lines = config_text(recipe_of(found, None, evidence), "a test").splitlines()

    assert lines[0] == "# Made by lora-crawl from a test."
    assert "network_dim = 32 # 100% of 6 LoRAs with the same network_algo" in lines
    rate = "median 1e-4 of 6 LoRAs with the same optimizer, IQR 1e-4 to 3e-4"
    assert f"unet_lr = 0.0001 # {rate}" in lines


def test_settings_that_exclude_each_other_are_not_suggested_together() -> None:
    both = {"noise_offset": 0.05, "adaptive_noise_scale": 0.01, "multires_noise_iterations": 6}
    only = {"multires_noise_iterations": 6, "multires_noise_discount": 0.3}
    found = advice_of(
        *(example(n, **FULL | both) for n in range(6)), *(example(n, **FULL | only) for n in (7, 8))
    )
    assert found.chosen("multires_noise_iterations") == 6
    assert found.chosen("noise_offset") is None
    assert found.findings["noise_offset"].excluded == "not together with multires_noise_iterations"
    assert "adaptive_noise_scale" not in found.findings
    config = tomllib.loads(config_text(recipe_of(found, None, evidence), "a test"))
    assert "noise_offset" not in config

    off = advice_of(*(example(n, **FULL | both | {"noise_offset": 0}) for n in range(6)))
    assert off.chosen("noise_offset") == 0
    assert off.chosen("multires_noise_iterations") == 6


@pytest.mark.parametrize(("base", "layer"), [("sd1", 2), ("sdxl", None), ("flux1", None)])
def test_clip_skip_is_for_stable_diffusion_1(base: str, layer: int | None) -> None:
    skipping = FULL | {"architecture": base, "base_model_version": None, "clip_skip": 2}
    found = advice_of(*(example(n, **skipping) for n in range(6)))
    config = tomllib.loads(config_text(recipe_of(found, None, evidence), "a test"))
    assert (found.chosen("clip_skip"), config.get("clip_skip")) == (layer, layer)


def test_full_precision_is_that_of_the_mixed_precision() -> None:
    half = FULL | {"mixed_precision": "fp16", "full_fp16": True, "full_bf16": None}
    other = FULL | {"mixed_precision": "bf16", "full_fp16": None, "full_bf16": True}
    found = advice_of(
        *(example(n, **half) for n in range(4)), *(example(n, **other) for n in range(4, 7))
    )
    assert (found.chosen("full_fp16"), found.chosen("full_bf16")) == (True, None)


def test_the_evidence_says_how_many_leave_a_setting_unset() -> None:
    found = advice_of(
        *(example(n, **FULL | {"min_snr_gamma": 5.0}) for n in range(3)),
        example(3, **FULL | {"min_snr_gamma": None}),
    )
    text = config_text(recipe_of(found, None, evidence), "a test")
    assert "min_snr_gamma = 5.0 # 100% of 3 LoRAs; 25% leave it unset" in text


def test_text_from_the_net_stays_inside_its_string() -> None:
    hostile = 'cosine"\nrm = 1 # \x1b[31m'
    found = advice_of(example(1, **FULL | {"sd_model_name": hostile, "lr_scheduler": hostile}))
    made = recipe_of(found, None, evidence)
    config = tomllib.loads(config_text(made, hostile))

    assert config["pretrained_model_name_or_path"] == f"{PLACEHOLDER}/{hostile}"
    assert "rm" not in config
    assert [note.subject for note in made.notes if note.kind is Kind.CONFLICT] == ["lr_scheduler"]


def test_without_a_text_encoder_only_the_image_model_is_trained() -> None:
    found = advice_of(example(1, **FULL | {"trains_text_encoder": False}))
    config = tomllib.loads(config_text(recipe_of(found, None, evidence), "a test"))

    assert config["network_train_unet_only"] is True
    assert "text_encoder_lr" not in config


def test_months_are_counted_from_the_first_version() -> None:
    assert timedelta(days=30) < MONTH < timedelta(days=31)
    ((_, likes_per_month),) = advice_of(example(1, likes=24, age=12)).examples
    assert likes_per_month == pytest.approx(2)
