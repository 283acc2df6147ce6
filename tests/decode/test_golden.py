"""Golden pairs: metadata as a trainer writes it, and everything that must be read from it.

A pair is a JSON file in the folder of its trainer. `metadata` holds what the trainer writes; where
that is JSON within text the file holds the JSON, and it is written out here as Python's `json` does.
`tensors` is optional, and `weights` (what they must say) with it. The rest is what must come out:
`outcome`, `expect` (every attribute of `Recipe` that is not None), `datasets`, `directories`, `tags`
and `problems` (code and field). A folder of its own has one pair for each architecture, named after it.
All of them are made up; real ones are read in test_corpus_metadata and test_corpus_tensors.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Tensor, Trainer

#: Every architecture of the public list.
ARCHITECTURES = {
    "sd1",
    "sd2",
    "sdxl",
    "sd3",
    "flux1",
    "flux2",
    "chroma",
    "hunyuan-video",
    "qwen-image",
    "wan",
    "z-image",
    "lumina2",
    "ltx",
    "hidream",
    "anima",
    "krea2",
    "ideogram4",
    "kandinsky5",
    "ernie",
    "minimax-h3",
    "llm",
}

GOLDEN = Path(__file__).parent / "golden"
PAIRS = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/*.json"))


def header_of(pair: Mapping[str, Any]) -> Header:
    metadata = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in pair["metadata"].items()
    }
    tensors = {
        name: Tensor(one["dtype"], tuple(one["shape"]), (0, 0))
        for name, one in pair.get("tensors", {}).items()
    }
    return Header(length=0, tensors=tensors, metadata=metadata)


def told(decoded: Decoded) -> dict[str, Any]:
    return {
        "outcome": str(decoded.outcome),
        "expect": as_json(decoded.recipe),
        "datasets": [as_json(dataset) for dataset in decoded.datasets],
        "directories": [as_json(directory) for directory in decoded.directories],
        "tags": decoded.tags,
        "problems": [[problem.code, problem.field] for problem in decoded.problems],
    }


def as_json(noun: Any) -> dict[str, Any]:
    pairs = ((field.name, getattr(noun, field.name)) for field in dataclasses.fields(noun))
    return {name: plain(value) for name, value in pairs if value is not None}


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", PAIRS)
def test_a_golden_pair_is_read_as_it_must_be(name: str) -> None:
    pair = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    wanted = {key: value for key, value in pair.items() if key not in {"metadata", "tensors"}}
    decoded = decode(header_of(pair))
    found = told(decoded)
    if "weights" in wanted:
        found["weights"] = as_json(decoded.weights)
    assert found == wanted


def test_every_trainer_and_architecture_has_a_pair() -> None:
    pairs = {name: json.loads((GOLDEN / name).read_text(encoding="utf-8")) for name in PAIRS}
    trainers = {pair["expect"].get("trainer") for pair in pairs.values()} - {None}
    architectures = {
        Path(name).stem: pair["weights"]["architecture"]
        for name, pair in pairs.items()
        if Path(name).parent.name == "architectures"
    }

    assert trainers == set(Trainer) - {Trainer.DIFFUSION_PIPE}
    assert set(architectures) == ARCHITECTURES
    assert all(name == architecture for name, architecture in architectures.items())
