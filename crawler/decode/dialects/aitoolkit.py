"""ai-toolkit by ostris, also as a hosted service: its version, the steps and the base.

It records no rates, rank or data. Two keys mislead: releases 0.1 call every base `sd_1.5`, which is
kept as claimed, and `ss_tag_frequency` holds only the trigger word, counted once, for other tools. No
caption was counted, so it stays in `other_settings`. Source: `toolkit/metadata.py`, `BaseSDTrainProcess.py`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, take
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.embedded_json import an_object, read_key
from crawler.model import Problem, Trainer


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the software names itself ai-toolkit."""
    return '"ai-toolkit"' in metadata.get("software", "")


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read version, steps, epoch, name and base, and keys of sd-scripts that a user added."""
    counted = {key: value for key, value in metadata.items() if key != "ss_tag_frequency"}
    reading = kohya_keys.read(counted, Trainer.AI_TOOLKIT)
    problems: list[Problem] = []
    used: set[str] = set()
    # {"name": "ai-toolkit", "repo": "https://…", "version": "0.1.0"}; early files have no version.
    where = "trainer_version"
    software = read_key("software", metadata, an_object, where, problems=problems, used=used) or {}
    values: dict[str, Any] = {where: take(clean.string, software.get("version"), where, problems)}
    # {"step": 500, "epoch": 499}; epochs are counted from 0.
    found: list[Problem] = []
    info = read_key("training_info", metadata, an_object, "steps", problems=found, used=used) or {}
    values |= {
        "steps": take(clean.integer, info.get("step"), "steps", found),
        "epoch": take(clean.integer, info.get("epoch"), "epoch", found),
    }
    if found:
        used.discard("training_info")
    problems += found
    values |= {name: value for name, value in reading.values.items() if value is not None}
    if values.get("output_name") is None and "name" in metadata:
        values["output_name"] = take(clean.file_name, metadata["name"], "output_name", problems)
    if values.get("output_name") is not None and values["output_name"] == metadata.get("name"):
        used.add("name")
    return dataclasses.replace(
        reading, values=values, problems=(*reading.problems, *problems), used=reading.used | used
    )
