"""Header to Decoded: the dialect of the metadata, the leftovers, the derived values, the tensors.

    metadata --first dialect that matches--> values --modelspec--> values --effort--> Recipe
    keys that no column holds ----------------------------------> other_settings
    tensors --tensors.facts--> Weights;  Recipe and Weights --contradictions--> problems

All of it is pure, and nothing raises: whatever cannot be read becomes a Problem.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from crawler.decode import clean, effort, modelspec
from crawler.decode.contradictions import disagreements
from crawler.decode.dialect_result import DialectResult, limit, problem
from crawler.decode.dialects import (
    aitoolkit,
    cloneofsimo,
    diffusers,
    kohya,
    merge_tool,
    musubi,
    onetrainer,
    plain,
    simpletuner,
    traintrain,
)
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya import network as kohya_network
from crawler.decode.problems import TOO_LONG
from crawler.decode.tensors.facts import ListFacts, list_facts
from crawler.model import Decoded, Header, Outcome, Problem, Recipe
from crawler.model.recipe import TRAINING

#: Raised by one whenever a header may decode differently; stored with every header.
DECODER_VERSION = 4

#: Longest value of `other_settings`, in characters. Longer ones are tag lists and the like; the stored
#: header keeps them.
MAX_SETTING_CHARS = 65_536

#: Longest picture in `other_settings`, in characters. Embedded pictures have thousands; a shorter value
#: is a URL or an empty list.
MAX_PICTURE_CHARS = 1_024

#: Longest path on Linux, in characters; a longer text that begins like one is none.
MAX_PATH_CHARS = 4_096

#: Where A1111's metadata editor keeps its pictures, as a JSON list of base64.
_PICTURES = "ssmd_cover_images"

#: Longest key of `other_settings`, in characters; keys of trainers stay below 60.
MAX_KEY_CHARS = 256

#: Keys left out of `other_settings` that get a problem each.
MAX_LEFT_OUT = 20

#: Longest `other_settings` in all, in characters: rows of `loras` are read by the thousand.
MAX_SETTINGS_CHARS = 262_144


class Dialect(Protocol):
    """One trainer's metadata format: a module of `crawler.decode.dialects`."""

    def matches(self, metadata: Mapping[str, str]) -> bool:
        """Whether this trainer wrote the metadata."""

    def read(self, metadata: Mapping[str, str]) -> DialectResult:
        """The metadata as typed values. Never raises."""


#: Of the trainers the first that matches reads the metadata. Those that write sd-scripts' keys beside
#: keys of their own come before it.
DIALECTS: tuple[Dialect, ...] = (
    traintrain,
    cloneofsimo,
    onetrainer,
    aitoolkit,
    simpletuner,
    musubi,
    kohya,
    diffusers,
    plain,
)


def decode(header: Header, facts: ListFacts | None = None) -> Decoded:
    """Everything that a header contains, typed. Never raises.

    Args:
        header: Its tensors may be left out if their facts are given.
        facts: What its tensors show; None to work it out.
    """
    metadata = header.metadata or {}
    facts = facts or list_facts(header.tensors, header.body_bytes)
    weights = facts.weights
    result = modelspec.fill(_read(metadata), metadata)
    algo = kohya_network.on_base(result.values, weights.architecture)
    result = replace(result, values={**result.values, "network_algo": algo})
    other, other_problems = _other_settings(metadata, result)
    derived, effort_problems = effort.derive(result.values, result.datasets, weights)
    recipe = Recipe(**{**result.values, **derived, "other_settings": other})
    trained = any(result.values.get(name) is not None for name in TRAINING)
    problems = (
        *result.problems,
        *other_problems,
        *effort_problems,
        *facts.problems,
        *disagreements(recipe, weights),
    )
    return Decoded(
        header=header,
        outcome=Outcome.DECODED if trained else Outcome.NO_METADATA,
        recipe=recipe,
        weights=weights,
        datasets=result.datasets,
        directories=result.directories,
        tags=result.tags,
        problems=limit(problems),
    )


def _read(metadata: Mapping[str, str]) -> DialectResult:
    """The metadata by the first dialect that matches. A key without a value is no sign of a trainer."""
    if merge_tool.matches(metadata):  # these also differ in what they leave empty
        return merge_tool.read(metadata)
    given = clean.given(metadata)
    dialect = next((one for one in DIALECTS if one.matches(given)), None)
    # A file of an unknown trainer may have keys of sd-scripts.
    return dialect.read(metadata) if dialect else kohya_keys.read(metadata, None)


def _other_settings(
    metadata: Mapping[str, str], result: DialectResult
) -> tuple[Mapping[str, Any] | None, list[Problem]]:
    """The metadata that no column holds, nearly all as text by key; None when there is none."""
    other: dict[str, Any] = dict(result.settings)
    left_out: list[str] = []
    room = MAX_SETTINGS_CHARS
    for key, raw in metadata.items():
        if key in result.used and key not in result.rewritten:
            continue
        value = result.rewritten.get(key, raw)
        size = len(key) + len(value)
        # A picture is base64 or a data URL, as in `modelspec.thumbnail`.
        is_picture = key == _PICTURES or value.startswith("data:image/")
        most = MAX_PICTURE_CHARS if is_picture else MAX_SETTING_CHARS
        if len(key) > MAX_KEY_CHARS or len(value) > most or size > room:
            left_out.append(key)
            continue
        room -= size
        # Folders on the user's disk say nothing of the training.
        is_path = len(value) <= MAX_PATH_CHARS and "\n" not in value and clean.is_local(value)
        other[clean.text(key)] = clean.text(clean.base_name(value) if is_path else value)
    problems = [
        problem(TOO_LONG, key, f"{len(metadata[key]):,} characters; only the stored header has it")
        for key in left_out[:MAX_LEFT_OUT]
    ]
    if len(left_out) > MAX_LEFT_OUT:
        more = f"{len(left_out) - MAX_LEFT_OUT:,} more keys; only the stored header has them"
        problems.append(problem(TOO_LONG, "other_settings", more))
    return other or None, problems
