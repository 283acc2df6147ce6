import dataclasses
import json
from typing import Any

import pytest

from crawler.decode import problems, recipe
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Outcome, Recipe


def read(**metadata: Any) -> Decoded:
    """Decode metadata; nested values are written as JSON."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return decode(Header(length=0, tensors={}, metadata=texts))


def found(decoded: Decoded) -> set[tuple[str, str]]:
    return {(problem.code, problem.field) for problem in decoded.problems}


def test_every_column_read_is_an_attribute_of_the_recipe() -> None:
    names = {field.name for field in dataclasses.fields(Recipe)}
    assert {column for _, column, _ in kohya_keys.FLAT} <= names


@pytest.mark.parametrize("metadata", [None, {}])
def test_nothing_says_nothing(metadata: dict[str, str] | None) -> None:
    decoded = decode(Header(length=0, tensors={}, metadata=metadata))
    assert decoded.outcome is Outcome.NO_METADATA
    assert decoded.recipe == Recipe()


def test_a_name_or_a_stranger_key_alone_is_no_training() -> None:
    decoded = read(format="pt", ss_output_name="kelp", ss_whatever="5")
    assert decoded.outcome is Outcome.NO_METADATA
    assert decoded.recipe.output_name == "kelp"
    assert decoded.recipe.other_settings == {"format": "pt", "ss_whatever": "5"}


def test_keys_set_to_none_fill_nothing() -> None:
    decoded = read(ss_network_dim="None", ss_unet_lr="None", ss_sd_scripts_commit_hash="(unknown)")
    assert decoded.outcome is Outcome.NO_METADATA
    assert decoded.recipe == Recipe(trainer="kohya")


@pytest.mark.parametrize(
    ("metadata", "trainer"),
    [
        ({"ss_sd_scripts_commit_hash": "ab" * 20}, "kohya"),
        ({"ss_network_module": "networks.lora", "ss_num_train_images": "5"}, "kohya"),
        ({"ss_network_module": "lycoris.kohya", "ss_v2": "False"}, "kohya"),
        ({"ss_network_module": "networks.lora", "ss_base_model_version": "wan"}, "musubi-tuner"),
        ({"ss_network_module": "networks.lora_wan", "ss_num_train_items": "5"}, "musubi-tuner"),
        ({"ss_network_module": "network.lora", "ss_v2": "False"}, "traintrain"),
        ({"ss_lr_step_rules": "0.5:100"}, "traintrain"),
        ({"ss_lr_step_rules": "", "ss_network_module": "networks.lora"}, None),
        ({"ot_branch": "None", "ss_output_name": "a"}, None),
        ({"ss_network_module": "networks.lora", "ss_num_train_items": "null"}, None),
        ({"ss_sd_scripts_commit_hash": "N/A", "ss_learning_rate": "n/a"}, None),
        ({"unet:0:rank": "4"}, "cloneofsimo"),
        ({"unet": "[]", "unet:rank": "4"}, None),
        ({"software": "{}", "ss_output_name": "a", "ss_sd_scripts_commit_hash": "ab"}, None),
        ({"ot_branch": "master", "ss_base_model_version": "sdxl_", "ss_v2": "False"}, "onetrainer"),
        ({"modelspec.merged_from": "a, b", "ss_v2": "False"}, "merge-tool"),
        ({"modelspec.merged_from": "None", "ss_network_module": "a", "ss_v2": "False"}, "kohya"),
        ({"ss_training_comment": "dimension is resized from 256 to 16; "}, "merge-tool"),
        ({"ss_training_comment": "dimension is resized from 256 to 16; ", "ss_v2": "False",
          "ss_network_module": "networks.lora"}, "kohya"),
        ({"ss_training_comment": "dimension is resized from 256 to 16; ", "ss_v2": "False",
          "ss_network_module": "networks.lora", "ss_network_args": "{}"}, "merge-tool"),
        ({"ss_network_module": "networks.lora", "ss_v2": "False", "ss_network_dim": "Dynamic"},
         "merge-tool"),
        ({"ss_network_module": "networks.lora", "ss_v2": "False", "ss_network_args": "{}",
          "ss_num_train_images": "5"}, "kohya"),
        ({"ss_network_module": "networks.lora", "ss_v2": "False",
          "ss_network_args": '{"conv_dim": "8"}'}, "kohya"),
        ({"ss_network_module": "networks.lora", "ss_v2": "False",
          "ss_network_args": '{"conv_dim": 8}'}, "merge-tool"),
        ({"ss_network_module": "networks.lora", "ss_v2": "False", "ss_network_args": "{"}, "kohya"),
        ({"ss_network_module": "networks.lora", "ss_mixed_precision": "fp16"}, "merge-tool"),
        ({"sshs_blocks": "1,1"}, "merge-tool"),
        ({"sd_merge_models": "{}"}, "merge-tool"),
        ({"ss_training_comment": "dimension"}, None),
        ({"format": "pt"}, None),
    ],
)  # fmt: skip
def test_the_trainer_is_named_only_where_it_is_certain(
    metadata: dict[str, str], trainer: str | None
) -> None:
    assert read(**metadata).recipe.trainer == trainer


@pytest.mark.parametrize(
    ("module", "args", "algo"),
    [
        ("networks.lora", None, "lora"),
        ("networks.lora", {"conv_dim": "8"}, "locon"),
        ("networks.lora", {"conv_dim": "0"}, "lora"),
        ("networks.lora", {"conv_block_dims": "4,4"}, "locon"),
        ("networks.lora_flux", None, "lora"),
        ("networks.lora_fa", None, "lora"),
        ("networks.dylora", {"unit": "4"}, "lora"),
        ("networks.oft", None, "oft"),
        ("networks.loha", None, "loha"),
        ("locon.locon_kohya", None, "locon"),
        ("lycoris.kohya", None, "locon"),
        ("lycoris.kohya", {"conv_dim": "0"}, "lora"),
        ("lycoris.kohya", {"algo": "lora", "preset": "attn-mlp"}, "lora"),
        ("lycoris.kohya", {"algo": "lora", "preset": "mine.toml"}, None),
        ("lycoris.kohya", {"algo": "LoHa"}, "loha"),
        ("lycoris.kohya", {"algo": "lokr", "preset": "attn-mlp"}, "lokr"),
        ("lycoris.kohya", {"algo": "diag-oft"}, "oft"),
        ("lycoris.kohya", {"algo": "ia3", "dora_wd": "True"}, "ia3"),
        ("lycoris.kohya", {"algo": "locon", "dora_wd": "True"}, "dora"),
        ("lycoris.kohya", {"algo": "locon", "dora_wd": "False"}, "locon"),
        ("lycoris.kohya", {"algo": "of tomorrow"}, None),
        ("lycoris.kohya", {"algo": ["lokr"]}, None),
        ("somebody.else", {"algo": "lokr"}, None),
    ],
)
def test_the_algorithm_follows_from_module_and_arguments(
    module: str, args: dict[str, Any] | None, algo: str | None
) -> None:
    assert read(ss_network_module=module, ss_network_args=args).recipe.network_algo == algo


@pytest.mark.parametrize(
    ("key", "algo"),
    [("ss_num_train_images", None), ("ss_min_snr_gamma", "locon"), ("ss_v2", "locon")],
)
def test_a_module_of_lycoris_says_nothing_before_arguments_were_written(
    key: str, algo: str | None
) -> None:
    metadata = {"ss_network_module": "lycoris.kohya", "ss_num_train_images": "5", key: "1"}
    if key == "ss_v2":
        del metadata["ss_num_train_images"]
    assert read(**metadata).recipe.network_algo == algo


@pytest.mark.parametrize(
    ("comment", "dim"),
    [
        ("dimension is resized from 128 to 4; mine", 128),
        ("dimension is resized from 32 to 8; dimension is resized from 128 to 32; ", 128),
        ("Dynamic resize with sv_ratio: 0.9 from 64; ", 64),
        ("dimension is resized from 32 to 8 (conv: 4); mine", 32),
        ("dimension is resized from 32 to 8 (conv: 4); dimension is resized from 64 to 32; ", 64),
        ("Resized from dim 32 to 8", 32),
        ("Dynamic resize with sv_fro: 0.9 from dim 64", 64),
        ("split from DyLoRA, rank 32 to 8; ", 32),
        ("split from DyLoRA from 32 to 8; ", 32),
        ("I think the dimension is resized from 9 to 5; ", None),
        ("dimension is resized from 99999999999 to 4; ", None),
    ],
)
def test_the_rank_before_a_resize_stands_in_the_comment(comment: str, dim: int | None) -> None:
    assert read(ss_training_comment=comment, ss_network_dim="4").recipe.original_dim == dim


@pytest.mark.parametrize(
    ("raw", "name", "path", "args"),
    [
        ("torch.optim.adamw.AdamW", "AdamW", "torch.optim.adamw.AdamW", None),
        ("adamw", "adamw", None, None),
        ("a.B()", "B", "a.B", None),
        ("a.B(betas=(0.9, 0.99),eps=1e-08)", "B", "a.B", {"betas": [0.9, 0.99], "eps": 1e-08}),
        ("a.B(x={'y': (1,)},z=[1, [2]])", "B", "a.B", {"x": {"y": [1]}, "z": [1, [2]]}),
        ("a.B(clip=inf,big=99999999999999999999,foreach=None)", "B", "a.B",
         {"clip": "inf", "big": "99999999999999999999", "foreach": None}),
        ("a.B(mode=fast,url=k=v)", "B", "a.B", {"mode": "fast", "url": "k=v"}),
        ("a.B(['x=1', 'y=(0.9, 0.99)'])", "B", "a.B", {"x": 1, "y": [0.9, 0.99]}),
        ("None", None, None, None),
    ],
)  # fmt: skip
def test_optimizers(
    raw: str, name: str | None, path: str | None, args: dict[str, Any] | None
) -> None:
    decoded = read(ss_optimizer=raw)
    assert decoded.recipe.optimizer == name
    assert decoded.recipe.optimizer_path == path
    assert decoded.recipe.optimizer_args == args
    assert decoded.problems == ()


@pytest.mark.parametrize(
    ("raw", "name", "settings"),
    [
        ("cosine", "cosine", None),
        ("cosine with restarts", "cosine with restarts", None),
        ("OneCycleLR()", "OneCycleLR", None),
        ("CosineAnnealingLR(T_max=400, eta_min=1e-6)", "CosineAnnealingLR",
         {"lr_scheduler_args": {"T_max": 400, "eta_min": 1e-6}}),
        ("StepLR(['step_size=50', 'gamma=0.5', 'at=[1, 2]'])", "StepLR",
         {"lr_scheduler_args": {"step_size": 50, "gamma": 0.5, "at": [1, 2]}}),
        ("StepLR({'step_size': 50, 'mode': 'fast'})", "StepLR",
         {"lr_scheduler_args": {"step_size": 50, "mode": "fast"}}),
        ("torch.optim.lr_scheduler.StepLR(gamma=0.5)", "StepLR",
         {"lr_scheduler_type": "torch.optim.lr_scheduler.StepLR",
          "lr_scheduler_args": {"gamma": 0.5}}),
        ("mine.schedules.Rex", "Rex", {"lr_scheduler_type": "mine.schedules.Rex"}),
        ("N/A", None, None),
    ],
)  # fmt: skip
def test_a_schedule_is_named_and_its_arguments_are_kept(
    raw: str, name: str | None, settings: dict[str, Any] | None
) -> None:
    decoded = read(ss_lr_scheduler=raw)
    assert decoded.recipe.lr_scheduler == name
    assert decoded.recipe.other_settings == settings
    assert decoded.problems == ()


def test_arguments_of_a_schedule_that_cannot_be_read_are_kept_as_text() -> None:
    decoded = read(ss_lr_scheduler="StepLR(50, 0.5)")
    assert decoded.recipe.lr_scheduler == "StepLR"
    assert found(decoded) == {(problems.MALFORMED, "lr_scheduler")}
    assert decoded.recipe.other_settings == {"ss_lr_scheduler": "StepLR(50, 0.5)"}


def test_an_optimizer_that_cannot_be_read_is_kept_as_text() -> None:
    decoded = read(ss_optimizer="a.B(lr", ss_network_dim="1")
    assert decoded.recipe.optimizer is None
    assert found(decoded) == {(problems.MALFORMED, "optimizer")}
    assert decoded.recipe.other_settings == {"ss_optimizer": "a.B(lr"}


@pytest.mark.parametrize(
    ("raw", "rates"),
    [
        ("0.0001", (0.0001,)),
        ("[5e-05, 1e-05]", (5e-05, 1e-05)),
        ("[0]", (0.0,)),
        ("[]", None),
        ("None", None),
    ],
)
def test_text_encoder_rates(raw: str, rates: tuple[float, ...] | None) -> None:
    decoded = read(ss_text_encoder_lr=raw, ss_learning_rate="0.5").recipe
    assert decoded.text_encoder_lrs == rates
    assert decoded.text_encoder_lr == (rates and rates[0])
    assert decoded.effective_text_encoder_lr == (rates[0] if rates else 0.5)


@pytest.mark.parametrize(
    ("raw", "steps", "ratio"),
    [("50", 50, None), ("0", 0, None), ("0.05", None, 0.05), ("50.0", 50, None), ("1.0", 1, None)],
)
def test_warmup_is_steps_or_a_share(raw: str, steps: int | None, ratio: float | None) -> None:
    decoded = read(ss_lr_warmup_steps=raw).recipe
    assert (decoded.lr_warmup_steps, decoded.lr_warmup_ratio) == (steps, ratio)


def test_the_rate_of_adafactor_does_not_replace_one_that_is_given() -> None:
    decoded = read(ss_lr_scheduler="adafactor:0.5", ss_learning_rate="0.25").recipe
    assert (decoded.lr_scheduler, decoded.learning_rate) == ("adafactor", 0.25)
    assert read(ss_lr_scheduler="adafactor:None").recipe.learning_rate is None


def test_what_is_too_long_stays_in_the_header() -> None:
    decoded = read(thumbnail="a" * 70_000, note="b", **{"k" * 300: "c"})
    assert decoded.recipe.other_settings == {"note": "b"}
    assert [problem.code for problem in decoded.problems] == [problems.TOO_LONG] * 2
    assert max(len(problem.field) for problem in decoded.problems) <= 80


def test_other_settings_are_bounded_together() -> None:
    decoded = read(**{f"key{number}": "a" * 50_000 for number in range(100)})
    kept = decoded.recipe.other_settings or {}
    assert sum(map(len, kept.values())) <= recipe.MAX_SETTINGS_CHARS
    assert len(kept) == 5
    assert len(decoded.problems) == recipe.MAX_LEFT_OUT + 1
