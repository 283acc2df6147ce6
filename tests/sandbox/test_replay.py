"""Recorded replies and headers behind the same endpoints."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from safetensors import SafetensorError, safe_open

from crawler.errors import UsageError
from crawler.sandbox import Replay, Sandbox
from crawler.sandbox.recordings import read_recordings
from tests.sandbox.asking import ORIGIN, ask, ids, pages

CORPUS = Path(os.environ.get("LORA_CRAWL_CORPUS") or Path(__file__).parents[3] / "shared/corpus")


def recorded(number: int, **more: Any) -> dict[str, Any]:
    """A model in the shape of 2023."""
    file = {
        "id": 900 + number,
        "name": f"made_up_{number}.safetensors",
        "type": "Model",
        "sizeKB": 1.5,
        "metadata": {"format": "SafeTensor"},
        "downloadUrl": f"https://civitai.com/api/download/models/{500 + number}?type=Model",
        "primary": True,
    }
    version = {
        "id": 500 + number,
        "name": "v1",
        "baseModel": "SD 1.5",
        "createdAt": f"2023-05-{1 + number:02d}T10:00:00.000Z",
        "files": [file],
        "images": [],
        "downloadUrl": f"https://civitai.com/api/download/models/{500 + number}",
    }
    stats = {"downloadCount": 10 * number, "favoriteCount": number, "commentCount": 1}
    item = {
        "id": 40 - number,
        "name": f"Made up {number}",
        "type": "LORA",
        "nsfw": False,
        "poi": False,
        "tags": ["character"],
        "creator": {"username": "nobody", "image": None},
        "stats": stats,
        "modelVersions": [version],
    }
    return {**item, **more}


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    items = [recorded(number) for number in range(1, 10)]
    items.append(recorded(10, mode="Archived"))
    path = tmp_path / "bodies.json"
    path.write_text(json.dumps({"items": items}))
    return path


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    folder = tmp_path / "headers"
    folder.mkdir()
    text = b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}'
    header = len(text).to_bytes(8, "little") + text
    (folder / "whole.safetensors").write_bytes(header + bytes(8))
    (folder / "cut.hdr").write_bytes(header)
    (folder / "cut.hdr.json").write_text(json.dumps({"full_size": len(header) + 8}))
    metadata = {"ss_network_dim": "8", "ss_tag_frequency": {"1_x": {"猫": 1}}}
    (folder / "bare.metadata.json").write_text(json.dumps(metadata))
    (folder / "under.metadata.json").write_text(json.dumps({"metadata": metadata, "_source": 1}))
    (folder / "text.paste.json").write_text(json.dumps({"parsed_pairs": metadata}))
    shapes = {"x.lora_down.weight": {"dtype": None, "shape": [4, 320]}, "x.alpha": {"shape": []}}
    (folder / "list.shapes.json").write_text(json.dumps(shapes))
    (folder / "names.keys.json").write_text(json.dumps(["x.alpha", "y.alpha", "y.alpha"]))
    (folder / "INDEX.md").write_text("what this is")
    return folder


def test_every_form_becomes_a_file_the_library_opens(headers: Path, tmp_path: Path) -> None:
    recordings = read_recordings(headers)
    assert len(recordings) == 7
    for recording in recordings:
        path = tmp_path / "file.safetensors"
        path.write_bytes(recording.content.part(0, recording.content.size))
        with safe_open(path, framework="np") as opened:
            told = opened.metadata() or {}
            assert opened.keys()
        if "metadata" in recording.name or "paste" in recording.name:
            assert told["ss_network_dim"] == "8"
            assert json.loads(told["ss_tag_frequency"]) == {"1_x": {"猫": 1}}


def test_the_same_rules_hold_for_what_was_recorded(bodies: Path, headers: Path) -> None:
    replay = Replay(bodies, headers)
    assert ids(*pages(replay, "sort=Oldest&limit=4")) == list(range(39, 30, -1))
    assert ids(*pages(replay, "sort=Most+Downloaded&limit=4")) == list(range(31, 40))
    assert ids(ask(replay, "archived=1&ids=30,31")) == [30, 31]
    item = ask(replay, "ids=39")["items"][0]
    version = item["modelVersions"][0]
    assert version["files"][0]["downloadUrl"] == f"{ORIGIN}/api/download/models/501?type=Model"
    assert item == {**recorded(1), "modelVersions": [version]}


def test_files_are_served(bodies: Path, headers: Path) -> None:
    replay = Replay(bodies, headers)
    with Sandbox(replay) as sandbox, httpx.Client(trust_env=False) as client:
        for number in range(1, 10):
            url = f"{sandbox.url}/api/download/models/{500 + number}?fileId={900 + number}"
            location = client.get(url).headers["location"]
            content = replay.recording(900 + number).content
            assert client.get(location).content == content.part(0, content.size)
        assert client.get(f"{sandbox.url}/api/download/models/510").status_code == 410
        assert client.get(f"{sandbox.url}/api/v1/models/39").json()["name"] == "Made up 1"
        assert client.get(f"{sandbox.url}/api/v1/model-versions/501").json()["modelId"] == 39


def test_an_empty_file_is_served(bodies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "zero.safetensors").write_bytes(b"")
    with Sandbox(Replay(bodies, folder)) as sandbox, httpx.Client(trust_env=False) as client:
        location = client.get(f"{sandbox.url}/api/download/models/501").headers["location"]
        whole = client.get(location)
        assert (whole.status_code, whole.content) == (200, b"")
        assert client.get(location, headers={"Range": "bytes=0-7"}).status_code == 416


def test_what_cannot_be_replayed_is_an_error_in_words(
    bodies: Path, headers: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no recorded headers"):
        Replay(bodies, empty)
    with pytest.raises(UsageError, match="cannot be read"):
        Replay(bodies, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no recorded reply"):
        Replay(tmp_path / "nowhere.json", headers)
    (tmp_path / "none.json").write_text('{"items": []}')
    with pytest.raises(UsageError, match="no models"):
        Replay(tmp_path / "none.json", headers)
    (headers / "odd.paste.json").write_text("{}")
    with pytest.raises(UsageError, match=r"odd\.paste\.json"):
        Replay(bodies, headers)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no folder of real data at {CORPUS}")
def test_real_recordings(tmp_path: Path) -> None:
    replay = Replay(CORPUS / "civitai" / "models_2023-07.json", CORPUS / "headers")
    walk = ids(*pages(replay, "sort=Oldest&limit=20&archived=1"))
    mature = ids(*pages(replay, "sort=Oldest&limit=20&archived=1&nsfw=true"))
    assert len({*walk, *mature}) > 200
    assert len(mature) == len(set(mature))
    opened, refused = set(), set()
    for recording in read_recordings(CORPUS / "headers"):
        path = tmp_path / "file.safetensors"
        with path.open("wb") as file:
            file.write(recording.content.beginning)
            file.truncate(recording.content.size)
        try:
            with safe_open(path, framework="np"):
                opened.add(recording.name)
        except SafetensorError:
            refused.add(recording.name)
    assert len(opened) > 20
    assert all("malformed" in name or "truncated" in name or "2bytes" in name for name in refused)
