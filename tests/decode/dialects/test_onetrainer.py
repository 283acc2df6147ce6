"""OneTrainer's settings, one by one; whole runs are golden pairs."""

import json
from typing import Any

import pytest

from crawler.decode import problems
from crawler.decode.recipe import decode
from crawler.model import Decoded, Header


def read(**settings: Any) -> Decoded:
    metadata = {"ot_branch": "master", "ot_config": json.dumps(settings)}
    return decode(Header(length=0, tensors={}, metadata=metadata))


def found(decoded: Decoded) -> set[tuple[str, str]]:
    return {(one.code, one.field) for one in decoded.problems}


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("ADAMW_8BIT", "AdamW8bit"),
        ("PRODIGY", "Prodigy"),
        ("SCHEDULE_FREE_ADAMW", "AdamWScheduleFree"),
        ("CAME", "CAME"),
        ("KELP_ADV", "KELP_ADV"),
    ],
)
def test_optimizers_have_the_names_of_their_classes(spelt: str, name: str) -> None:
    decoded = read(optimizer={"optimizer": spelt, "beta1": 0.9, "beta2": None, "fused": False})
    assert decoded.recipe.optimizer == name
    assert decoded.recipe.optimizer_args == {"beta1": 0.9}
    assert read(optimizer=spelt).recipe.optimizer == name


def test_switches_of_an_optimizer_are_kept_where_they_were_turned() -> None:
    args = {"optimizer": "PRODIGY", "use_speed": True, "d_limiter": True, "use_stableadamw": False}
    assert read(optimizer=args).recipe.optimizer_args == {
        "use_speed": True,
        "use_stableadamw": False,
    }


