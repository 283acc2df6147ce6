"""dataset.toml: the datasets of a run and their folders, each setting where the schema has it.

sd-scripts refuses unknown keys and wrong types in this file (`library/config_util.py`).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.decode import clean
from crawler.decode.embedded_json import read_literal
from crawler.decode.problems import UnreadableError
from crawler.insight.export.parts import DatasetTable, Kind, Note, Option, Value, placeholder
from crawler.insight.export.scripts import Script
from crawler.model import Dataset, Decoded, Directory

Reader = Callable[[Any], Value | None]

#: What a subset may hold of the settings that the metadata has for it.
_OF_SUBSET: tuple[tuple[str, Reader], ...] = (
    ("color_aug", clean.boolean),
    ("flip_aug", clean.boolean),
    ("random_crop", clean.boolean),
    ("shuffle_caption", clean.boolean),
    ("keep_tokens", clean.integer),
    ("keep_tokens_separator", clean.string),
    ("secondary_separator", clean.string),
    ("enable_wildcard", clean.boolean),
    ("caption_prefix", clean.string),
    ("caption_suffix", clean.string),
    ("resize_interpolation", clean.string),
)

#: The same of a run of plain folders: columns of the file, shared by all of them.
_OF_RUN = ("color_aug", "flip_aug", "random_crop", "shuffle_caption", "keep_tokens")

#: A folder of such a run: how often its images are used, and what the captions name where a caption
#: file is missing.
_FOLDER = re.compile(r"([0-9]{1,9})_(.+)", re.DOTALL)

#: Size step of buckets unless an option says otherwise, px; and the finest step that works.
_STEP, _FINEST_STEP = 64, 8


@dataclass(frozen=True, slots=True)
class _Run:
    """What all datasets share."""

    decoded: Decoded
    script: Script
    configured: bool
    captions: tuple[Option, ...]


def datasets(decoded: Decoded, script: Script, notes: list[Note]) -> tuple[DatasetTable, ...]:
    """Every dataset with its folders; one of each where the metadata tells of none."""
    configured = "ss_datasets" in (decoded.header.metadata or {})
    run = _Run(decoded, script, configured, tuple(_captions(decoded, notes)))
    listed = decoded.datasets or (Dataset(number=0),)
    numbers = {dataset.number for dataset in listed}
    tables = []
    for dataset in listed:
        folders = [
            one
            for one in decoded.directories
            if one.dataset_number == dataset.number
            or (one.dataset_number not in numbers and dataset is listed[0])
        ]
        tables.append(_table(dataset, folders, run, notes))
    if run.captions and configured:
        text = "as the command line had it; the run's own dataset.toml may have said otherwise"
        notes.append(Note(Kind.ASSUMED, "caption dropout", text))
    notes.append(Note(Kind.MISSING, "images", "the images and their captions"))
    return tuple(tables)


def _table(
    dataset: Dataset, folders: Sequence[Directory], run: _Run, notes: list[Note]
) -> DatasetTable:
    trained = [one for one in folders if not one.is_reg]
    tuning = bool(trained) and all(_is_fine_tuning(one) for one in trained)
    subsets = []
    for one in folders if trained else (*folders, None):
        if tuning and one is not None and one.is_reg:
            text = f"{clean.quote(one.name)} is left out: fine-tuning has no regularisation images"
            _note_once(notes, Note(Kind.CONFLICT, "is_reg", text))
        else:
            subsets.append(tuple(_subset(one, run, notes, tuning=tuning)))
    if not tuning:
        text = ".txt: the ending of caption files is not recorded, and sd-scripts expects .caption"
        _note_once(notes, Note(Kind.ASSUMED, "caption_extension", text))
    return DatasetTable(tuple(_settings(dataset, run, notes)), tuple(subsets))


def _settings(dataset: Dataset, run: _Run, notes: list[Note]) -> list[Option]:
    """What stands in `[[datasets]]` itself."""
    found = [_resolution(dataset, run, notes), _batch_size(dataset, run, notes)]
    names = ("enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso")
    found += [
        Option(name, value) for name in names if (value := getattr(dataset, name)) is not None
    ]
    if dataset.enable_bucket:
        step = _bucket_step(dataset)
        found.append(Option("bucket_reso_steps", step))
        known = "which fits all buckets" if dataset.buckets else "the default"
        text = f"{step} px, {known}; the step is not recorded"
        _note_once(notes, Note(Kind.ASSUMED, "bucket_reso_steps", text))
    metadata = run.decoded.header.metadata or {}
    own = (dataset.settings or {}).get("resize_interpolation")
    readers: tuple[tuple[str, Reader, Any], ...] = (
        ("resize_interpolation", clean.string, own or metadata.get("ss_resize_interpolation")),
        ("validation_seed", clean.integer, metadata.get("ss_validation_seed")),
        ("validation_split", clean.number, metadata.get("ss_validation_split")),
    )
    for name, reader, raw in readers:
        found += _read(name, reader, raw, notes)
    return found


def _resolution(dataset: Dataset, run: _Run, notes: list[Note]) -> Option:
    width, height = dataset.resolution_width, dataset.resolution_height
    if width is None or height is None:
        width, height = run.decoded.recipe.resolution_width, run.decoded.recipe.resolution_height
    if width is None or height is None:
        width = height = run.script.side
        text = f"{width} px, which {run.script.base} was made for; the metadata does not say"
        _note_once(notes, Note(Kind.ASSUMED, "resolution", text))
    return Option("resolution", (width, height))


def _batch_size(dataset: Dataset, run: _Run, notes: list[Note]) -> Option:
    size = dataset.batch_size or run.decoded.recipe.batch_size
    if size is None:
        size = 1
        text = "1, the default of sd-scripts; the metadata does not say"
        _note_once(notes, Note(Kind.ASSUMED, "batch_size", text))
    return Option("batch_size", size)


def _bucket_step(dataset: Dataset) -> int:
    """The largest step up to the default of which all sides of the recorded buckets are multiples."""
    sides = [side for bucket in dataset.buckets or () for side in bucket["resolution"]]
    step = math.gcd(_STEP, *sides)
    return step if step >= _FINEST_STEP else _STEP


def _subset(one: Directory | None, run: _Run, notes: list[Note], *, tuning: bool) -> list[Option]:
    """One `[[datasets.subsets]]`; of a folder that nobody named where there is none."""
    if one is None:
        found = [Option("image_dir", placeholder("images"), "the folder of the images")]
        text = "1: no folder is recorded"
        _note_once(notes, Note(Kind.ASSUMED, "num_repeats", text))
        return [
            *found,
            Option("caption_extension", ".txt"),
            Option("num_repeats", 1),
            *run.captions,
        ]
    images = "" if one.image_count is None else f", {one.image_count:,} images"
    what = "metadata of the images" if tuning else "folder of the images"
    if tuning:
        found = [
            Option("metadata_file", placeholder(one.name), what + images),
            Option("image_dir", placeholder("images"), "the folder of the images"),
        ]
    else:
        found = [Option("image_dir", placeholder(one.name), what + images)]
        if one.is_reg:
            found.append(Option("is_reg", value=True))
        found += _class_tokens(one, run, notes)
        found.append(Option("caption_extension", ".txt"))
    if one.repeats is not None:
        found.append(Option("num_repeats", one.repeats))
    settings = one.settings or {}
    if run.configured:
        for name, reader in _OF_SUBSET:
            found += _read(name, reader, settings.get(name), notes)
    else:
        values = ((name, getattr(run.decoded.recipe, name)) for name in _OF_RUN)
        found += [Option(name, value) for name, value in values if value is not None]
    return [*found, *run.captions]


def _class_tokens(one: Directory, run: _Run, notes: list[Note]) -> list[Option]:
    if one.class_tokens is not None:
        return [Option("class_tokens", one.class_tokens)]
    named = None if run.configured else _FOLDER.fullmatch(one.name)
    if named is None or int(named[1]) != one.repeats:
        return []
    text = "taken from the names of the folders, as sd-scripts does without a dataset.toml"
    _note_once(notes, Note(Kind.ASSUMED, "class_tokens", text))
    return [Option("class_tokens", named[2])]


def _captions(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """Settings of a run that stand in every subset."""
    recipe, metadata = decoded.recipe, decoded.header.metadata or {}
    names = ("caption_dropout_rate", "caption_tag_dropout_rate")
    found = [Option(name, value) for name in names if (value := getattr(recipe, name)) is not None]
    every = metadata.get("ss_caption_dropout_every_n_epochs")
    found += _read("caption_dropout_every_n_epochs", clean.integer, every, notes)
    span = metadata.get("ss_face_crop_aug_range")
    return [*found, *_read("face_crop_aug_range", _two_numbers, span, notes)]


def _two_numbers(raw: Any) -> tuple[float, float] | None:
    """`2.0,4.0` or `(2.0, 4.0)`: how much wider than the face the crop is, at least and at most."""
    if raw is None or str(raw).strip() in clean.ABSENT:
        return None
    numbers = read_literal(f"({raw})")
    both = [clean.number(number) for number in numbers] if isinstance(numbers, list) else []
    match both:
        case [float() as least, float() as most]:
            return least, most
    raise UnreadableError("wrong_shape", f"{clean.quote(raw)} is no pair of numbers")


def _read(name: str, reader: Reader, raw: Any, notes: list[Note]) -> list[Option]:
    """The option, unless nothing is said or what is said cannot be read; that is noted."""
    if isinstance(raw, list) and raw in ([None], []):
        return []  # how sd-scripts writes a separator that was never set
    try:
        value = reader(raw)
    except UnreadableError as error:
        _note_once(notes, Note(Kind.CONFLICT, name, f"left out: {error.detail}"))
        return []
    return [] if value is None else [Option(name, value)]


def _is_fine_tuning(one: Directory) -> bool:
    """A subset whose captions stand in one JSON file, by whose name it goes."""
    return one.name.casefold().endswith(".json")


def _note_once(notes: list[Note], note: Note) -> None:
    """Folders by the thousand share a note: the first one speaks for all of its kind and subject."""
    if all((one.kind, one.subject) != (note.kind, note.subject) for one in notes):
        notes.append(note)
