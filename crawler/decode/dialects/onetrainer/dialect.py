"""OneTrainer: branch and commit in every file, and all its settings where it was asked to keep them.

The settings hold paths of a disk; what of them no column takes stands in `other_settings` without
the folders, and without what says nothing of the training. What the file said is in its header.
Source: `modules/modelSaver/mixin/DtypeModelSaverMixin.py`.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import Reading, held, take
from crawler.decode.dialects.kohya import datasets as kohya_datasets
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya.datasets import SHARED_COLUMNS
from crawler.decode.dialects.local_paths import base_name, is_local, without_folders
from crawler.decode.dialects.onetrainer import config as onetrainer_config
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer.names import PATHS, Config, Family, given
from crawler.decode.embedded_json import MAX_DIRECTORIES, an_object, object_or_empty, read_key
from crawler.decode.problems import MALFORMED, TOO_LONG, WRONG_SHAPE, UnreadableError
from crawler.model import Dataset, Directory, Problem, Trainer

#: Beginnings of settings that are about the machine, the program and its windows, or that stand
#: among the folders and in the columns as well.
_IDLE = (
    "__",
    "async_",
    "backup",
    "cache_dir",
    "caching_threads",
    "clear_cache",
    "cloud",
    "concept",
    "continue_last_backup",
    "dataloader_threads",
    "debug",
    "device_indexes",
    "enable_async",
    "fused_gradient",
    "gradient_reduce",
    "include_train_config",
    "only_cache",
    "optimizer_defaults",
    "output_",
    "prefetch",
    "prevent_overwrites",
    "rolling_backup",
    "sample",
    "save_",
    "secrets",
    "temp_device",
    "tensorboard",
    "train_device",
    "validat",
    "workspace_dir",
)

#: Parts of models; a configuration holds all of them, whatever is trained.
_PARTS = frozenset(
    {
        "unet",
        "prior",
        "transformer",
        "unconditional_transformer",
        "vae",
        "effnet_encoder",
        "decoder",
        "decoder_text_encoder",
        "decoder_vqgan",
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
        "text_encoder_4",
    }
)


def text(config: Config, family: Family | None) -> str | None:
    """The settings that are left as JSON, no paths in it; None when there are none.

    What is null or empty is left out, and so are the parts that the model does not have.
    """
    absent = () if family is None else tuple(_PARTS - _parts(config, family))
    rest = {
        name: value
        for name, value in config.settings.items()
        if name not in config.told and not name.startswith((*_IDLE, *absent))
    }
    kept = given(held(rest, "other_settings", config.problems))
    if not kept:
        return None
    return json.dumps(without_folders(kept, PATHS), ensure_ascii=False, separators=(",", ":"))


def _parts(config: Config, family: Family) -> set[str]:
    """The parts of the model; before there was a transformer it stood under `prior`."""
    denoiser = family.denoiser if family.denoiser in config.settings else "prior"
    return {denoiser, *family.encoder_names, "vae"}


_TOLD = frozenset({"name", "path", "enabled", "balancing"})
_COLOURS = ("brightness", "contrast", "saturation", "hue")


def trained(config: Config) -> list[Any]:
    """The concepts that are trained on: enabled, and not there to validate."""
    listed = config.settings.get("concepts")
    found = None if listed is None else take(_listed, listed, "directories", config.problems)
    return [one for one in found or () if not isinstance(one, dict) or _is_trained(one)]


def directories(
    concepts: Sequence[Any], dataset_number: int | None, problems: list[Problem]
) -> tuple[Directory, ...]:
    """A folder for each concept, without the path to it."""
    return tuple(
        _directory(object_or_empty(one, "directories", problems), number, dataset_number, problems)
        for number, one in enumerate(concepts)
    )


def columns(concepts: Sequence[Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Settings of captions and pictures in which all concepts agree."""
    found = [_settings(one, problems) for one in concepts if isinstance(one, dict)]
    if not found:
        return {}
    return {
        name: value for name, value in found[0].items() if all(one[name] == value for one in found)
    }


