"""The bytes behind the files: sound where they should be, and with numbers that agree."""

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from safetensors import SafetensorError, safe_open

from crawler.model import Outcome
from crawler.sandbox import Catalogue, Faults
from crawler.sandbox.entries import Body, Content, Upload

SIZE = 160


def uploads(catalogue: Catalogue) -> Iterator[Upload]:
    for index in range(len(catalogue)):
        for release in catalogue.releases(index):
            yield from release.uploads


def write(content: Content, path: Path) -> Path:
    """A sparse file: the zeros behind the header take no room."""
    with path.open("wb") as file:
        file.write(content.beginning)
        file.truncate(content.size)
    return path


def read_header(content: Content) -> dict[str, Any]:
    length = int.from_bytes(content.beginning[:8], "little")
    header: dict[str, Any] = msgspec.json.decode(content.beginning[8 : 8 + length])
    return header


@pytest.fixture(scope="module")
def plain() -> Catalogue:
    return Catalogue(SIZE, faults=Faults.plain())


@pytest.fixture(scope="module")
def headers(plain: Catalogue) -> list[dict[str, Any]]:
    """Of every file, the oldest first."""
    return [read_header(plain.content(upload)) for upload in uploads(plain)]


def test_the_library_opens_what_is_sound(plain: Catalogue, tmp_path: Path) -> None:
    architectures = set()
    everything = list(uploads(plain))
    for upload in everything[:: len(everything) // 60]:
        content = plain.content(upload)
        path = write(content, tmp_path / "file.safetensors")
        header = read_header(content)
        with safe_open(path, framework="np") as opened:
            assert set(opened.keys()) == header.keys() - {"__metadata__"}
            assert opened.metadata() == header["__metadata__"]
        architectures.add(header["__metadata__"].get("ss_base_model_version"))
    assert {"sdxl_base_v1-0", "flux1"} <= architectures


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(bad_header=1.0), {"refused"}),
        (Faults(no_metadata=1.0), {"nothing", "{'format': 'pt'}"}),
    ],
)
def test_a_switch_decides_what_the_library_says(
    faults: Faults, expected: set[str], tmp_path: Path
) -> None:
    catalogue = Catalogue(30, faults=faults)
    told = set()
    for upload in uploads(catalogue):
        path = write(catalogue.content(upload), tmp_path / "file.safetensors")
        try:
            with safe_open(path, framework="np") as opened:
                metadata = opened.metadata()
                told.add("nothing" if metadata is None else str(metadata))
        except SafetensorError:
            told.add("refused")
    assert told == expected


@pytest.mark.parametrize(
    ("faults", "beginning"),
    [
        (Faults(html_body=1.0), b"<!DOCTYPE html>"),
        (Faults(zip_body=1.0), b"PK\x03\x04"),
        (Faults(lfs_body=1.0), b"version https://git-lfs"),
    ],
)
def test_other_formats_begin_as_they_do(faults: Faults, beginning: bytes) -> None:
    catalogue = Catalogue(3, faults=faults)
    for upload in uploads(catalogue):
        content = catalogue.content(upload)
        assert content.part(0, len(beginning)) == beginning
        assert len(content.part(0, min(content.size, 4096))) == min(content.size, 4096)


def test_a_huge_header_is_sound_and_huge(tmp_path: Path) -> None:
    catalogue = Catalogue(1, faults=Faults(huge_header=1.0))
    content = catalogue.content(next(uploads(catalogue)))
    path = tmp_path / "huge.safetensors"
    path.write_bytes(content.part(0, content.size))
    with safe_open(path, framework="np") as opened:
        assert list(opened.keys()) == []
    assert content.size > 32 * 1024 * 1024


def test_a_giant_is_sound_and_as_long_as_its_tensors_say(tmp_path: Path) -> None:
    catalogue = Catalogue(3, faults=Faults(giant_body=1.0))
    for upload in uploads(catalogue):
        content = catalogue.content(upload)
        assert content.size > 24 * 1024**3
        with safe_open(write(content, tmp_path / "giant"), framework="np") as opened:
            assert "unused.weight" in opened.keys()  # noqa: SIM118 - it is no dict


