import json
import math
from typing import Any

import pytest

from crawler.decode import embedded_json, problems
from crawler.decode.dialect_result import MAX_PER_FIELD
from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Outcome

NESTED = (
    "ss_datasets",
    "ss_dataset_dirs",
    "ss_reg_dataset_dirs",
    "ss_tag_frequency",
    "ss_bucket_info",
)


def read(**metadata: Any) -> Decoded:
    """Decode metadata; nested values are written as JSON."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return decode(Header(length=0, tensors={}, metadata=texts))


def found(decoded: Decoded) -> set[tuple[str, str]]:
    return {(problem.code, problem.field) for problem in decoded.problems}


@pytest.mark.parametrize("raw", ["(512, 768)", "512,768", "[512, 768]", " ( 512 , 768 ) "])
def test_resolutions(raw: str) -> None:
    decoded = read(ss_resolution=raw).recipe
    assert (decoded.resolution_width, decoded.resolution_height) == (512, 768)
    assert decoded.resolution == math.sqrt(512 * 768)


@pytest.mark.parametrize("raw", ["512", "(512,)", "[512.0]"])
def test_one_number_is_a_square(raw: str) -> None:
    assert read(ss_resolution=raw).recipe.resolution == 512.0


@pytest.mark.parametrize("raw", ["(1, 2, 3)", "wide", "(0, 512)", "()", "(None, 512)"])
def test_what_is_no_resolution(raw: str) -> None:
    decoded = read(ss_resolution=raw)
    assert decoded.recipe.resolution is None
    assert [problem.field for problem in decoded.problems] == ["resolution"]


def test_a_folder_in_two_datasets_counts_its_images_once() -> None:
    subset = {"img_count": 10, "num_repeats": 1, "image_dir": "leaf", "is_reg": False}
    sizes = [{"resolution": side, "subsets": [subset]} for side in (512, 768, 1024)]
    decoded = read(ss_datasets=sizes, ss_num_train_images="30").recipe
    assert (decoded.image_count, decoded.mean_repeats) == (10, 3.0)


@pytest.mark.parametrize(
    ("tags", "images"),
    [
        ({"dataset": {"tern": 1}}, 30),
        ({"dataset": {"tern": 1}}, None),
        ({"1_tern": {"tern": 1, "reed": 1}}, 30),
    ],
)
def test_a_few_words_counted_once_are_no_counts(tags: dict[str, Any], images: int | None) -> None:
    folders = {} if images is None else {"3_tern": {"n_repeats": 3, "img_count": images}}
    decoded = read(ss_tag_frequency=tags, ss_dataset_dirs=folders)
    assert decoded.recipe.tag_count is None
    assert decoded.tags == {}
    assert (decoded.recipe.other_settings or {})["ss_tag_frequency"] == json.dumps(tags)


@pytest.mark.parametrize(
    ("tags", "images"),
    [
        ({"1_tern": {"tern": 2}}, 30),
        ({"1_tern": {"tern": 1}}, 1),
        ({"1_tern": {"on a wire": 1, "over the sea": 1}}, 2),
    ],
)
def test_counts_of_every_image_are_counts(tags: dict[str, Any], images: int) -> None:
    folders = {"1_tern": {"n_repeats": 1, "img_count": images}}
    decoded = read(ss_tag_frequency=tags, ss_dataset_dirs=folders)
    assert decoded.recipe.tag_count == len(tags["1_tern"])


def test_folders_of_one_name_in_one_dataset_are_two() -> None:
    subset = {"img_count": 10, "num_repeats": 1, "image_dir": "leaf", "is_reg": False}
    decoded = read(ss_datasets=[{"subsets": [subset, subset]}])
    assert decoded.recipe.image_count == 20
    assert [one.number for one in decoded.directories] == [0, 1]


def test_the_summary_beside_the_datasets_is_not_counted_again() -> None:
    subset = {"img_count": 10, "num_repeats": 2, "image_dir": "leaf", "is_reg": False}
    decoded = read(
        ss_datasets=[{"subsets": [subset]}],
        ss_dataset_dirs={"leaf": {"n_repeats": 2, "img_count": 10}},
    )
    assert decoded.recipe.image_count == 10
    assert len(decoded.directories) == 1
    assert decoded.recipe.other_settings is None


def test_the_summary_serves_when_the_datasets_cannot_be_read() -> None:
    decoded = read(
        ss_datasets='[{"subsets": ',
        ss_dataset_dirs={"leaf": {"n_repeats": 2, "img_count": 10}},
    )
    assert decoded.recipe.image_count == 10
    assert [one.dataset_number for one in decoded.directories] == [None]
    assert found(decoded) == {(problems.NOT_JSON, "datasets")}
    assert decoded.recipe.other_settings == {"ss_datasets": '[{"subsets": '}


def test_tags_of_the_datasets_serve_when_there_is_no_summary() -> None:
    decoded = read(
        ss_datasets=[
            {"tag_frequency": {"a": {"x": 1, "y": 2}}},
            {"tag_frequency": {"a": {"x": 1}, "b": {"x": 5}}},
        ]
    )
    assert decoded.tags == {"a": {"x": 1, "y": 2}, "b": {"x": 5}}
    assert decoded.recipe.tag_count == 2


def test_more_tags_than_are_kept_are_told() -> None:
    half = embedded_json.MAX_TAGS // 2 + 1
    decoded = read(ss_tag_frequency={folder: dict.fromkeys(range(half), 2) for folder in "ab"})
    assert (dict(decoded.tags), decoded.recipe.tag_count) == ({}, None)
    assert (problems.TOO_LONG, "tags") in found(decoded)
    assert "100,002 tags; at most 100,000 are kept" in {it.detail for it in decoded.problems}


def test_tags_are_cleaned_one_by_one_where_they_must_be() -> None:
    decoded = read(ss_tag_frequency='{"a\\u0000": {"x\\ud800": 1, "y": 2.0, "z": null, "é": 3}}')
    assert decoded.tags == {"a\ufffd": {"x\ufffd": 1, "y": 2, "é": 3}}
    assert found(decoded) == {(problems.OUT_OF_RANGE, "tags")}


def test_damage_without_end_is_counted_not_listed() -> None:
    tags = {str(number): -1 for number in range(1000)}
    decoded = read(ss_tag_frequency={"a": tags}, ss_network_dim="1")
    assert len(decoded.problems) == MAX_PER_FIELD + 1
    assert decoded.problems[-1].code == problems.AND_MORE
    assert "980" in decoded.problems[-1].detail


def test_deep_nesting_where_data_is_expected() -> None:
    decoded = read(**dict.fromkeys(NESTED, "[" * 100_000), ss_network_args='{"a":' * 100_000)
    assert {problem.code for problem in decoded.problems} <= {
        problems.TOO_DEEP,
        problems.NOT_JSON,
        problems.TOO_LONG,
    }
    assert decoded.outcome is Outcome.NO_METADATA


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("ss_datasets", [{}] * (embedded_json.MAX_DATASETS + 1), "datasets"),
        ("ss_datasets", [{"subsets": [{}] * 6_000}] * 2, "datasets"),
        ("ss_dataset_dirs", {str(n): {} for n in range(10_001)}, "directories"),
        ("ss_bucket_info", {"buckets": {str(n): {} for n in range(1_001)}}, "datasets.buckets"),
        ("ss_network_args", {"preset": "a" * 70_000}, "network_args"),
    ],
)
def test_more_than_any_run_has_is_left_out(key: str, value: Any, field: str) -> None:
    decoded = read(**{key: value})
    assert (problems.TOO_LONG, field) in found(decoded)
    assert decoded.directories == ()
    assert decoded.recipe.network_args is None


def test_a_damaged_dataset_does_not_hide_the_others() -> None:
    decoded = read(ss_datasets=[7, {"batch_size_per_device": "two", "resolution": [512, 512]}])
    assert [one.resolution_width for one in decoded.datasets] == [None, 512]
    assert found(decoded) == {
        (problems.WRONG_SHAPE, "datasets"),
        (problems.NOT_A_NUMBER, "datasets.batch_size"),
    }


def test_a_fine_tuning_goes_by_its_metadata_file() -> None:
    subset = {"img_count": 5, "image_dir": "pictures", "metadata_file": "meta.json"}
    (directory,) = read(ss_datasets=[{"subsets": [subset]}]).directories
    assert directory.name == "meta.json"
    assert directory.settings == {"image_dir": "pictures"}
