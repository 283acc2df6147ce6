"""musubi-tuner, ai-toolkit, SimpleTuner, diffusers and PEFT: who is told by what; runs are golden pairs."""

import json
from typing import Any

import pytest

from crawler.decode import problems
from crawler.decode.recipe import decode
from crawler.model import Decoded, Header


def read(**metadata: Any) -> Decoded:
    """Decode metadata; nested values are written as JSON."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return decode(Header(length=0, tensors={}, metadata=texts))


def found(decoded: Decoded) -> set[tuple[str, str]]:
    return {(one.code, one.field) for one in decoded.problems}


DIFFUSERS = {"modelspec.implementation": "diffusers", "modelspec.sai_model_spec": "1.0.1"}


@pytest.mark.parametrize(
    ("metadata", "trainer"),
    [
        ({"ss_num_train_items": "4"}, "musubi-tuner"),
        ({"ss_network_module": "networks.lora_hv_1_5"}, "musubi-tuner"),
        ({"ss_network_module": "musubi_tuner.networks.lora_wan"}, "musubi-tuner"),
        ({"ss_network_module": "networks.lokr", "ss_base_model_version": "z_image"}, "musubi-tuner"),
        ({"ss_network_module": "networks.lora_flux", "ss_base_model_version": "flux_kontext"},
         "musubi-tuner"),
        ({"ss_network_module": "networks.lora_flux", "ss_base_model_version": "flux1",
          "ss_v2": "False"}, "kohya"),
        ({"ss_network_module": "networks.lora_wan", "ss_sd_scripts_commit_hash": "ab"}, "kohya"),
        ({"ss_base_model_version": "wan"}, None),
        ({"ss_network_module": "networks.loha", "ss_base_model_version": "flux_2_klein_9b_edit"},
         "musubi-tuner"),
        ({"ss_network_module": "networks.lora_qwen_image_21"}, "musubi-tuner"),
        ({"ss_network_module": "lycoris.kohya", "ss_base_model_version": "z_image"}, "musubi-tuner"),
        ({"ss_network_module": "lycoris.kohya", "ss_base_model_version": "wan", "ss_v2": "False"},
         "kohya"),
        ({"ss_network_module": "networks.lora", "ss_base_model_version": "minimax_h3"},
         "musubi-tuner"),
        ({"ss_network_module": "peft.LoraModel", "ss_base_model_version": "krea2"}, None),
        ({"ss_network_module": "networks.lora", "ss_base_model_version": "waneri"}, None),
        ({"software": '{"name": "ai-toolkit", ...}'}, "ai-toolkit"),
        ({"software": '{"name": "ai-tool"}'}, None),
        ({"ot_revision": "a1b2c3d"}, "onetrainer"),
        ({**DIFFUSERS, "trained_words": "kelp"}, "simpletuner"),
        ({**DIFFUSERS, "global_step": "7"}, "simpletuner"),
        ({**DIFFUSERS, "lora_adapter_metadata": '{"unet.r": 4}'}, "simpletuner"),
        (DIFFUSERS, None),
        ({**DIFFUSERS, "trained_words": "kelp", "ss_network_module": "networks.lora",
          "ss_v2": "False"}, "kohya"),
        ({"lycoris_config": '{"linear_dim": 4}'}, "simpletuner"),
        ({"lycoris_config": "mine.toml"}, None),
        ({"lora_adapter_metadata": '{"text_encoder_2.r": 4}'}, "diffusers"),
        ({"lora_adapter_metadata": '{"r": 4}'}, "peft"),
        ({"lora_adapter_metadata": "{"}, "peft"),
        ({"lora_config": '{"r": 4, "lora_alpha": 4}'}, "peft"),
        ({"lora_config": '{"rank": 4, "alpha": 4, "adapter_type": "lora"}'}, None),
        ({"format": "pt"}, None),
    ],
)  # fmt: skip
def test_who_trained_is_told_by_what_nobody_else_writes(
    metadata: dict[str, str], trainer: str | None
) -> None:
    assert read(**metadata).recipe.trainer == trainer


def dataset(**settings: Any) -> dict[str, Any]:
    return {"image_directory": "kelp", "num_repeats": 3, "batch_size_per_device": 1, **settings}


def test_images_are_counted_where_all_datasets_repeat_them_alike() -> None:
    recipe = read(ss_num_train_items="30", ss_datasets=[dataset(), dataset()]).recipe
    assert (recipe.image_count, recipe.num_train_images, recipe.mean_repeats) == (10, 30, 3.0)


@pytest.mark.parametrize(
    ("datasets", "images"),
    [
        ([dataset(resolution=[side, side]) for side in (512, 768, 1024)], 10),
        ([dataset(resolution=side, num_repeats=side // 512) for side in (512, 1024)], 30),
        ([dataset(resolution=side, image_directory=name) for side in (8, 9) for name in "ab"], 15),
        ([dataset(resolution=512), dataset(resolution=512), dataset(resolution=512)], 30),
        ([dataset(resolution=side, image_directory=name) for side, name in ((8, "a"), (9, "a"), (9, "b"))],
         None),
        ([dataset(resolution=side, image_directory="") for side in (512, 1024)], None),
    ],
)  # fmt: skip
def test_a_folder_at_several_resolutions_is_one_set_of_images(
    datasets: list[Any], images: int | None
) -> None:
    recipe = read(ss_num_train_items="90", ss_datasets=datasets).recipe
    assert recipe.image_count == images


def test_a_bare_rank_fills_the_network_and_no_trainer() -> None:
    recipe = read(rank="64.0", alpha="32", format="pt").recipe
    assert (recipe.trainer, recipe.network_dim, recipe.network_scale) == (None, 64, 0.5)
    assert recipe.other_settings == {"format": "pt"}
    assert read(network_alpha="8").recipe.network_alpha == 8.0
    own = read(rank="64", ss_network_dim="8").recipe
    assert (own.network_dim, own.other_settings) == (8, {"rank": "64"})


@pytest.mark.parametrize("rank", ["high", "0", "-4", "1e400", ""])
def test_another_meaning_of_the_word_rank_is_no_rank(rank: str) -> None:
    decoded = read(rank=rank, alpha="clear")
    assert (decoded.recipe.network_dim, decoded.recipe.network_alpha) == (None, None)
    assert decoded.problems == ()


def test_mflux_names_its_base() -> None:
    recipe = read(mflux_version="0.9.1", model="harbour/kelp-4b").recipe
    assert (recipe.trainer, recipe.base_model_version) == (None, "harbour/kelp-4b")
    assert recipe.other_settings == {"mflux_version": "0.9.1"}
    assert read(model="kelp-4b").recipe.base_model_version is None


@pytest.mark.parametrize(
    ("items", "datasets"),
    [
        ("30", [dataset(), dataset(num_repeats=2)]),
        ("31", [dataset()]),
        ("30", [{"video_directory": "surf", "num_repeats": 3}]),
        ("30", [{"image_directory": "kelp"}]),
        ("30", []),
        ("-3", [dataset()]),
        ("30", [dataset(num_repeats=0)]),
    ],
)
def test_otherwise_how_many_there_were_is_not_known(items: str, datasets: list[Any]) -> None:
    recipe = read(ss_num_train_items=items, ss_datasets=datasets).recipe
    assert (recipe.image_count, recipe.mean_repeats) == (None, None)


def test_datasets_without_counts_tell_only_what_they_share() -> None:
    large, small = dataset(resolution=[1024, 768]), dataset(resolution=[512, 512])
    recipe = read(ss_num_train_items="6", ss_datasets=[large, small]).recipe
    assert (recipe.resolution, recipe.resolution_width, recipe.batch_size) == (None, None, 1)
    assert read(ss_num_train_items="6", ss_datasets=[large, large]).recipe.resolution_width == 1024


def test_the_folder_of_a_dataset_is_a_directory() -> None:
    decoded = read(ss_num_train_items="6", ss_datasets=[dataset(image_directory="/home/mira/kelp")])
    assert [(one.name, one.repeats) for one in decoded.directories] == [("kelp", 3)]
    assert decoded.datasets[0].settings is None


def test_a_trigger_word_is_no_count_of_tags() -> None:
    software = {"name": "ai-toolkit"}
    decoded = read(software=software, ss_tag_frequency={"1_kelp": {"kelp": 1}})
    assert (dict(decoded.tags), decoded.recipe.tag_count) == ({}, None)
    assert decoded.recipe.other_settings == {"ss_tag_frequency": '{"1_kelp": {"kelp": 1}}'}


def test_tags_of_more_than_half_of_the_captions_are_no_count_of_tags() -> None:
    decoded = read(**DIFFUSERS, trained_words="a", ss_tag_frequency={"kelp": {"kelp": 40}})
    assert (dict(decoded.tags), decoded.recipe.tag_count) == ({}, None)


@pytest.mark.parametrize(
    ("config", "algo"),
    [
        ({"algo": "lokr"}, "lokr"),
        ({"algo": "loha", "dora_wd": True}, "dora"),
        ({"algo": "lora"}, None),
        ({"algo": "lora", "conv_dim": 0}, "lora"),
        ({"algo": "lora", "apply_preset": {"target_module": ["Attention"]}}, None),
        ({"algo": "kelp"}, None),
    ],
)
def test_algorithms_of_a_lycoris_network(config: dict[str, Any], algo: str | None) -> None:
    assert read(lycoris_config={"linear_dim": 4, **config}).recipe.network_algo == algo


@pytest.mark.parametrize(
    ("config", "algo"),
    [
        ({"lora_alpha": 4}, "lora"),
        ({"peft_type": "LORA", "use_dora": True}, "dora"),
        ({"peft_type": "LOKR"}, "lokr"),
        ({"peft_type": "KELP", "lora_alpha": 4}, None),
        ({"lora_alpha": 4, "use_dora": "perhaps"}, None),
        ({}, None),
    ],
)
def test_algorithms_of_an_adapter(config: dict[str, Any], algo: str | None) -> None:
    assert read(lora_adapter_metadata={"r": 4, **config}).recipe.network_algo == algo


def test_the_rank_of_an_adapter_is_that_of_what_is_denoised() -> None:
    def both(name: str) -> dict[str, Any]:
        return {"text_encoder.r": 4, "text_encoder.lora_alpha": 2, f"{name}.r": 16}

    for name in ("unet", "transformer"):
        recipe = read(lora_adapter_metadata=both(name)).recipe
        assert (recipe.network_dim, recipe.network_alpha) == (16, None)
        assert recipe.network_args == {"text_encoder": {"r": 4, "lora_alpha": 2}}
    alone = read(lora_adapter_metadata={"text_encoder.r": 4}).recipe
    assert (alone.network_dim, alone.network_args) == (4, None)


def test_what_cannot_be_read_of_an_adapter_is_kept_as_text() -> None:
    decoded = read(lora_adapter_metadata='{"unet.r": 16, "unet.lora_al')
    assert decoded.recipe.other_settings == {
        "lora_adapter_metadata": '{"unet.r": 16, "unet.lora_al'
    }
    assert found(decoded) == {(problems.NOT_JSON, "network_args")}
