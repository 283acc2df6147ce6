"""dataset.toml: the datasets of a run and their folders, with each setting where the schema has it.

sd-scripts refuses unknown keys and wrong types in this file (`library/config_util.py`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.decode import clean
from crawler.decode.embedded_json import read_literal
from crawler.decode.problems import WRONG_SHAPE, UnreadableError
from crawler.insight.export.draft import DatasetTable, Draft, Option, Reader, placeholder
from crawler.insight.export.scripts import Script
from crawler.model import Dataset, Directory

#: Settings that the metadata has for each subset.
_OF_SUBSET: Mapping[str, Reader] = {
    "color_aug": clean.boolean,
    "flip_aug": clean.boolean,
    "random_crop": clean.boolean,
    "shuffle_caption": clean.boolean,
    "keep_tokens": clean.integer,
    "keep_tokens_separator": clean.string,
    "secondary_separator": clean.string,
    "enable_wildcard": clean.boolean,
    "caption_prefix": clean.string,
    "caption_suffix": clean.string,
    "resize_interpolation": clean.string,
}

#: Without a dataset config: columns of the file that hold for all folders.
_OF_RUN = ("color_aug", "flip_aug", "random_crop", "shuffle_caption", "keep_tokens")

#: A folder without a dataset config: its repeats, and the class for images without a caption.
_FOLDER = re.compile(r"([0-9]{1,9})_(.+)", re.DOTALL)

#: Default size step of buckets, and the smallest one that works, in px.
_STEP, _FINEST_STEP = 64, 8

_TXT = Option("caption_extension", ".txt")


@dataclass(frozen=True, slots=True)
class _Run:
    """The settings that all datasets share.

    Attributes:
        configured: Whether the run had a dataset config.
        captions: Options that every subset gets.
    """

    draft: Draft
    script: Script
    configured: bool
    captions: tuple[Option, ...]


def datasets(draft: Draft, script: Script) -> tuple[DatasetTable, ...]:
    """Every dataset with its folders; one of each if the metadata has none."""
    configured = "ss_datasets" in draft.metadata
    run = _Run(draft, script, configured, tuple(_captions(draft)))
    listed = draft.decoded.datasets or (Dataset(number=0),)
    numbers = {dataset.number for dataset in listed}
    tables = []
    for dataset in listed:
        folders = [
            one
            for one in draft.decoded.directories
            if one.dataset_number == dataset.number
            or (one.dataset_number not in numbers and dataset is listed[0])
        ]
        tables.append(_table(dataset, folders, run))
    if run.captions and configured:
        text = "as on the command line; the dataset config of the run may have differed"
        draft.assumed("caption dropout", text)
    draft.missing("images", "the images and their captions")
    return tuple(tables)


def _captions(draft: Draft) -> list[Option]:
    """Settings of the run that every subset gets."""
    every = draft.metadata.get("ss_caption_dropout_every_n_epochs")
    span = draft.metadata.get("ss_face_crop_aug_range")
    return [
        *draft.columns("caption_dropout_rate", "caption_tag_dropout_rate"),
        *draft.read("caption_dropout_every_n_epochs", clean.integer, every),
        *draft.read("face_crop_aug_range", _two_numbers, span),
    ]


def _two_numbers(raw: Any) -> tuple[float, float] | None:
    """`2.0,4.0` or `(2.0, 4.0)`: least and greatest size of the crop, in sizes of the face."""
    if raw is None or clean.is_absent(str(raw)):
        return None
    numbers = read_literal(f"({raw})")
    both = [clean.number(number) for number in numbers] if isinstance(numbers, list) else []
    match both:
        case [float() as least, float() as most]:
            return least, most
    raise UnreadableError(WRONG_SHAPE, f"{clean.quote(raw)} is not a pair of numbers")


def _table(dataset: Dataset, folders: Sequence[Directory], run: _Run) -> DatasetTable:
    trained = [one for one in folders if not one.is_reg]
    # For fine-tuning the captions are in one JSON file. The subset then has its name.
    tuning = bool(trained) and all(one.name.casefold().endswith(".json") for one in trained)
    subsets = []
    for one in folders:
        if tuning and one.is_reg:
            text = f"left out {clean.quote(one.name)}: fine-tuning has no regularisation images"
            run.draft.conflict_once("is_reg", text)
        else:
            subsets.append(tuple(_subset(one, run, tuning=tuning)))
    if not trained:
        run.draft.assumed("num_repeats", "1, as no folder is recorded")
        images = Option("image_dir", placeholder("images"), "the folder of the images")
        subsets.append((images, _TXT, Option("num_repeats", 1), *run.captions))
    if not tuning:
        text = ".txt; the extension is not recorded, and the default of sd-scripts is .caption"
        run.draft.assumed("caption_extension", text)
    return DatasetTable(tuple(_settings(dataset, run)), tuple(subsets))


def _settings(dataset: Dataset, run: _Run) -> list[Option]:
    """Options of `[[datasets]]` itself."""
    draft, metadata = run.draft, run.draft.metadata
    size = dataset.batch_size or draft.recipe.batch_size
    if size is None:
        size = 1
        draft.assumed("batch_size", "1, the default of sd-scripts; the metadata has none")
    found = [_resolution(dataset, run), Option("batch_size", size)]
    names = ("enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso")
    found += [
        Option(name, value) for name in names if (value := getattr(dataset, name)) is not None
    ]
    if dataset.enable_bucket:
        # The largest step up to the default that divides all sides of the recorded buckets.
        sides = [side for bucket in dataset.buckets or () for side in bucket["resolution"]]
        step = math.gcd(_STEP, *sides)
        step = step if step >= _FINEST_STEP else _STEP
        found.append(Option("bucket_reso_steps", step))
        known = "which fits all buckets" if dataset.buckets else "the default"
        draft.assumed("bucket_reso_steps", f"{step} px, {known}; the step is not recorded")
    resize = (dataset.settings or {}).get("resize_interpolation")
    resize = resize or metadata.get("ss_resize_interpolation")
    return [
        *found,
        *_read(draft, "resize_interpolation", clean.string, resize),
        *draft.read("validation_seed", clean.integer, metadata.get("ss_validation_seed")),
        *draft.read("validation_split", clean.number, metadata.get("ss_validation_split")),
    ]


def _resolution(dataset: Dataset, run: _Run) -> Option:
    width, height = dataset.resolution_width, dataset.resolution_height
    if width is None or height is None:
        recipe = run.draft.recipe
        width, height = recipe.resolution_width, recipe.resolution_height
    if width is None or height is None:
        width = height = run.script.side
        text = f"{width} px, the native size of {run.script.base}; the metadata has none"
        run.draft.assumed("resolution", text)
    return Option("resolution", (width, height))


def _subset(one: Directory, run: _Run, *, tuning: bool) -> list[Option]:
    """One `[[datasets.subsets]]`."""
    images = "" if one.image_count is None else f", {one.image_count:,} images"
    if tuning:
        found = [
            Option("metadata_file", placeholder(one.name), f"metadata of the images{images}"),
            Option("image_dir", placeholder("images"), "the folder of the images"),
        ]
    else:
        found = [Option("image_dir", placeholder(one.name), f"folder of the images{images}")]
        if one.is_reg:
            found.append(Option("is_reg", value=True))
        found += [*_class_tokens(one, run), _TXT]
    if one.repeats is not None:
        found.append(Option("num_repeats", one.repeats))
    if run.configured:
        settings = one.settings or {}
        for name, reader in _OF_SUBSET.items():
            found += _read(run.draft, name, reader, settings.get(name))
    else:
        found += run.draft.columns(*_OF_RUN)
    return [*found, *run.captions]


def _class_tokens(one: Directory, run: _Run) -> list[Option]:
    if one.class_tokens is not None:
        return [Option("class_tokens", one.class_tokens)]
    named = None if run.configured else _FOLDER.fullmatch(one.name)
    if named is None or int(named[1]) != one.repeats:
        return []
    text = "from the names of the folders, as in sd-scripts without a dataset config"
    run.draft.assumed("class_tokens", text)
    return [Option("class_tokens", named[2])]


def _read(draft: Draft, name: str, reader: Reader, raw: Any) -> list[Option]:
    """The option. `[]` and `[null]`, which sd-scripts writes for an unset separator, give none."""
    return [] if isinstance(raw, list) and raw in ([None], []) else draft.read(name, reader, raw)
