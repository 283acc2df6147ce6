"""Two LoRAs side by side, as data."""

from datetime import UTC, datetime
from typing import Any

from crawler.insight.diff import Compared, Side, compare, differences, identity

#: Ranks of three LoRAs, and a tag of each beside the one that all have.
DIMS = ((8, "b"), (8, "b"), (16, "c"))


def pairs_of(*sides: Side, differing: bool = True) -> dict[str, tuple[Any, ...]]:
    return {one.name: one.values for one in compare(sides) if one.differs or not differing}


def test_only_what_either_says_is_compared_in_the_order_of_the_columns() -> None:
    a = Side(row={"seed": 1, "network_dim": 8, "lr_scheduler": "cosine", "downloads": 5})
    b = Side(row={"seed": 1, "network_dim": 16, "clip_skip": 2, "downloads": 6})
    assert list(pairs_of(a, b, differing=False)) == [
        "network_dim",
        "lr_scheduler",
        "seed",
        "clip_skip",
    ]
    assert pairs_of(a, b) == {
        "network_dim": (8, 16),
        "lr_scheduler": ("cosine", None),
        "clip_skip": (None, 2),
    }


def test_objects_are_compared_entry_by_entry() -> None:
    a = Side(row={"network_args": {"conv_dim": "8", "algo": "lokr"}})
    b = Side(row={"network_args": {"algo": "lokr", "preset": "full"}})
    assert pairs_of(a, b) == {
        "network_args.conv_dim": ("8", None),
        "network_args.preset": (None, "full"),
    }
    assert pairs_of(a, Side(row={})) == {
        "network_args.conv_dim": ("8", None),
        "network_args.algo": ("lokr", None),
    }


def test_a_database_and_a_file_say_the_same_in_their_own_types() -> None:
    file = Side(
        row={
            "training_started_at": datetime(2024, 1, 2, tzinfo=UTC),
            "text_encoder_lrs": (1e-5, 5e-5),
            "network_alpha": 16.0,
        }
    )
    stored = Side(
        row={
            "training_started_at": datetime(2024, 1, 2),  # noqa: DTZ001 -- as SQLite returns it
            "text_encoder_lrs": [1e-5, 5e-5],
            "network_alpha": 16,
        }
    )
    assert pairs_of(file, stored) == {}


def test_a_truth_value_is_no_number() -> None:
    assert Compared("", "x", (True, 1)).differs
    assert not Compared("", "x", (1, 1.0)).differs
    assert Compared("", "x", (1, 1, 2)).differs


def test_what_tells_runs_apart_and_repetitions_are_no_differences() -> None:
    a = {
        "session_id": "1",
        "sd_model_hash": "aa",
        "steps": 10,
        "max_train_steps": 10,
        "training_started_at": datetime(2024, 1, 2, tzinfo=UTC),
        "tensor_rank": 8,
        "unet_lr": None,
        "effective_unet_lr": 1e-4,
        "network_dim": 8,
        "network_alpha": 8,
        "network_scale": 1.0,
        "other_settings": {"modelspec.date": "x", "ss_kept": "1"},
    }
    b = {
        "session_id": "2",
        "sd_model_hash": "bb",
        "steps": 20,
        "max_train_steps": 30,
        "training_started_at": datetime(2025, 1, 2, tzinfo=UTC),
        "tensor_rank": 16,
        "unet_lr": None,
        "effective_unet_lr": 2e-4,
        "network_dim": 8,
        "network_alpha": 8,
        "network_scale": 0.5,
        "other_settings": {"modelspec.date": "y", "ss_kept": "2"},
    }
    found = differences(compare((Side(row=a), Side(row=b))))
    # A scale or a rank that differs alone is told: the metadata does not say why.
    assert {one.name for one in found} == {
        *("steps", "network_scale", "tensor_rank", "other_settings.ss_kept")
    }


def test_the_name_of_a_format_or_of_the_base_is_no_difference() -> None:
    named = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation_version": "sd-scripts/0123456",
        "modelspec.resolution": "1024x1024",
        "format": "pt",
        "ot_branch": "master",
        "modelspec.prediction_type": "v",
        "ss_format_of_captions": "tags",
    }
    found = differences(compare((Side(row={"other_settings": named}), Side(row={}))))
    assert [one.name for one in found] == [
        "other_settings.modelspec.prediction_type",
        "other_settings.ss_format_of_captions",
    ]


def test_three_loras() -> None:
    sides = [Side(row={"network_dim": dim}, tags={"x": {"a": 1, tag: 2}}) for dim, tag in DIMS]
    assert pairs_of(*sides) == {
        "network_dim": (8, 8, 16),
        "tags_only_here": ({}, {}, {"c": 2}),
    }
    assert pairs_of(*sides, differing=False)["tags_shared"] == (1, 1, 1)


def test_datasets_are_compared_where_there_are_several() -> None:
    one = {"number": 0, "batch_size": 2, "buckets": [{}, {}]}
    a = Side(row={}, datasets=[one])
    b = Side(row={}, datasets=[one, {"number": 1, "batch_size": 4, "buckets": None}])
    assert pairs_of(a, a) == {}
    assert pairs_of(a, b) == {"datasets": (1, 2), "datasets.1.batch_size": (None, 4)}


def test_folders_by_name() -> None:
    night = {"name": "night", "repeats": 5, "image_count": 40}
    a = Side(row={}, directories=[night, {**night, "is_reg": True}])
    b = Side(row={}, directories=[{**night, "repeats": None}])
    assert pairs_of(a, b) == {
        "directories.night": ("5 x 40 images", "? x 40 images"),
        "directories.night (2)": ("5 x 40 images for regularisation", None),
    }


def test_tags_that_only_one_has() -> None:
    a = Side(row={}, tags={"x": {"lamp": 3, "night": 9}, "y": {"lamp": 8}})
    b = Side(row={}, tags={"z": {"night": 1, "sea": 2}})
    assert pairs_of(a, b) == {"tags_only_here": ({"lamp": 11}, {"sea": 2})}
    assert pairs_of(a, b, differing=False)["tags_shared"] == (1, 1)
    none = Side(row={})
    assert pairs_of(a, none) == {"tags_only_here": ({"lamp": 11, "night": 9}, None)}
    assert list(pairs_of(a, none)["tags_only_here"][0]) == ["lamp", "night"]


def test_who_they_are() -> None:
    a = Side(row={"file_id": 1, "model_name": "Marble", "creator": None})
    b = Side(row={"file_name": "night.safetensors"})
    assert [(one.name, *one.values) for one in identity((a, b))] == [
        ("file_id", 1, None),
        ("model_name", "Marble", None),
        ("file_name", None, "night.safetensors"),
    ]