def _listed(value: Any) -> list[Any]:
    """The value when it is a list of no more than MAX_DIRECTORIES.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    if not isinstance(value, list):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is no list")
    if len(value) > MAX_DIRECTORIES:
        raise UnreadableError(TOO_LONG, f"{len(value):,} of them, {MAX_DIRECTORIES:,} are kept")
    return value


def _is_trained(concept: Mapping[str, Any]) -> bool:
    validates = concept.get("validation_concept") is True or concept.get("type") == "VALIDATION"
    return concept.get("enabled") is not False and not validates


def _directory(
    concept: Mapping[str, Any], number: int, dataset_number: int | None, problems: list[Problem]
) -> Directory:
    """`balancing` is the number of repeats unless the strategy is to draw so many samples."""
    name, path = concept.get("name"), concept.get("path")
    spelt = next((one for one in (name, path) if isinstance(one, str) and one), "")
    by_repeats = concept.get("balancing_strategy", "REPEATS") == "REPEATS"
    repeats = concept.get("balancing") if by_repeats else None
    told = _TOLD if by_repeats else _TOLD - {"balancing"}
    rest = {key: value for key, value in concept.items() if key not in told}
    settings = given(held(rest, "directories.settings", problems))
    kind = concept.get("type")
    return Directory(
        number=number,
        dataset_number=dataset_number,
        name=clean.text(base_name(spelt) if spelt is path or is_local(spelt) else spelt),
        repeats=take(clean.integer, repeats, "directories.repeats", problems),
        is_reg=kind == "PRIOR_PREDICTION" if isinstance(kind, str) else None,
        settings=without_folders(settings, PATHS) or None,
    )


def _settings(concept: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    text, image = (
        inner if isinstance(inner := concept.get(part), dict) else {} for part in ("text", "image")
    )
    colours = [
        take(clean.boolean, image.get(f"enable_random_{name}"), "color_aug", problems)
        for name in _COLOURS
    ]
    shuffled = take(clean.boolean, text.get("enable_tag_shuffling"), "shuffle_caption", problems)
    kept = take(clean.integer, text.get("keep_tags_count"), "keep_tokens", problems)
    return {
        "shuffle_caption": shuffled,
        "keep_tokens": kept if shuffled else None,
        "caption_tag_dropout_rate": _tag_dropout(text, problems),
        "flip_aug": take(clean.boolean, image.get("enable_random_flip"), "flip_aug", problems),
        "color_aug": True if True in colours else (False if False in colours else None),
    }


def _tag_dropout(text: Mapping[str, Any], problems: list[Problem]) -> float | None:
    """The chance of each tag by itself; other modes drop all of them at once, or weigh them."""
    name = "caption_tag_dropout_rate"
    enabled = take(clean.boolean, text.get("tag_dropout_enable"), name, problems)
    if enabled is False:
        return 0.0
    if enabled is None or text.get("tag_dropout_mode") != "RANDOM":
        return None
    return take(clean.number, text.get("tag_dropout_probability"), name, problems)


_CONFIG = "ot_config"
_REVISION = "ot_revision"

#: Where the base stands in every file, so that all of them name it alike; it may be empty.
_ARCHITECTURE = "modelspec.architecture"

#: Written where neither git nor a checkout was at hand.
_NO_GIT = "git not installed"

_RESOLUTION = re.compile(r"\s*([0-9]{1,9})(?:\s*[xX]\s*([0-9]{1,9}))?\s*")


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether OneTrainer left its branch or commit."""
    return "ot_branch" in metadata or _REVISION in metadata


def read(metadata: Mapping[str, str]) -> Reading:
    """The commit, and everything in the settings.

    The few `ss_` keys are there for other tools; what they say, for instance after a resize, goes
    before the settings.
    """
    reading = kohya_keys.read(metadata, Trainer.ONETRAINER)
    problems: list[Problem] = []
    used = {_CONFIG} & metadata.keys()  # it has paths in it, so it is never kept as it is
    settings = read_key(_CONFIG, metadata, an_object, _CONFIG, problems=problems, used=used)
    config = Config(settings or {}, problems)
    values = {
        **onetrainer_config.columns(config),
        **onetrainer_config.network_columns(config),
        **_sides(config),
    }
    family = onetrainer_names.family(values.get("base_model_version"))
    concepts = trained(config)
    values |= columns(concepts, problems)
    if metadata.get(_ARCHITECTURE):
        values["base_model_version"] = None
        config.told.discard("model_type")
    values |= {name: value for name, value in reading.values.items() if value is not None}
    if metadata.get(_REVISION, _NO_GIT) != _NO_GIT:
        version = take(clean.string, metadata[_REVISION], "trainer_version", problems)
        values["trainer_version"] = version
        used.add(_REVISION)
    shared = {name: values.get(name) for name in SHARED_COLUMNS}
    has_dataset = any(value is not None for value in shared.values())
    datasets = (Dataset(number=0, **shared),) if has_dataset else ()
    rest = text(config, family)
    return dataclasses.replace(
        reading,
        values=values,
        datasets=reading.datasets or datasets,
        directories=reading.directories
        or directories(concepts, 0 if has_dataset else None, problems),
        problems=(*reading.problems, *problems),
        used=reading.used | used,
        rewritten={} if rest is None else {_CONFIG: rest},
    )


def _sides(config: Config) -> Mapping[str, Any]:
    """`512` or `768x1024`, in px; of several with commas none is the one, and no column takes them."""
    raw = config.settings.get("resolution")
    if isinstance(raw, str) and "," in raw:
        return {}
    both = config.read("resolution", _resolution, "resolution")
    if both is None:
        return {}
    width, height = both
    return {
        "resolution_width": width,
        "resolution_height": height,
        "resolution": math.sqrt(width * height),
    }


def _resolution(value: object) -> tuple[int, int] | None:
    """Width and height in px.

    Raises:
        UnreadableError: `malformed`, or as `sides` of a dataset.
    """
    if value is None or value == "":
        return None
    match = _RESOLUTION.fullmatch(str(value) if isinstance(value, str | int | float) else "")
    if match is None:
        raise UnreadableError(MALFORMED, f"{clean.quote(value)} is no resolution")
    return kohya_datasets.sides([match[1], match[2] or match[1]])
