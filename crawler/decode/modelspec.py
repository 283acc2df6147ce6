"""Keys that any trainer may write: the `modelspec.*` specification and the hash of the weights.

Most `modelspec.*` keys describe the file to people (title, author, licence, tags) and stay in
`other_settings`. So do `resolution` (the base model's default unless someone set it), `date` (no time
zone), and `prediction_type` and `timestep_range` (no column).

Source: sd-scripts `library/sai_model_spec.py`, which OneTrainer and SimpleTuner follow.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, take

#: `implementation_version` as sd-scripts writes it; `unknown` is not a commit.
_SD_SCRIPTS = re.compile("sd-scripts/([0-9a-f]{7,40})")

#: Exactly SHA-256. LyCORIS and OneTrainer hash tensor by tensor and write `0x` in front; 32 digits
#: are another algorithm's.
_SHA256 = re.compile("[0-9a-fA-F]{64}")

#: The hash of no bytes at all, which ai-toolkit 0.1 wrote into every file.
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def _base(value: str) -> str | None:
    """`stable-diffusion-xl-v1-base/lora` is an adapter for `stable-diffusion-xl-v1-base`."""
    return clean.model_name(value.removesuffix("/lora"))


def _commit(value: str) -> str | None:
    match = _SD_SCRIPTS.fullmatch(value)
    return match[1] if match else None


#: Key, column, sd-scripts' own key for the same value, reader.
_KNOWN: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("modelspec.encoder_layer", "clip_skip", "ss_clip_skip", clean.integer),
    ("modelspec.rank", "network_dim", "ss_network_dim", clean.integer),
    ("modelspec.alpha", "network_alpha", "ss_network_alpha", clean.number),
    ("modelspec.architecture", "base_model_version", "ss_base_model_version", _base),
    ("modelspec.implementation_version", "trainer_version", "ss_sd_scripts_commit_hash", _commit),
)

#: Columns that are filled for any trainer.
_OF_ANY = frozenset({"clip_skip", "network_dim", "network_alpha"})


def fill(result: DialectResult, metadata: Mapping[str, str]) -> DialectResult:
    """The result, with columns filled from `modelspec.*` that the trainer's own keys left empty.

    `encoder_layer` is the clip skip; `rank` and `alpha` are a few tools' own. The base model and the
    sd-scripts commit are taken only when the trainer is known, since tools that never train write these
    keys too.
    """
    values = dict(result.values)
    problems = list(result.problems)
    used: set[str] = set()
    for key, column, own_key, reader in _KNOWN:
        if key not in metadata or own_key in metadata or values.get(column) is not None:
            continue
        if values.get("trainer") is None and column not in _OF_ANY:
            continue
        value = take(reader, metadata[key], column, problems)
        if value is not None:
            values[column] = value
            used.add(key)
    return replace(result, values=values, problems=tuple(problems), used=result.used | used)


def claimed_weights(metadata: Mapping[str, str] | None) -> str | None:
    """The SHA-256 of the weights that the metadata claims, in upper case; None without a usable claim.

    The claim may be false: a tool that changes the weights and keeps the metadata keeps the old hash.
    """
    claimed = (metadata or {}).get("sshs_model_hash", "")  # of everything after the header
    if not _SHA256.fullmatch(claimed) or claimed.lower() == _OF_NOTHING:
        return None
    return claimed.upper()
