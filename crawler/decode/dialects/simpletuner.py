"""SimpleTuner: `modelspec.*` with diffusers as the implementation, and the network.

Its `ss_tag_frequency` lists only tags of more than half of all captions. It does not count distinct
tags, so it stays in `other_settings`. Source: `helpers/training/save_hooks.py`.
"""

from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, held, take
from crawler.decode.dialects import diffusers
from crawler.decode.dialects.kohya import network as kohya_network
from crawler.decode.embedded_json import an_object, read_key
from crawler.model import Problem, Trainer

_LYCORIS = "lycoris_config"

#: SimpleTuner writes these with `modelspec.implementation`. None of them identifies it alone.
_SIGNS = frozenset({diffusers.KEY, _LYCORIS, "global_step", "trained_words", "modelspec.comment"})

#: Keys of every file of sd-scripts, whose `modelspec.implementation` may be diffusers too.
_OF_SD_SCRIPTS = frozenset({"ss_network_module", "ss_v2", "ss_sd_scripts_commit_hash"})

#: Settings of a LyCORIS network that columns hold: name, column, reader.
_COLUMNS = (
    ("linear_dim", "network_dim", clean.integer),
    ("linear_alpha", "network_alpha", clean.number),
    ("conv_dim", "conv_dim", clean.integer),
    ("conv_alpha", "conv_alpha", clean.number),
    ("dropout", "network_dropout", clean.number),
)


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether SimpleTuner wrote this; its old LyCORIS files have only the network's settings."""
    if not _OF_SD_SCRIPTS.isdisjoint(metadata):
        return False
    if metadata.get("modelspec.implementation") == "diffusers":
        return not _SIGNS.isdisjoint(metadata)
    return '"linear_dim"' in metadata.get(_LYCORIS, "")


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the network and, if given, the steps."""
    problems: list[Problem] = []
    used: set[str] = set()
    values: dict[str, Any] = {"trainer": Trainer.SIMPLETUNER}
    for key, columns in ((diffusers.KEY, diffusers.columns), (_LYCORIS, _lycoris)):
        found: list[Problem] = []
        config = read_key(key, metadata, an_object, "network_args", problems=found, used=used)
        if config is not None:
            values |= columns(config, found)
        if found:
            used.discard(key)
        problems += found
    if "global_step" in metadata:
        before = len(problems)
        values["steps"] = take(clean.integer, metadata["global_step"], "steps", problems)
        if len(problems) == before:
            used.add("global_step")
    return DialectResult(values=values, problems=tuple(problems), used=frozenset(used))


def _lycoris(config: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """`lycoris_config`: `{"algo": "lokr", "linear_dim": 16, "linear_alpha": 1, "factor": 16 …}`.

    It lists the trained modules instead of naming a preset, so it is unknown whether plain `lora`
    trains convolutions, unless their rank is 0.
    """
    values: dict[str, Any] = {
        column: take(reader, config.get(name), column, problems)
        for name, column, reader in _COLUMNS
    }
    in_columns = {name for name, *_ in _COLUMNS}
    rest = {name: value for name, value in config.items() if name not in in_columns}
    args = held(rest, "network_args", problems) or {}
    values["network_args"] = args or None
    values["network_algo"] = kohya_network.algo(
        "lycoris.kohya", {**args, "preset": ""}, values["conv_dim"]
    )
    return values
