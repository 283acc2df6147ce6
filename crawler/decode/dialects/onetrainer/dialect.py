"""OneTrainer: branch and commit in every file, and all its settings where it was asked to keep them.

The settings hold paths of a disk; what of them no column takes stands in `other_settings` without
the folders, and without what says nothing of the training. What the file said is in its header.
Source: `modules/modelSaver/mixin/DtypeModelSaverMixin.py`.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import Reading, take
from crawler.decode.dialects.kohya import datasets as kohya_datasets
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya.totals import SHARED_COLUMNS
from crawler.decode.dialects.onetrainer import concepts as onetrainer_concepts
from crawler.decode.dialects.onetrainer import config as onetrainer_config
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer import network as onetrainer_network
from crawler.decode.dialects.onetrainer import rest as onetrainer_rest
from crawler.decode.dialects.onetrainer.settings import Config
from crawler.decode.kohya_json import an_object, read_key
from crawler.decode.problems import MALFORMED, UnreadableError
from crawler.model import Dataset, Problem

TRAINER = "onetrainer"

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
    reading = kohya_keys.read(metadata, TRAINER)
    problems: list[Problem] = []
    used = {_CONFIG} & metadata.keys()  # it has paths in it, so it is never kept as it is
    settings = read_key(_CONFIG, metadata, an_object, _CONFIG, problems=problems, used=used)
    config = Config(settings or {}, problems)
    values = {
        **onetrainer_config.columns(config),
        **onetrainer_network.columns(config),
        **_sides(config),
    }
    family = onetrainer_names.family(values.get("base_model_version"))
    concepts = onetrainer_concepts.trained(config)
    values |= onetrainer_concepts.columns(concepts, problems)
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
    rest = onetrainer_rest.text(config, family)
    return dataclasses.replace(
        reading,
        values=values,
        datasets=reading.datasets or datasets,
        directories=reading.directories
        or onetrainer_concepts.directories(concepts, 0 if has_dataset else None, problems),
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
