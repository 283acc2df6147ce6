"""musubi-tuner by kohya-ss, for transformers that generate video and images.

It writes sd-scripts' keys. Its datasets are folders or lists, without subsets and counts.
`ss_num_train_items` counts images and clips with repeats and becomes `num_train_images`. Source:
`training/trainer_base.py`, `dataset/image_video_dataset.py`.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from crawler.decode import clean
from crawler.decode.clean import base_name
from crawler.decode.dialect_result import DialectResult, take
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya import network as kohya_network
from crawler.decode.dialects.kohya.datasets import SHARED_COLUMNS
from crawler.model import Dataset, Directory, Problem, Trainer

_PACKAGE = "musubi_tuner."

#: Modules that sd-scripts does not have, with their variants such as `networks.lora_qwen_image_21`.
_MODULES = re.compile(
    r"networks\.lora_(?:wan|framepack|flux_2|qwen_image|zimage|hv_1_5|kandinsky|hidream_o1|"
    r"ideogram4|krea2|ernie_image|mage_flow|minimax_h3|ltx2)(?:_\w+)?"
)

#: Bases that sd-scripts does not train, with their variants such as `qwen_image_layered`. Modules such
#: as `networks.lora` are common to both.
_BASES = re.compile(
    r"(?:hunyuan_video|wan|framepack|flux_kontext|flux_2|qwen_image|kandinsky5|z_image|"
    r"hidream_o1_image|ideogram4|krea2|ernie_image|mage_flow|minimax_h3|ltx2)(?:_\w+)?"
)

#: Settings that name where the images or clips of a dataset are; the first one given counts.
_SOURCES = ("image_directory", "image_jsonl_file", "video_directory", "video_jsonl_file")


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether musubi-tuner wrote this; `--no_metadata` still keeps the module and the base."""
    if "ss_sd_scripts_commit_hash" in metadata:
        return False
    if "ss_num_train_items" in metadata:
        return True
    module = metadata.get("ss_network_module", "")
    if _MODULES.fullmatch(module.removeprefix(_PACKAGE)):
        return True
    base = metadata.get("ss_base_model_version", "")
    is_loaded = module.startswith(("networks.", "lycoris.", _PACKAGE))
    # sd-scripts and its forks write `ss_v2` into every file.
    return is_loaded and "ss_v2" not in metadata and _BASES.fullmatch(base) is not None


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read every key of sd-scripts, and the folders of the datasets."""
    reading = kohya_keys.read(metadata, Trainer.MUSUBI_TUNER)
    problems = list(reading.problems)
    values = dict(reading.values)
    module = values.get("network_module")
    if module is not None and module.startswith(_PACKAGE):
        values["network_algo"] = kohya_network.algo(
            module.removeprefix(_PACKAGE), values.get("network_args"), values.get("conv_dim")
        )
    datasets, directories = reading.datasets, reading.directories
    if datasets and not directories:
        split = [_split(dataset, problems) for dataset in datasets]
        datasets, directories = zip(*split, strict=True)
        values |= _shared(datasets)
        values |= _counts(reading.datasets, directories, values.get("num_train_images"))
    return dataclasses.replace(
        reading, values=values, datasets=datasets, directories=directories, problems=tuple(problems)
    )


def _split(dataset: Dataset, problems: list[Problem]) -> tuple[Dataset, Directory]:
    """The dataset without its folder or list, and that as a directory; its name may be empty."""
    settings = dict(dataset.settings or {})
    source = _source(settings)
    directory = Directory(
        number=dataset.number,
        dataset_number=dataset.number,
        name=base_name(settings.pop(source) if source else ""),
        repeats=take(
            clean.integer, settings.pop("num_repeats", None), "directories.repeats", problems
        ),
    )
    return dataclasses.replace(dataset, settings=settings or None), directory


def _source(settings: Mapping[str, Any]) -> str | None:
    return next((name for name in _SOURCES if isinstance(settings.get(name), str)), None)


def _shared(datasets: Sequence[Dataset]) -> Mapping[str, None]:
    """None for columns in which the datasets differ, as the one with most images is unknown."""
    differing = [
        name for name in SHARED_COLUMNS if len({getattr(one, name) for one in datasets}) > 1
    ]
    if any(name.startswith("resolution") for name in differing):
        differing += ["resolution", "resolution_width", "resolution_height"]
    return dict.fromkeys(differing)


def _counts(
    datasets: Sequence[Dataset], directories: Sequence[Directory], items: int | None
) -> Mapping[str, Any]:
    """Distinct images, if all datasets hold images and use each folder equally often.

    A folder listed at several resolutions is one set of images. A video gives one or more clips, so the
    number of clips says nothing about videos.
    """
    images = all(_source(dataset.settings or {}) in _SOURCES[:2] for dataset in datasets)
    if not images or items is None or items <= 0:
        return {}
    listed: Counter[tuple[Any, ...]] = Counter()
    repeats: Counter[tuple[str, int]] = Counter()
    for dataset, directory in zip(datasets, directories, strict=True):
        if directory.repeats is None or directory.repeats <= 0:
            return {}
        if not directory.name and len(datasets) > 1:
            return {}  # a path that ends in a slash leaves no name
        resolution = dataset.resolution_width, dataset.resolution_height
        # A second folder of the same name and resolution is another folder: only names are recorded.
        same = directory.name, listed[directory.name, resolution]
        listed[directory.name, resolution] += 1
        repeats[same] += directory.repeats
    each = repeats.popitem()[1]
    if any(times != each for times in repeats.values()) or items % each:
        return {}
    return {"image_count": items // each, "mean_repeats": float(each)}
