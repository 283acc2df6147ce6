"""Recorded headers in the forms in which they can be had, made into files.

| name                | what it is                                                      |
|---------------------|-----------------------------------------------------------------|
| `*.safetensors`     | a whole file                                                    |
| `*.hdr`             | its beginning; `full_size` stands in the `*.hdr.json` beside it |
| `*.metadata.json`   | `__metadata__`, bare or under `metadata`                        |
| `*.paste.json`      | the same under `parsed_pairs`                                   |
| `*.shapes.json`     | tensor name -> `shape`                                          |
| `*.keys.json`       | tensor names alone                                              |

The last four are put into a sound header; values that are no text become JSON, tensors without a
dtype F16, tensors without a shape scalars.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from crawler.errors import UsageError
from crawler.sandbox import headers
from crawler.sandbox.entries import Content
from crawler.sandbox.tensors import Skeleton

_HALF_BYTES = 2  # of an F16
_PARTS = (".metadata.json", ".paste.json", ".shapes.json", ".keys.json")
# Where only metadata is known
_STAND_IN: Mapping[str, Sequence[int]] = {"lora_unet_made_up.lora_down.weight": (4, 320)}


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded header, under the name of the file it came from."""

    name: str
    content: Content


def read_recordings(folder: Path) -> tuple[Recording, ...]:
    """Every header of a folder, by name.

    Raises:
        UsageError: The folder holds none, or one that cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error}") from error
    found = []
    for path in paths:
        try:
            content = _read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is no recorded header: {error}") from error
        if content is not None:
            found.append(Recording(path.name, content))
    if not found:
        raise UsageError(f"{folder} holds no recorded headers")
    return tuple(found)


def _read(path: Path) -> Content | None:
    if path.suffix == ".safetensors":
        whole = path.read_bytes()
        return Content(whole, len(whole))
    if path.suffix == ".hdr":
        sizes = json.loads(path.with_name(f"{path.name}.json").read_bytes())
        return Content(path.read_bytes(), int(sizes["full_size"]))
    kind = "".join(path.suffixes[-2:])
    return _wrapped(kind, json.loads(path.read_bytes())) if kind in _PARTS else None


def _wrapped(kind: str, recorded: Any) -> Content:
    """A sound header around the part that was recorded."""
    shapes, metadata = _STAND_IN, None
    match kind:
        case ".metadata.json":
            metadata = recorded.get("metadata", recorded)
        case ".paste.json":
            metadata = recorded["parsed_pairs"]
        case ".shapes.json":
            shapes = {name: entry["shape"] for name, entry in recorded.items()}
        case _:
            shapes = dict.fromkeys(recorded, ())
    texts = metadata and {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }
    entries, offset = [], 0
    for name, shape in shapes.items():
        end = offset + prod(shape) * _HALF_BYTES
        entry = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, end]}
        entries.append(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}")
        offset = end
    header = headers.sound(texts, Skeleton(",".join(entries), len(entries), offset))
    return Content(header, len(header) + offset)
