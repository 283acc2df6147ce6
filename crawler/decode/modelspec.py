"""`modelspec.*`: the keys that a common specification gives to models, whatever trained them.

Most of them describe the file to people (title, author, licence, tags) and stay in `other_settings`;
so do `resolution`, which is the default of the base model where nobody gave one, `date`, which has
no zone, and `prediction_type` and `timestep_range`, which no column takes.

Source: sd-scripts `library/sai_model_spec.py`, which OneTrainer and SimpleTuner follow.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import Reading, take
from crawler.model import Problem

#: What `implementation_version` looks like where sd-scripts wrote it; `unknown` is no commit.
_SD_SCRIPTS = re.compile("sd-scripts/([0-9a-f]{7,40})")

#: What marks the name of a base model as that of an adapter for it.
_ADAPTER = "/lora"


def fill(reading: Reading, metadata: Mapping[str, str]) -> Reading:
    """The reading, with the columns filled of which the trainer's own keys say nothing.

    `encoder_layer` is the clip skip. Which base a file was made for and which sd-scripts made it is
    taken only where the trainer is known: tools that never trained write these keys as well.
    """
    problems: list[Problem] = []
    told = _told(reading.values, metadata, problems)
    if not told and not problems:
        return reading
    return replace(
        reading,
        values={**reading.values, **dict(told.values())},
        problems=(*reading.problems, *problems),
        used=reading.used | told.keys(),
    )


def _told(
    values: Mapping[str, Any], metadata: Mapping[str, str], problems: list[Problem]
) -> Mapping[str, tuple[str, Any]]:
    """Key -> column and value."""
    told: dict[str, tuple[str, Any]] = {}
    for key, column, own_key, reader in _KNOWN:
        if key not in metadata or own_key in metadata or values.get(column) is not None:
            continue
        if values.get("trainer") is None and column != "clip_skip":
            continue
        value = take(reader, metadata[key], column, problems)
        if value is not None:
            told[key] = (column, value)
    return told


def _base(value: str) -> str | None:
    """`stable-diffusion-xl-v1-base/lora` is an adapter for `stable-diffusion-xl-v1-base`."""
    return clean.string(value.removesuffix(_ADAPTER))


def _commit(value: str) -> str | None:
    match = _SD_SCRIPTS.fullmatch(value)
    return match[1] if match else None


#: Key, column, what sd-scripts writes of the same, reader.
_KNOWN: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("modelspec.encoder_layer", "clip_skip", "ss_clip_skip", clean.integer),
    ("modelspec.architecture", "base_model_version", "ss_base_model_version", _base),
    (
        "modelspec.implementation_version",
        "trainer_version",
        "ss_sd_scripts_commit_hash",
        _commit,
    ),
)


#: Under which sd-scripts and those who follow it keep the SHA-256 of all that follows the header.
_KEY = "sshs_model_hash"

#: Exactly SHA-256: LyCORIS and OneTrainer hash the tensors one by one and write `0x` in front, and
#: 32 digits are another algorithm's.
_SHA256 = re.compile("[0-9a-fA-F]{64}")

#: The hash of no bytes at all, which ai-toolkit 0.1 wrote into every file.
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def claimed_weights(metadata: Mapping[str, str] | None) -> str | None:
    """SHA-256 of the weights as the metadata claims it, in upper-case digits; None when it does not.

    A claim: whoever changed the weights and kept the metadata left the hash of the old ones in it.
    """
    claimed = (metadata or {}).get(_KEY, "")
    if not _SHA256.fullmatch(claimed) or claimed.lower() == _OF_NOTHING:
        return None
    return claimed.upper()