def test_headers_are_as_large_as_real_ones(headers: list[dict[str, Any]]) -> None:
    counts: dict[str, set[int]] = {}
    for header in headers:
        told = header["__metadata__"]
        base = told.get("ss_base_model_version", "sd_v1")
        counts.setdefault(base, set()).add(len(header) - 1)
    assert {576, 792} <= counts["sd_v1"]
    assert {2166, 2958} <= counts["sdxl_base_v1-0"]
    assert 912 in counts["flux1"]


def test_the_numbers_of_a_run_agree(headers: list[dict[str, Any]]) -> None:
    layouts = set()
    for header in headers:
        told = header["__metadata__"]
        if "ss_steps" not in told:
            continue
        per_epoch = ceil(
            int(told["ss_num_batches_per_epoch"]) / int(told["ss_gradient_accumulation_steps"])
        )
        assert int(told["ss_steps"]) == per_epoch * int(told["ss_epoch"])
        assert int(told["ss_max_train_steps"]) == per_epoch * int(told["ss_num_epochs"])
        folders = json.loads(told["ss_dataset_dirs"])
        images = sum(it["n_repeats"] * it["img_count"] for it in folders.values())
        assert int(told["ss_num_train_images"]) == images
        seconds = float(told["ss_training_finished_at"]) - float(told["ss_training_started_at"])
        assert 0.05 < seconds / int(told["ss_steps"]) < 200
        layouts.add("ss_datasets" in told)
        buckets = (
            json.loads(told["ss_datasets"])[0]["bucket_info"]
            if "ss_datasets" in told
            else json.loads(told["ss_bucket_info"])
        )
        if buckets is not None:
            counted = sum(bucket["count"] for bucket in buckets["buckets"].values())
            assert counted == images + int(told["ss_num_reg_images"])
        for folder, tags in json.loads(told["ss_tag_frequency"]).items():
            assert max(tags.values()) <= folders[folder]["img_count"]
    assert layouts == {True, False}


def test_values_are_text_as_python_prints_it(headers: list[dict[str, Any]]) -> None:
    seen: dict[str, set[str]] = {}
    for header in headers:
        for key, value in header["__metadata__"].items():
            assert isinstance(value, str)
            seen.setdefault(key, set()).add(value)
    assert {"None", "225"} == seen["ss_max_token_length"]
    assert {"0.0001", "1.0", "None"} <= seen["ss_learning_rate"]
    assert "(512, 512)" in seen["ss_resolution"]
    assert {"True", "False"} == seen["ss_cache_latents"]
    assert "[5e-05, 5e-05]" in seen["ss_text_encoder_lr"]
    assert {"bitsandbytes.optim.adamw.AdamW8bit", "torch.optim.adamw.AdamW"} < seen["ss_optimizer"]
    assert any(dim.isdigit() and int(dim) > 64 for dim in seen["ss_network_dim"])
    assert any(
        comment.startswith("dimension is resized from") for comment in seen["ss_training_comment"]
    )
    assert {"lycoris.kohya", "networks.lora", "networks.lora_flux"} == seen["ss_network_module"]


def test_older_trainers_know_fewer_keys(headers: list[dict[str, Any]]) -> None:
    counts = [
        sum(key.startswith("ss_") for key in header["__metadata__"])
        for header in (*headers[:10], *headers[-10:])
    ]
    full = [count for count in counts if count > 10]
    assert full[0] < 50
    assert full[-1] > 65


def test_a_lists_size_is_the_files_size() -> None:
    catalogue = Catalogue(60)
    for index in range(len(catalogue)):
        sizes = {
            file["id"]: file["sizeKB"] * 1024
            for version in catalogue.item(index, "")["modelVersions"]
            for file in version["files"]
        }
        for file_id, size in sizes.items():
            upload = catalogue.find_file(file_id)
            assert upload is not None
            true_size = catalogue.content(upload).size
            assert size in {true_size, true_size + true_size // 10}


def test_truth_knows_what_each_body_is() -> None:
    catalogue = Catalogue(300)
    truth = catalogue.truth()
    bodies = {
        truth[upload.file_id]
        for upload in uploads(catalogue)
        if upload.file_id in truth
        and upload.refusal is None
        and upload.name.endswith(".safetensors")
        and upload.body is Body.TRAINED
    }
    assert bodies == {Outcome.DECODED}
