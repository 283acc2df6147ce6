"""Metadata -> Recipe: asks the dialects in order, keeps what none of them took, derives the rest."""

from collections.abc import Mapping
from typing import Any, Protocol

from crawler.decode import clean, effort, modelspec
from crawler.decode.contradictions import disagreements
from crawler.decode.dialect_result import Reading, limit, problem
from crawler.decode.dialects import (
    aitoolkit,
    cloneofsimo,
    diffusers,
    merge_tool,
    musubi,
    peft,
    simpletuner,
    traintrain,
    unknown_kohya_keys,
)
from crawler.decode.dialects.kohya import dialect as kohya
from crawler.decode.dialects.onetrainer import dialect as onetrainer
from crawler.decode.problems import TOO_LONG
from crawler.decode.tensors.facts import read_weights
from crawler.model import Decoded, Header, Outcome, Problem, Recipe
from crawler.model.recipe import TRAINING

#: Counted up whenever a header may decode to something else; stored beside every header.
DECODER_VERSION = 3

#: Longest value of `other_settings`, in characters. Longer ones are tag lists and the like; they stay
#: in the stored header.
MAX_SETTING_CHARS = 65_536

#: Longest picture in `other_settings`, in characters: those within the file are thousands long and no
#: setting, what is shorter is an address or an empty list.
MAX_PICTURE_CHARS = 1_024

#: Where A1111's editor of metadata keeps its pictures, as a JSON list of base64.
_PICTURES = "ssmd_cover_images"

#: Longest key of `other_settings`, in characters; those of trainers stay below 60.
MAX_KEY_CHARS = 256

#: Keys left out of `other_settings` that are named one by one in problems.
MAX_LEFT_OUT = 20

#: All of `other_settings` together, in characters: rows of `loras` are read by the thousand.
MAX_SETTINGS_CHARS = 262_144


class Dialect(Protocol):
    """One trainer's way of writing metadata: a module of `crawler.decode.dialects`."""

    def matches(self, metadata: Mapping[str, str]) -> bool:
        """Whether this trainer wrote it."""

    def read(self, metadata: Mapping[str, str]) -> Reading:
        """What it says. Never raises."""


#: Asked in this order; the first that matches reads. Trainers that borrow sd-scripts' names and have
#: signs of their own come before it; `borrowed` takes what looks like sd-scripts and is nobody's, so
#: it stays last.
DIALECTS: tuple[Dialect, ...] = (
    traintrain,
    cloneofsimo,
    merge_tool,
    onetrainer,
    aitoolkit,
    simpletuner,
    musubi,
    kohya,
    diffusers,
    peft,
    unknown_kohya_keys,
)


def decode(header: Header) -> Decoded:
    """Everything that a header says. Never raises: what cannot be read is a Problem."""
    metadata = header.metadata or {}
    weights, weight_problems = read_weights(header)
    dialect = next((one for one in DIALECTS if one.matches(metadata)), None)
    reading = modelspec.fill(dialect.read(metadata) if dialect else Reading(), metadata)
    other, other_problems = _other_settings(metadata, reading)
    derived, effort_problems = effort.derive(reading.values, reading.datasets)
    recipe = Recipe(**{**reading.values, **derived, "other_settings": other})
    contradictions = disagreements(recipe, weights)
    trained = any(reading.values.get(name) is not None for name in TRAINING)
    return Decoded(
        header=header,
        outcome=Outcome.DECODED if trained else Outcome.NO_METADATA,
        recipe=recipe,
        weights=weights,
        datasets=reading.datasets,
        directories=reading.directories,
        tags=reading.tags,
        problems=limit(
            (
                *reading.problems,
                *other_problems,
                *effort_problems,
                *weight_problems,
                *contradictions,
            )
        ),
    )


def _other_settings(
    metadata: Mapping[str, str], reading: Reading
) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    """What no column takes, as text, by key; None when there is nothing."""
    other: dict[str, str] = {}
    left_out: list[str] = []
    room = MAX_SETTINGS_CHARS
    for key, raw in metadata.items():
        if key in reading.used and key not in reading.rewritten:
            continue
        value = reading.rewritten.get(key, raw)
        size = len(key) + len(value)
        most = MAX_PICTURE_CHARS if _is_picture(key, value) else MAX_SETTING_CHARS
        if len(key) > MAX_KEY_CHARS or len(value) > most or size > room:
            left_out.append(key)
            continue
        room -= size
        other[clean.text(key)] = clean.text(value)
    problems = [
        problem(TOO_LONG, key, f"{len(metadata[key]):,} characters, kept in the header alone")
        for key in left_out[:MAX_LEFT_OUT]
    ]
    if len(left_out) > MAX_LEFT_OUT:
        more = f"{len(left_out) - MAX_LEFT_OUT:,} more keys are only kept in the header"
        problems.append(problem(TOO_LONG, "other_settings", more))
    return other or None, problems


def _is_picture(key: str, value: str) -> bool:
    """Whether a value holds pictures as text: a data URL, as in `modelspec.thumbnail`, or base64."""
    return key == _PICTURES or value.startswith("data:image/")
