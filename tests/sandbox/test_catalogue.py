"""A catalogue is a function of its seed, and so is what becomes of it."""

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError, safe_open

from crawler.model import Outcome
from crawler.sandbox import Catalogue, Changes, Faults
from crawler.sandbox.catalogue import Content, Sort

WEEK = Changes(
    new_models=0.1, new_versions=0.1, new_files=0.1, edited=0.1, stats=0.1, replaced_files=0.1,
    gone_models=0.1, gone_versions=0.1,
)  # fmt: skip


def contents(catalogue: Catalogue) -> Iterator[Content]:
    return map(catalogue.content, catalogue.files.values())


def metadata(catalogue: Catalogue) -> list[dict[str, Any]]:
    """The metadata of every file, the oldest first."""
    found = []
    for content in contents(catalogue):
        length = int.from_bytes(content.beginning[:8], "little")
        found.append(json.loads(content.beginning[8 : 8 + length])["__metadata__"])
    return found


def opened(content: Content, path: Path) -> dict[str, str] | None:
    """What the library reads of a file; the zeros behind the header take no room.

    Raises:
        SafetensorError: The library refuses it.
    """
    with path.open("wb") as file:
        file.write(content.beginning)
        file.truncate(content.size)
    with safe_open(path, framework="np") as tensors:
        assert tensors.keys()
        told: dict[str, str] | None = tensors.metadata()
        return told


@pytest.fixture(scope="module")
def plain() -> Catalogue:
    return Catalogue(100, faults=Faults.plain())


@pytest.fixture(scope="module")
def told(plain: Catalogue) -> list[dict[str, Any]]:
    return metadata(plain)


def test_the_same_seed_makes_the_same_catalogue(plain: Catalogue) -> None:
    again = Catalogue(100, faults=Faults.plain())
    assert again.models == plain.models
    assert list(contents(again))[:20] == list(contents(plain))[:20]
    assert Catalogue(100, seed=1, faults=Faults.plain()).models != plain.models


def test_a_fault_changes_nothing_else() -> None:
    plain, faulty = Catalogue(60, faults=Faults()), Catalogue(60, faults=Faults(mature_only=0.5))
    assert [model.versions for model in plain.models] == [it.versions for it in faulty.models]
    assert plain.truth(mature=False) != faulty.truth(mature=False)
    assert plain.truth() == faulty.truth()


def test_the_library_opens_what_is_sound(plain: Catalogue, tmp_path: Path) -> None:
    for content in list(contents(plain))[::5]:
        assert opened(content, tmp_path / "file.safetensors")


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(bad_header=1.0), {"refused"}),
        (Faults(other_format=1.0), {"refused"}),
        (Faults(no_metadata=1.0), {"None", "{'format': 'pt'}"}),
    ],
)
def test_a_switch_decides_what_the_library_says(
    faults: Faults, expected: set[str], tmp_path: Path
) -> None:
    found = set()
    for content in contents(Catalogue(12, faults=faults)):
        try:
            found.add(str(opened(content, tmp_path / "file.safetensors")))
        except SafetensorError:
            found.add("refused")
    assert found == expected


def test_a_giant_is_as_long_as_its_tensors_say(tmp_path: Path) -> None:
    for content in contents(Catalogue(2, faults=Faults(giant_body=1.0))):
        assert content.size > 24 * 1024**3
        assert opened(content, tmp_path / "giant")


def test_the_numbers_of_a_run_agree(told: list[dict[str, Any]]) -> None:
    whole = [one for one in told if "ss_steps" in one]
    for one in whole:
        batches = int(one["ss_num_batches_per_epoch"])
        assert int(one["ss_steps"]) == batches * int(one["ss_epoch"])
        assert int(one["ss_max_train_steps"]) == batches * int(one["ss_num_epochs"])
        folders = json.loads(one["ss_dataset_dirs"])
        images = sum(it["n_repeats"] * it["img_count"] for it in folders.values())
        assert int(one["ss_num_train_images"]) == images
        assert batches >= ceil(images / int(one["ss_batch_size_per_device"]))
        buckets = json.loads(one["ss_bucket_info"])
        if buckets:
            assert sum(bucket["count"] for bucket in buckets["buckets"].values()) == images
        for folder, tags in json.loads(one["ss_tag_frequency"]).items():
            assert max(tags.values()) == folders[folder]["img_count"]
        seconds = float(one["ss_training_finished_at"]) - float(one["ss_training_started_at"])
        assert 0.05 < seconds / int(one["ss_steps"]) < 60
    assert len(whole) > 50


