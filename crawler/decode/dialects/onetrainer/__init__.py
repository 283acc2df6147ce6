"""OneTrainer: branch and commit in every file, and all settings if the user chose to save them.

The settings hold paths on the user's disk. `other_settings` gets those that no column holds, without
folders and without settings unrelated to training. The header keeps all of them.
Source: `modules/modelSaver/mixin/DtypeModelSaverMixin.py`.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from crawler.decode import clean
from crawler.decode.clean import base_name, is_local, without_folders
from crawler.decode.dialect_result import DialectResult, held, take
from crawler.decode.dialects.kohya import datasets as kohya_datasets
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya.datasets import SHARED_COLUMNS
from crawler.decode.dialects.onetrainer import config as onetrainer_config
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer.config import Config
from crawler.decode.dialects.onetrainer.names import PATHS, Family
from crawler.decode.embedded_json import (
    MAX_DIRECTORIES,
    a_list,
    an_object,
    object_or_empty,
    read_key,
)
from crawler.decode.problems import MALFORMED, UnreadableError
from crawler.model import Dataset, Directory, Problem, Trainer

_CONFIG = "ot_config"

_RESOLUTION = re.compile(r"\s*([0-9]{1,9})(?:\s*[xX]\s*([0-9]{1,9}))?\s*")

#: Starts of settings left out of `other_settings`: they concern the machine, the program or its
#: windows, or stand in directories and columns already.
_LEFT_OUT = (
    "__", "async_", "backup", "cache_dir", "caching_threads", "clear_cache", "cloud", "concept",
    "continue_last_backup", "dataloader_threads", "debug", "device_indexes", "enable_async",
    "fused_gradient", "gradient_reduce", "include_train_config", "only_cache", "optimizer_defaults",
    "output_", "prefetch", "prevent_overwrites", "rolling_backup", "sample", "save_", "secrets",
    "temp_device", "tensorboard", "train_device", "validat", "workspace_dir",
)  # fmt: skip

#: Parts of models. A configuration has settings for all of them, whatever was trained.
_PARTS = frozenset(
    {
        "unet", "prior", "transformer", "unconditional_transformer", "vae", "effnet_encoder",
        "decoder", "decoder_text_encoder", "decoder_vqgan",
        "text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4",
    }
)  # fmt: skip


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether OneTrainer left its branch or commit."""
    return "ot_branch" in metadata or "ot_revision" in metadata


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the commit and the settings.

    The few `ss_` keys, which it writes for other tools, take precedence: a resize updates them.
    """
    reading = kohya_keys.read(metadata, Trainer.ONETRAINER)
    problems: list[Problem] = []
    used = {_CONFIG} & metadata.keys()  # it holds paths, so its text is never kept as it is
    settings = read_key(_CONFIG, metadata, an_object, _CONFIG, problems=problems, used=used)
    config = Config(settings or {}, problems)
    values = onetrainer_config.columns(config) | _resolution(config)
    family = onetrainer_names.family(values.get("base_model_version"))
    concepts = _trained_concepts(config)
    values |= _common_columns(concepts, problems)
    if metadata.get("modelspec.architecture"):  # may be empty
        values["base_model_version"] = None
        config.used.discard("model_type")
    values |= {name: value for name, value in reading.values.items() if value is not None}
    revision = metadata.get("ot_revision")
    if revision not in {None, "git not installed"}:
        values["trainer_version"] = take(clean.string, revision, "trainer_version", problems)
        used.add("ot_revision")
    shared = {name: values.get(name) for name in SHARED_COLUMNS}
    has_dataset = any(value is not None for value in shared.values())
    number = 0 if has_dataset else None
    rest = _other_settings(config, family)
    return dataclasses.replace(
        reading,
        values=values,
        datasets=reading.datasets or ((Dataset(number=0, **shared),) if has_dataset else ()),
        directories=reading.directories
        or tuple(_directory(one, at, number, problems) for at, one in enumerate(concepts)),
        problems=(*reading.problems, *problems),
        used=reading.used | used,
        rewritten={} if rest is None else {_CONFIG: rest},
    )


def _resolution(config: Config) -> dict[str, Any]:
    """Columns of the resolution; none when there are several, separated by commas."""
    raw = config.settings.get("resolution")
    if isinstance(raw, str) and "," in raw:
        return {}
    both = config.read("resolution", _sides, "resolution")
    if both is None:
        return {}
    width, height = both
    return {
        "resolution_width": width,
        "resolution_height": height,
        "resolution": math.sqrt(width * height),
    }


def _sides(value: object) -> tuple[int, int] | None:
    """Width and height in px of `512` or `768x1024`."""
    if value is None or value == "":
        return None
    match = _RESOLUTION.fullmatch(str(value) if isinstance(value, str | int | float) else "")
    if match is None:
        raise UnreadableError(MALFORMED, f"{clean.quote(value)} is not a resolution")
    return kohya_datasets.sides([match[1], match[2] or match[1]])


def _trained_concepts(config: Config) -> list[Any]:
    """The concepts that are enabled and not for validation."""
    listed = config.settings.get("concepts")
    shape = partial(a_list, most=MAX_DIRECTORIES)
    found = None if listed is None else take(shape, listed, "directories", config.problems)
    return [one for one in found or () if not isinstance(one, dict) or _is_trained(one)]


def _is_trained(concept: Mapping[str, Any]) -> bool:
    validates = concept.get("validation_concept") is True or concept.get("type") == "VALIDATION"
    return concept.get("enabled") is not False and not validates


def _directory(
    item: Any, number: int, dataset_number: int | None, problems: list[Problem]
) -> Directory:
    """The folder of a concept, without its path.

    `balancing` is the number of repeats, unless the strategy is to draw that many samples.
    """
    concept = object_or_empty(item, "directories", problems)
    name, path = concept.get("name"), concept.get("path")
    spelt = next((one for one in (name, path) if isinstance(one, str) and one), "")
    read = {"name", "path", "enabled"}
    repeats = None
    if concept.get("balancing_strategy", "REPEATS") == "REPEATS":
        repeats = concept.get("balancing")
        read.add("balancing")
    rest = {key: value for key, value in concept.items() if key not in read}
    settings = _given(held(rest, "directories.settings", problems))
    kind = concept.get("type")
    return Directory(
        number=number,
        dataset_number=dataset_number,
        name=clean.text(base_name(spelt) if spelt is path or is_local(spelt) else spelt),
        repeats=take(clean.integer, repeats, "directories.repeats", problems),
        is_reg=kind == "PRIOR_PREDICTION" if isinstance(kind, str) else None,
        settings=without_folders(settings, PATHS) or None,
    )


def _common_columns(concepts: Sequence[Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Columns of captions and images on which all concepts agree."""
    found = [_concept_columns(one, problems) for one in concepts if isinstance(one, dict)]
    if not found:
        return {}
    return {
        name: value for name, value in found[0].items() if all(one[name] == value for one in found)
    }