@pytest.mark.parametrize(
    ("raw", "sides"),
    [
        ("512", (512, 512)),
        (768, (768, 768)),
        ("768x1152", (768, 1152)),
        ("512,768", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_resolutions(raw: object, sides: tuple[int | None, int | None]) -> None:
    recipe = read(resolution=raw, epochs=1).recipe
    assert (recipe.resolution_width, recipe.resolution_height) == sides


@pytest.mark.parametrize("raw", ["wide", "0", "-512", [512], True, "512x", 1e300])
def test_what_is_no_resolution_is_a_problem(raw: object) -> None:
    decoded = read(resolution=raw)
    assert decoded.recipe.resolution is None
    assert {field for _, field in found(decoded)} == {"resolution"}


@pytest.mark.parametrize(
    ("raw", "accumulated", "steps", "ratio"),
    [
        (200.0, 1, 200, None),
        (200.0, 4, 50, None),
        (0.1, 4, None, 0.1),
        (1, 1, None, 1.0),
        (0, 1, 0, None),
        (None, 1, None, None),
    ],
)
def test_warmup_counts_batches_or_is_a_share(
    raw: float | None, accumulated: int, steps: int | None, ratio: float | None
) -> None:
    recipe = read(learning_rate_warmup_steps=raw, gradient_accumulation_steps=accumulated).recipe
    assert (recipe.lr_warmup_steps, recipe.lr_warmup_ratio) == (steps, ratio)


@pytest.mark.parametrize(
    ("settings", "unet", "first", "each"),
    [
        ({}, None, None, None),
        ({"unet": {"learning_rate": 2e-4}}, 2e-4, None, None),
        ({"text_encoder": {"train": False}}, None, 0.0, (0.0, 1e-4)),
        ({"text_encoder_2": {"learning_rate": 5e-5}}, None, 1e-4, (1e-4, 5e-5)),
        ({"text_encoder": {"include": False}, "text_encoder_2": {"train": False}}, None, 0.0,
         (0.0, 0.0)),
        ({"unet": {"train": False}}, 0.0, None, None),
    ],
)  # fmt: skip
def test_a_part_without_a_rate_has_the_common_one_and_an_idle_one_has_none(
    settings: dict[str, Any],
    unet: float | None,
    first: float | None,
    each: tuple[float, ...] | None,
) -> None:
    recipe = read(model_type="STABLE_DIFFUSION_XL_10_BASE", learning_rate=1e-4, **settings).recipe
    assert (recipe.unet_lr, recipe.text_encoder_lr, recipe.text_encoder_lrs) == (unet, first, each)
    assert recipe.effective_unet_lr == (1e-4 if unet is None else unet)
    assert recipe.effective_text_encoder_lr == (1e-4 if first is None else first)


def test_before_there_was_a_transformer_it_was_the_prior() -> None:
    part = {"learning_rate": 2e-4}
    assert read(model_type="FLUX_DEV_1", prior=part).recipe.unet_lr == 2e-4
    assert read(model_type="FLUX_DEV_1", prior=part, transformer={}).recipe.unet_lr is None


def test_of_a_model_that_is_not_known_no_part_is_read() -> None:
    recipe = read(model_type="KELP_9", learning_rate=1e-4, text_encoder={"train": False}).recipe
    assert (recipe.learning_rate, recipe.text_encoder_lr) == (1e-4, None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"lora_rank": 8}, ("lora", 8, 2.0)),
        ({"peft_type": "LORA", "lora_rank": 8, "lora_decompose": True}, ("dora", 8, 2.0)),
        ({"peft_type": "LOHA", "lora_rank": 8, "lora_decompose": True}, ("loha", 8, 2.0)),
        ({"peft_type": "LOKR", "lora_rank": 8, "lokr_dim": 3}, ("lokr", 3, 2.0)),
        ({"peft_type": "LOKR", "lokr_dim": 3, "lokr_weight_decompose": True}, ("dora", 3, 2.0)),
        ({"peft_type": "OFT_2", "lora_rank": 8}, ("oft", None, None)),
        ({"peft_type": "KELP", "lora_rank": 8}, (None, None, None)),
        ({"peft_type": 5, "lora_rank": 8}, (None, None, None)),
        ({"lora_rank": 8, "training_method": "EMBEDDING"}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_networks(settings: dict[str, Any], expected: tuple[object, ...]) -> None:
    recipe = read(lora_alpha=2.0, **settings).recipe
    assert (recipe.network_algo, recipe.network_dim, recipe.network_alpha) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss_weight_fn": "MIN_SNR_GAMMA", "loss_weight_strength": 5.0}, (5.0, False)),
        ({"loss_weight_fn": "DEBIASED_ESTIMATION", "loss_weight_strength": 5.0}, (None, True)),
        ({"loss_weight_fn": "P2", "loss_weight_strength": 1.0}, (None, False)),
        ({"loss_weight_strength": 5.0}, (None, None)),
    ],
)
def test_a_weighting_of_the_loss_is_a_column_or_none(
    settings: dict[str, Any], expected: tuple[object, ...]
) -> None:
    recipe = read(**settings).recipe
    assert (recipe.min_snr_gamma, recipe.debiased_estimation) == expected


def test_losses_that_are_mixed_have_no_type() -> None:
    assert read(mse_strength=1.0, mae_strength=0.0).recipe.loss_type == "l2"
    assert read(mse_strength=0.5, mae_strength=0.5).recipe.loss_type is None
    assert read(log_cosh_strength=1.0).recipe.loss_type is None


@pytest.mark.parametrize(
    ("value", "on"),
    [("ON", True), ("CPU_OFFLOADED", True), ("OFF", False), (True, True), (False, False)],
)
def test_checkpointing_was_a_word_for_some_time(value: object, on: object) -> None:
    assert read(gradient_checkpointing=value).recipe.gradient_checkpointing is on
    assert read(gradient_checkpointing=value).recipe.other_settings == {"ot_branch": "master"}


def test_the_last_layer_of_clip_is_the_first_that_can_be_skipped() -> None:
    assert read(model_type="STABLE_DIFFUSION_15", text_encoder_layer_skip=1).recipe.clip_skip == 2
    xl = read(model_type="STABLE_DIFFUSION_XL_10_BASE", text_encoder_layer_skip=1)
    assert xl.recipe.clip_skip is None


def test_concepts_that_differ_tell_nothing_of_the_whole() -> None:
    def concept(**text: Any) -> dict[str, Any]:
        return {"name": "kelp", "text": {"enable_tag_shuffling": True, **text}}

    same = read(concepts=[concept(keep_tags_count=2), concept(keep_tags_count=2)]).recipe
    assert (same.shuffle_caption, same.keep_tokens) == (True, 2)
    other = read(concepts=[concept(keep_tags_count=2), concept(keep_tags_count=3)]).recipe
    assert (other.shuffle_caption, other.keep_tokens) == (True, None)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ({"tag_dropout_enable": False, "tag_dropout_probability": 0.5}, 0.0),
        ({"tag_dropout_enable": True, "tag_dropout_mode": "RANDOM",
          "tag_dropout_probability": 0.5}, 0.5),
        ({"tag_dropout_enable": True, "tag_dropout_mode": "FULL",
          "tag_dropout_probability": 0.5}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_only_tags_that_are_dropped_one_by_one_have_a_rate(
    text: dict[str, Any], rate: float | None
) -> None:
    assert read(concepts=[{"text": text}]).recipe.caption_tag_dropout_rate == rate


def test_no_more_concepts_than_are_kept() -> None:
    decoded = read(concepts=[{}] * 10_001, epochs=1)
    assert decoded.directories == ()
    assert found(decoded) == {(problems.TOO_LONG, "directories")}


def test_settings_too_long_to_be_kept_are_left_in_the_header() -> None:
    decoded = read(epochs=3, kelp="x" * 70_000)
    assert decoded.recipe.num_epochs == 3
    assert decoded.recipe.other_settings == {"ot_branch": "master"}
    assert found(decoded) == {(problems.TOO_LONG, "other_settings")}


def test_a_resize_goes_before_the_settings() -> None:
    metadata = {
        "ot_branch": "master",
        "ot_config": json.dumps({"lora_rank": 64}),
        "ss_network_dim": "8",
        "ss_training_comment": "dimension is resized from 64 to 8; ",
    }
    recipe = decode(Header(length=0, tensors={}, metadata=metadata)).recipe
    assert (recipe.trainer, recipe.network_dim, recipe.original_dim) == ("onetrainer", 8, 64)
