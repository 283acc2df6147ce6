"""dataset.toml: each setting in its place."""

import copy
from typing import Any

from crawler.insight.export.draft import Kind
from tests.insight.files import FOLDERS, LANTERN, Made, recipe_of


def configured(subset: dict[str, Any] | None = None, **dataset: object) -> Made:
    """The run with a dataset config, its dataset and its subset changed."""
    datasets = copy.deepcopy(LANTERN["ss_datasets"])
    datasets[0]["subsets"][0].update(subset or {})
    datasets[0].update(dataset)
    return recipe_of(LANTERN, datasets=datasets)


def test_a_run_with_a_dataset_config() -> None:
    made = recipe_of(LANTERN, caption_dropout_rate="0.05", face_crop_aug_range="2.0,4.0")
    assert made.datasets == [
        {
            "resolution": [512, 768],
            "batch_size": 2,
            "enable_bucket": True,
            "min_bucket_reso": 256,
            "max_bucket_reso": 1024,
            "bucket_reso_steps": 64,
            "subsets": [
                {
                    "image_dir": "REPLACE_ME/night",
                    "class_tokens": "lantern",
                    "caption_extension": ".txt",
                    "num_repeats": 6,
                    "shuffle_caption": True,
                    "keep_tokens": 1,
                    "caption_dropout_rate": 0.05,
                    "face_crop_aug_range": [2.0, 4.0],
                }
            ],
        }
    ]
    assert "caption dropout" in made.notes(Kind.ASSUMED)


def test_a_run_of_folders() -> None:
    made = recipe_of(FOLDERS)
    (dataset,) = made.datasets
    assert dataset["resolution"] == [512, 768]
    assert (dataset["batch_size"], dataset["enable_bucket"]) == (4, False)
    assert "bucket_reso_steps" not in dataset
    trained, regular = dataset["subsets"]
    assert trained["image_dir"] == "REPLACE_ME/6_lantern night"
    assert (trained["class_tokens"], trained["num_repeats"]) == ("lantern night", 6)
    assert (trained["keep_tokens"], trained["flip_aug"]) == (2, True)
    assert (regular["is_reg"], regular["class_tokens"]) == (True, "lamp")
    assert "is_reg" not in trained
    assert "class_tokens" in made.notes(Kind.ASSUMED)


def test_a_folder_whose_number_is_not_its_repeats_names_no_class() -> None:
    made = recipe_of(FOLDERS, dataset_dirs={"6_lantern": {"n_repeats": 2, "img_count": 1}})
    assert "class_tokens" not in made.datasets[0]["subsets"][0]


def test_fine_tuning_has_a_metadata_file() -> None:
    made = configured({"metadata_file": "night.json", "is_reg": None, "class_tokens": None})
    (subset,) = made.datasets[0]["subsets"]
    assert subset["metadata_file"] == "REPLACE_ME/night.json"
    assert "caption_extension" not in subset
    assert "caption_extension" not in made.notes(Kind.ASSUMED)


def test_fine_tuning_has_no_regularisation_images() -> None:
    made = recipe_of(FOLDERS, dataset_dirs={"night.json": {"n_repeats": 1, "img_count": 5}})
    assert [one["metadata_file"] for one in made.datasets[0]["subsets"]] == [
        "REPLACE_ME/night.json"
    ]
    assert "1_lamp" in made.notes(Kind.CONFLICT)["is_reg"]


def test_several_datasets_keep_their_own_settings() -> None:
    first = LANTERN["ss_datasets"][0]
    second = {**first, "resolution": [1024, 1024], "batch_size_per_device": 1}
    made = recipe_of(LANTERN, datasets=[first, second])
    assert [one["resolution"] for one in made.datasets] == [[512, 768], [1024, 1024]]
    assert [one["batch_size"] for one in made.datasets] == [2, 1]
    assert [len(one["subsets"]) for one in made.datasets] == [1, 1]


def test_a_dataset_without_folders_still_has_a_subset() -> None:
    made = configured(subsets=[])
    assert made.datasets[0]["subsets"] == [
        {"image_dir": "REPLACE_ME/images", "caption_extension": ".txt", "num_repeats": 1}
    ]
    assert "num_repeats" in made.notes(Kind.ASSUMED)


def test_the_step_of_buckets_fits_what_is_recorded() -> None:
    def step(*sides: int) -> int:
        buckets = {"0": {"resolution": list(sides), "count": 1}}
        made = configured(bucket_info={"buckets": buckets})
        return int(made.datasets[0]["bucket_reso_steps"])

    assert step(512, 768) == 64
    assert step(512, 736) == 32
    assert step(513, 768) == 64  # no step makes such a size: nothing is learnt from it


def test_settings_of_a_subset_that_cannot_be_read_are_named_once() -> None:
    made = configured({"keep_tokens": "many", "caption_prefix": "by night, "})
    (subset,) = made.datasets[0]["subsets"]
    assert "keep_tokens" not in subset
    assert subset["caption_prefix"] == "by night, "
    assert "keep_tokens" in made.notes(Kind.CONFLICT)


def test_validation_stands_with_its_dataset() -> None:
    made = recipe_of(
        LANTERN, validation_split="0.1", validation_seed="7", max_validation_steps="20",
        resize_interpolation="area",
    )  # fmt: skip
    (dataset,) = made.datasets
    assert (dataset["validation_split"], dataset["validation_seed"]) == (0.1, 7)
    assert dataset["resize_interpolation"] == "area"
    assert made.config["max_validation_steps"] == 20


def test_what_nobody_recorded_is_assumed() -> None:
    made = recipe_of({"ss_network_module": "networks.lora", "ss_base_model_version": "sdxl_x"})
    assert (made.datasets[0]["resolution"], made.datasets[0]["batch_size"]) == ([1024, 1024], 1)
    assert {"resolution", "batch_size", "num_repeats"} <= made.notes(Kind.ASSUMED).keys()


def test_folders_by_the_hundred_are_named_in_one_note() -> None:
    folders = {f"{n}_night": {"n_repeats": "x", "img_count": 1} for n in range(200)}
    made = recipe_of(FOLDERS, dataset_dirs=folders)
    assert len(made.datasets[0]["subsets"]) == 201
    assert len(made.recipe.notes) < 100
