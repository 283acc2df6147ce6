"""Files that were merged, extracted or resized: who made them, and whose training they do not have."""

import json
from typing import Any

import pytest

from crawler.decode.recipe import decode
from crawler.model import Decoded, Recipe
from crawler.model.recipe import TRAINING
from tests.decode.test_golden import header_of

#: The keys of a training, as the first of the merged files may have them.
TRAINED: dict[str, Any] = {
    "ss_session_id": "5", "ss_learning_rate": "1e-4", "ss_optimizer": "torch.optim.AdamW",
    "ss_lr_scheduler": "cosine", "ss_num_train_images": "60", "ss_steps": "300", "ss_seed": "7",
    "ss_total_batch_size": "2", "ss_resolution": "(512, 512)", "ss_training_comment": "of the first",
    "ss_sd_scripts_commit_hash": "ab" * 20, "ss_network_module": "networks.lora", "ss_v2": "False",
    "ss_network_dim": "8", "ss_network_alpha": "4", "ss_base_model_version": "sd_v1",
    "ss_dataset_dirs": {"3_tern": {"n_repeats": 3, "img_count": 20}},
    "ss_tag_frequency": {"3_tern": {"tern": 20}}, "ss_training_started_at": "1700000000",
    "ss_training_finished_at": "1700003600",
}  # fmt: skip

#: What a merge keeps of it: how the network is built and which base it fits.
OF_THE_FILE = {
    "network_module", "network_dim", "network_alpha", "network_scale", "v2", "base_model_version",
}  # fmt: skip


def read(**metadata: Any) -> Decoded:
    return decode(header_of({"metadata": metadata}))


def filled(recipe: Recipe) -> set[str]:
    return {name for name in TRAINING if getattr(recipe, name) is not None}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ss_soup_ingredients", '{"ckpts": ["a", "b"]}'),
        ("anima_merge_sources", '[{"file": "a", "weight": 1.0}]'),
        ("ss_merged_from", "a, b"),
        ("ss_merged_loras", '["a", "b"]'),
        ("ss_merge_weights", "0.5,0.5"),
        ("modelspec.merged_from", "a, b"),
        ("merge_recipe", "a + b"),
        ("mecha_recipe", "version 0.1.0"),
        ("sshs_ratio", "0.5"),
        ("sshs_cp0", "{}"),
        ("sd_merge_models", '{"a": {}}'),
        ("ss_extracted_from", "tuned.safetensors"),
        ("model_spec.base_lora", '["a"]'),
    ],
)
def test_who_names_its_sources_did_not_train(key: str, value: str) -> None:
    decoded = read(**TRAINED, **{key: value})
    assert decoded.recipe.trainer == "merge-tool"
    assert filled(decoded.recipe) == OF_THE_FILE
    for column in ("session_id", "training_comment", "trainer_version", "images_seen"):
        assert getattr(decoded.recipe, column) is None
    assert (decoded.tags, decoded.directories) == ({}, ())
    assert (decoded.recipe.other_settings or {})["ss_learning_rate"] == "1e-4"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ss_merged_from", "None"),
        ("ss_soup_ingredients", "N/A"),
        ("ss_merge_captions", "True"),
        ("ss_network_rank", "8"),
    ],
)
def test_other_keys_leave_the_trainer_its_training(key: str, value: str) -> None:
    assert read(**TRAINED, **{key: value}).recipe.trainer == "kohya"


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_network_module": "networks.lora", "ss_network_rank": "16", "ss_network_alpha": "8"},
        {"ss_network_rank": "16", "ss_comment": "Extracted", "ss_network_alpha": "8"},
        {"ss_network_rank": "16", "ss_network_alpha": "8", "ss_comment": "Extracted, 200 steps",
         "ss_steps": "200", "ss_learning_rate": "0.01"},
        {"ss_network_dim": "16", "ss_num_train_images": "N/A", "ss_v2": "False",
         "ss_network_module": "networks.lora", "ss_lowram": "False", "ss_network_alpha": "8"},
    ],
)  # fmt: skip
def test_an_extracted_file_has_a_network_and_no_training(metadata: dict[str, str]) -> None:
    recipe = read(**metadata).recipe
    assert recipe.trainer == "merge-tool"
    assert (recipe.network_dim, recipe.network_scale) == (16, 0.5)
    assert filled(recipe) <= OF_THE_FILE | {"network_algo"}


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [({"algo": "loha"}, "loha"), ({"conv_dim": "4", "algo": "lora"}, "locon"), (None, None)],
)
def test_the_arguments_give_the_algorithm(
    arguments: dict[str, str] | None, algorithm: str | None
) -> None:
    metadata = {"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps(arguments)}
    assert read(**metadata, ss_network_rank="4").recipe.network_algo == algorithm
