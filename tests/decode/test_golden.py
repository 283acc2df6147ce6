"""Golden pairs: metadata as a trainer writes it, and everything that must be read from it.

A pair is a JSON file in the folder of its trainer. `metadata` holds what the trainer writes; where
that is JSON within text the file holds the JSON, and it is written out here as Python's `json` does.
`tensors` is optional. The rest is what must come out: `outcome`, `expect` (every attribute of
`Recipe` that is not None), `datasets`, `directories`, `tags` and `problems` (code and field).
All of them are made up; real metadata is read in test_corpus_metadata.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Tensor

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
    assert told(decode(header_of(pair))) == wanted


def test_there_are_golden_pairs() -> None:
    assert len(PAIRS) > 10
