"""Real bodies of four years, when they are at hand: nothing of them is lost."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from crawler.sources.civitai import payload

FOLDER = Path(
    os.environ.get("LORA_CRAWL_CORPUS") or Path(__file__).resolve().parents[4] / "shared" / "corpus"
)


def body(name: str) -> bytes:
    path = FOLDER / "civitai" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["models_2023-07.json", "list_2024-05.json", "list_2025.json"])
def test_real_lists_are_read_whole(name: str) -> None:
    raw = json.loads(body(name))
    page = payload.page(payload.parse(body(name)))
    assert page.unreadable == ()
    assert [model.model_id for model in page.models] == [item["id"] for item in raw["items"]]
    for model, item in zip(page.models, raw["items"], strict=True):
        check(model, item)


@pytest.mark.parametrize(
    "name", ["list_item_2026-08.json", "model_2026-08.json", "model_2025-09.json"]
)
def test_real_models_are_read_whole(name: str) -> None:
    raw = json.loads(body(name))
    item = raw["items"][0] if "items" in raw else raw
    check(payload.model(item), item)


def check(model: Any, item: dict[str, Any]) -> None:
    assert model.name == item["name"]
    assert model.creator == item.get("creator", {}).get("username")
    assert model.downloads == item["stats"]["downloadCount"]
    assert len(model.versions) == len(item["modelVersions"])
    for version, entry in zip(model.versions, item["modelVersions"], strict=True):
        assert version.base_model == entry["baseModel"]
        assert (version.published_at is None) == (not entry.get("publishedAt"))
        assert len(version.files) == len(entry.get("files", []))
        for file, said in zip(version.files, entry.get("files", []), strict=True):
            assert file.name == said["name"]
            assert file.size_bytes == round(said["sizeKB"] * 1024)
            assert file.sha256 == said["hashes"].get("SHA256")
            assert file.format == said["metadata"].get("format")