def _concept_columns(concept: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    text, image = (
        inner if isinstance(inner := concept.get(part), dict) else {} for part in ("text", "image")
    )
    colours = [
        take(clean.boolean, image.get(f"enable_random_{name}"), "color_aug", problems)
        for name in ("brightness", "contrast", "saturation", "hue")
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
    """The chance of dropping each tag; None for modes that drop all tags at once or weigh them."""
    name = "caption_tag_dropout_rate"
    enabled = take(clean.boolean, text.get("tag_dropout_enable"), name, problems)
    if enabled is False:
        return 0.0
    if enabled is None or text.get("tag_dropout_mode") != "RANDOM":
        return None
    return take(clean.number, text.get("tag_dropout_probability"), name, problems)


def _other_settings(config: Config, family: Family | None) -> str | None:
    """The settings that no column holds, as JSON without folders; None when there are none.

    Settings that are null or empty, and parts that the model does not have, are left out.
    """
    absent: frozenset[str] = frozenset()
    if family is not None:
        denoiser = family.denoiser if family.denoiser in config.settings else "prior"
        absent = _PARTS - {denoiser, *family.encoder_names, "vae"}
    rest = {
        name: value
        for name, value in config.settings.items()
        if name not in config.used and not name.startswith((*_LEFT_OUT, *absent))
    }
    kept = _given(held(rest, "other_settings", config.problems))
    if not kept:
        return None
    return json.dumps(without_folders(kept, PATHS), ensure_ascii=False, separators=(",", ":"))


def _given(value: Any) -> Any:
    """The JSON value without nulls, empty values and the versions of its parts."""
    if isinstance(value, Mapping):
        inner = {name: _given(item) for name, item in value.items() if name != "__version"}
        return {name: item for name, item in inner.items() if item not in (None, "", {}, [])}
    return [_given(item) for item in value] if isinstance(value, list) else value
