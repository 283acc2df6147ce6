"""OneTrainer's concepts: the folders of a run, in `ot_config` when all of it was asked to be kept.

How many images a folder holds is not said. Source: `modules/util/config/ConceptConfig.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import held, take
from crawler.decode.dialects.local_paths import base_name, is_local, without_folders
from crawler.decode.dialects.onetrainer.settings import PATHS, Config, given
from crawler.decode.kohya_json import MAX_DIRECTORIES, object_or_empty
from crawler.decode.problems import TOO_LONG, WRONG_SHAPE, UnreadableError
from crawler.model import Directory, Problem

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