def test_files_come_from_several_trainers_of_several_years(told: list[dict[str, Any]]) -> None:
    trainers = {
        "onetrainer" if "ot_branch" in one else "ai-toolkit" if "software" in one else "kohya"
        for one in told
    }
    assert trainers == {"onetrainer", "ai-toolkit", "kohya"}
    modules = {one.get("ss_network_module") for one in told}
    assert modules >= {"networks.lora", "networks.lora_flux", "lycoris.kohya"}
    counts = [len(one) for one in told if "ss_learning_rate" in one]
    assert max(counts[:10]) < min(counts[-10:])
    assert any(int(one.get("ss_network_dim", 0)) > 64 for one in told)


def test_truth_knows_every_outcome() -> None:
    never = {Outcome.PENDING, Outcome.FAILED, Outcome.FORBIDDEN}
    assert set(Catalogue(3_000).truth(key=False).values()) == set(Outcome) - never
    forbidden = Catalogue(5, faults=Faults(forbidden=1.0))
    assert set(forbidden.truth(key=False).values()) == {Outcome.LOGIN_REQUIRED}
    assert set(forbidden.truth(key=True).values()) == {Outcome.FORBIDDEN}


def changed(plain: Catalogue, changes: Changes) -> tuple[dict[int, Any], dict[int, Any]]:
    """The models that differ a week later: before and after, None where there is none."""
    before = {model.model_id: model for model in plain.models}
    after = {model.model_id: model for model in plain.later(changes).models}
    ids = [it for it in before.keys() | after.keys() if before.get(it) != after.get(it)]
    return {it: before.get(it) for it in ids}, {it: after.get(it) for it in ids}


def file_ids(model: Any) -> set[int]:
    return {file.file_id for version in model.versions for file in version.files}


def test_a_week_without_changes_changes_nothing(plain: Catalogue) -> None:
    assert plain.later(Changes()).models == plain.models


@pytest.mark.parametrize("change", ["new_versions", "new_files"])
def test_models_get_more_files(plain: Catalogue, change: str) -> None:
    before, after = changed(plain, Changes(**{change: 0.1}))
    assert len(after) == 10
    for model_id, old in before.items():
        new = after[model_id]
        assert len(file_ids(new) - file_ids(old)) == 1
        assert file_ids(old) < file_ids(new)
        assert (new.versions[0].published_at > old.versions[0].published_at) == (
            change == "new_versions"
        )


def test_a_replaced_file_has_other_bytes_under_the_same_id(plain: Catalogue) -> None:
    later = plain.later(Changes(replaced_files=1.0))
    assert later.files.keys() == plain.files.keys()
    for model in list(plain.models)[:5]:
        file_id = model.versions[0].files[0].file_id
        old, new = plain.files[file_id], later.files[file_id]
        assert plain.content(old).beginning != later.content(new).beginning
        assert plain.digest(old.file, "file") != later.digest(new.file, "file")


def test_edits_and_statistics_change_no_file(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(edited=0.1, stats=0.1))
    for model_id, old in before.items():
        new = after[model_id]
        assert old.versions == new.versions
        assert old.name != new.name or old.downloads < new.downloads


def test_what_is_gone_is_gone(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(gone_models=0.1))
    assert set(after.values()) == {None}
    assert len(before) == 10
    before, after = changed(plain, Changes(gone_versions=0.5))
    assert len(before) > 5
    assert all(new.versions == before[it].versions[:-1] for it, new in after.items())


def test_weeks_add_up_and_no_id_comes_twice(plain: Catalogue) -> None:
    later = plain
    for _week in range(4):
        earlier, later = later, later.later(WEEK)
        assert later.truth().keys() - earlier.truth().keys()
        assert earlier.truth().keys() - later.truth().keys()
        times = [rank[0] for rank, _model in later.orders[Sort.OLDEST]]
        assert times == sorted(times)
    versions = [version.version_id for model in later.models for version in model.versions]
    assert len(versions) == len(set(versions))
    assert len(later.files) == sum(len(file_ids(model)) for model in later.models)
