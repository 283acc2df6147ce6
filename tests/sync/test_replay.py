"""Recorded list bodies and recorded headers, synced into both databases."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from safetensors import SafetensorError, safe_open

from bench.measure import Bench, Sizes
from crawler.model import Outcome
from crawler.store.schema.tables import loras
from tests.factories import TENSOR_BYTES, make_header_bytes
from tests.replay import Recording, Replay, read_recordings
from tests.sync.conftest import run_crawl

CORPUS = Path(os.environ.get("LORA_CRAWL_CORPUS") or Path(__file__).parents[3] / "shared/corpus")

#: Recorded models that are synced: several pages of the list.
MODELS = 50


def recorded(number: int) -> dict[str, Any]:
    """A model in the shape of 2023."""
    file = {
        "id": 900 + number,
        "name": f"made_up_{number}.safetensors",
        "type": "Model",
        "sizeKB": 1.5,
        "primary": True,
    }
    version = {"id": 500 + number, "name": "v1", "baseModel": "SD 1.5", "files": [file]}
    stats = {"downloadCount": 10 * number, "favoriteCount": number}
    item = {"id": number, "name": f"Made up {number}", "type": "LORA", "nsfw": False}
    return {**item, "stats": stats, "modelVersions": [version]}


def read_by_the_library(recording: Recording, path: Path) -> bool:
    """Whether the safetensors library opens the recorded file."""
    with path.open("wb") as file:
        file.write(recording.beginning)
        file.truncate(recording.size)
    try:
        with safe_open(path, framework="np"):
            return True
    except SafetensorError:
        return False


def check(engine: sa.Engine, replay: Replay, path: Path) -> None:
    """Sync it; every file is stored once, and its outcome is what the library says of its bytes."""
    with replay.running() as site:
        run_crawl(engine, site)  # type: ignore[arg-type]
    with engine.connect() as connection:
        columns = (loras.c.file_id, loras.c.outcome, loras.c.attempts)
        rows = {row.file_id: row for row in connection.execute(sa.select(*columns))}
    assert rows.keys() == {file["id"] for file in replay.files()}
    fetched = {file_id for file_id, row in rows.items() if row.attempts}
    assert sorted(replay.asked) == sorted(fetched)
    sound = {it.name: read_by_the_library(it, path) for it in replay.recordings}
    for file_id in fetched:
        read = rows[file_id].outcome in (Outcome.DECODED, Outcome.NO_METADATA)
        assert read == sound[replay.recording(file_id).name], file_id


def test_every_form_of_a_recording_is_synced(engine: sa.Engine, tmp_path: Path) -> None:
    folder = tmp_path / "headers"
    folder.mkdir()
    header = make_header_bytes()
    size = len(header) + TENSOR_BYTES
    (folder / "whole.safetensors").write_bytes(header + bytes(size - len(header)))
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "cut.hdr").write_bytes(header)
    (folder / "cut.hdr.json").write_text(json.dumps({"full_size": size}))
    metadata = {"ss_network_dim": "8", "ss_tag_frequency": {"1_x": {"猫": 1}}}
    (folder / "bare.metadata.json").write_text(json.dumps(metadata))
    (folder / "text.paste.json").write_text(json.dumps({"parsed_pairs": metadata}))
    recordings = read_recordings(folder)
    assert len(recordings) == 5

    check(engine, Replay([recorded(number) for number in range(1, 43)], recordings), tmp_path / "f")


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no folder of real data at {CORPUS}")
def test_real_recordings(engine: sa.Engine, tmp_path: Path) -> None:
    items = json.loads((CORPUS / "civitai" / "models_2023-07.json").read_bytes())["items"]
    recordings = read_recordings(CORPUS / "headers")
    assert len(recordings) > 20

    check(engine, Replay(items[:MODELS], recordings), tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="no process tells its memory there")
def test_many_large_headers_take_the_memory_of_few(sqlite_template: Path, tmp_path: Path) -> None:
    tags = json.dumps({"1_x": {f"made up tag {number}": 1 for number in range(250_000)}})
    header = make_header_bytes({"ss_network_dim": "8", "ss_tag_frequency": tags})
    place = tmp_path / "large.db"
    place.write_bytes(sqlite_template.read_bytes())
    items = [recorded(number) for number in range(1, 17)]
    with Replay(items, [Recording("large", header, len(header) + TENSOR_BYTES)]).running() as site:
        words = ("sync", "--api-url", site.url, "--rate", "0", "--db", str(place), "--quiet")
        # Through a small process: the memory of what starts a program counts as the program's own.
        used = Bench(tmp_path, Sizes()).run(sys.executable, "-m", "crawler", *words)

    engine = sa.create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(loras.c.outcome))) == {Outcome.DECODED}
    engine.dispose()
    assert used.peak < 500_000_000
