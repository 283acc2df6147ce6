"""A made-up catalogue as files: headers with distinct metadata and few tensor lists, and list pages.

Files have the length that their header describes, but only the header takes space on disk.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from bench.nginx import NUMBER_DIGITS
from crawler.sandbox.drawing import dice_for
from crawler.sandbox.headers import Algo, Base, Network, TensorList, sound, tensor_list
from crawler.sandbox.metadata import digits, metadata
from crawler.sandbox.runs import Run, Trainer, draw_run

#: Base, algorithm, text encoder and share of the files in hundredths. The mean header has 154 KB.
KINDS = (
    (Base.SD1, Algo.LORA, True, 36),
    (Base.SD1, Algo.LORA, False, 12),
    (Base.FLUX1, Algo.LORA, False, 26),
    (Base.SDXL, Algo.LORA, False, 16),
    (Base.SDXL, Algo.LORA, True, 4),
    (Base.SD1, Algo.LOCON, True, 4),
    (Base.SD1, Algo.LOHA, True, 2),
)
DIMS = (4, 8, 16, 32, 64, 128)
BASE_MODELS = {Base.SD1: "SD 1.5", Base.SDXL: "Illustrious", Base.FLUX1: "Flux.1 D"}
TAGS, VOCABULARY = 150, 20_000  # of a file, and distinct tags of all; a few are in most files
PICTURES = 10  # of a version, in a list page
PAGE_MODELS = 100
FIRST_DAY = datetime(2023, 1, 20, tzinfo=UTC)
SAVED_BY = 1_750_000_000.0  # Unix seconds

_ADJECTIVES = ("long", "short", "red", "blue", "silver", "black", "striped", "torn", "open", "old")
_NOUNS = ("hair", "eyes", "scarf", "hat", "gloves", "boots", "coat", "ribbon", "lantern", "window")


def network(number: int, dim: int | None = None) -> Network:
    """The network of a file; each `dim` makes another tensor list, and None draws a usual one."""
    dice = dice_for(0, "network", number)
    base, algo, encoder, _share = dice.choices(KINDS, [share for *_, share in KINDS])[0]
    return Network(
        base=base,
        algo=algo,
        dim=dim or dice.choice(DIMS),
        text_encoder=encoder,
        dtype="BF16" if base is Base.FLUX1 else "F16",
    )


def made_up(number: int, of: Network, tensors: TensorList) -> tuple[bytes, int]:
    """The beginning of a file as sd-scripts saves it, and the length of the whole file.

    The metadata differs from that of every other number.
    """
    dice, name = dice_for(0, "file", number), f"thing{number}"
    run = _tagged(dice, draw_run(dice, Trainer.KOHYA, of, name, SAVED_BY))
    told = metadata(dice, run, f"{name}-v1") | {"sshs_model_hash": digits(64, f"weights {number}")}
    header = sound(told, tensors)
    return header, len(header) + tensors.body_bytes


def file_name(number: int) -> str:
    """The name of a file on disk."""
    return f"{number:0{NUMBER_DIGITS}}.safetensors"


def write_files(folder: Path, count: int) -> list[int]:
    """Write so many files into a folder, where they are missing; returns their sizes in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    lists, sizes = lru_cache(tensor_list), []
    for number in range(count):
        path = folder / file_name(number)
        if not path.exists():
            header, size = made_up(number, network(number), lists(network(number)))
            with path.open("wb") as opened:
                opened.write(header)
                opened.truncate(size)
        sizes.append(path.stat().st_size)
    return sizes


def write_pages(folder: Path, models: int, sizes: list[int]) -> None:
    """Write the list of so many models with one file each, a JSON file per page.

    The page that begins with model N is N.json, and the cursor that leads to it ends with N. With more
    models than files, several models lead to one file on disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(1, models + 1, PAGE_MODELS):
        behind = first + PAGE_MODELS
        items = [_model(model, sizes) for model in range(first, min(behind, models + 1))]
        cursor = f"{_published(behind)[:-1].replace('T', ' ')}|{behind}"
        told = {"nextCursor": cursor} if behind <= models else {}
        (folder / f"{first}.json").write_text(json.dumps({"items": items, "metadata": told}))


def headers(folder: Path) -> Iterator[bytes]:
    """The JSON of the header of each file in a folder."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as opened:
            yield opened.read(int.from_bytes(opened.read(8), "little"))


def _tagged(dice: Random, run: Run) -> Run:
    """The run with TAGS tags, all of them in its first folder."""
    first, *others = run.folders
    tags: dict[str, int] = {}
    while len(tags) < TAGS:
        rest, adjective = divmod(int(VOCABULARY * dice.random() ** 4), len(_ADJECTIVES))
        kind, noun = divmod(rest, len(_NOUNS))
        tags[f"{_ADJECTIVES[adjective]} {_NOUNS[noun]} {kind}"] = dice.randint(1, first.images)
    bare = (replace(folder, tags={}) for folder in others)
    return replace(run, folders=(replace(first, tags=tags), *bare))


def _published(model: int) -> str:
    """When a model was published: each one a minute after the one before."""
    time = FIRST_DAY + timedelta(minutes=model)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _model(model: int, sizes: list[int]) -> dict[str, Any]:
    """A model as the site lists it."""
    number, dice = model % len(sizes), dice_for(0, "model", model)
    whole, downloads = digits(64, f"file {model}").upper(), int(80 / (1 - dice.random()) ** 0.8)
    url = f"http://made.up.invalid/api/download/models/{model}"
    shared = {
        "id": model,
        "nsfwLevel": 1,
        "stats": {"downloadCount": downloads, "thumbsUpCount": downloads // 10},
    }
    file = {
        "id": model * 10**NUMBER_DIGITS + number,
        "sizeKB": sizes[number] / 1024,
        "name": f"thing{number}-v1.safetensors",
        "type": "Model",
        "metadata": {"format": "SafeTensor"},
        "hashes": {"SHA256": whole, "AutoV2": whole[:10], "AutoV3": whole[-12:]},
        "downloadUrl": url,
        "primary": True,
    }
    version = shared | {
        "name": "v1.0",
        "baseModel": BASE_MODELS[network(number).base],
        "publishedAt": _published(model),
        "trainedWords": [f"thing{number}"],
        "files": [file],
        "images": [_picture(f"{model} {place}") for place in range(PICTURES)],
        "downloadUrl": url,
    }
    return shared | {
        "name": f"Made-up {dice.choice(_ADJECTIVES)} {dice.choice(_NOUNS)} {model}",
        "description": f"<p>{' '.join(dice.choices(_NOUNS, k=80))}</p>",
        "type": "LORA",
        "nsfw": False,
        "creator": {"username": f"creator{int(5_000 * dice.random() ** 2)}", "image": None},
        "tags": dice.sample(_NOUNS, 4),
        "modelVersions": [version],
    }


def _picture(name: str) -> dict[str, Any]:
    told = {"hash": digits(32, name), "width": 832, "height": 1216, "type": "image"}
    url = f"https://image.made.up.invalid/{digits(64, name)}/original=true/{digits(32, name)}.jpeg"
    return told | {"url": url, "nsfwLevel": 1, "metadata": told}
