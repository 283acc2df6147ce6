"""PEFT adapters with their configuration in the file, written by finetrainers and other trainers.

PEFT itself writes `{"format": "pt"}` and keeps the configuration in a separate file.
"""

import dataclasses
from collections.abc import Mapping

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, take
from crawler.decode.dialects import diffusers
from crawler.model import Trainer

#: finetrainers' key: rank, alpha and target modules.
_LORA_CONFIG = "lora_config"


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata configures one adapter; `lora_config` of other tools has no alpha."""
    return diffusers.KEY in metadata or '"lora_alpha"' in metadata.get(_LORA_CONFIG, "")


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the rank, alpha and other settings of the adapter, and PEFT's version."""
    key = diffusers.KEY if diffusers.KEY in metadata else _LORA_CONFIG
    reading = diffusers.read_adapter_config(metadata, key, Trainer.PEFT)
    problems = list(reading.problems)
    arguments = dict(reading.values["network_args"] or {})
    version = take(clean.string, arguments.pop("peft_version", None), "trainer_version", problems)
    return dataclasses.replace(
        reading,
        values={
            **reading.values,
            "network_args": arguments or None,
            "trainer_version": version,
        },
        problems=tuple(problems),
    )
