"""Two LoRAs side by side, as data."""

from datetime import UTC, datetime
from typing import Any

from crawler.insight.diff import Pair, Side, compare, identity


def pairs_of(a: Side, b: Side, *, differing: bool = True) -> dict[str, tuple[Any, Any]]:
    return {pair.name: (pair.a, pair.b) for pair in compare(a, b) if pair.differs or not differing}


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
    assert Pair("", "x", a=True, b=1).differs
    assert not Pair("", "x", a=1, b=1.0).differs


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
    assert [(pair.name, pair.a, pair.b) for pair in identity(a, b)] == [
        ("file_id", 1, None),
        ("model_name", "Marble", None),
        ("file_name", None, "night.safetensors"),
    ]
