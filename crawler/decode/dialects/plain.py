"""Files of other trainers that record little: mflux its version and model, others a bare rank or alpha.

The trainer stays unknown: it has no value of its own in the column. Sources: mflux
`training_adapter`, what diffusers and sglang accept for distilled LoRAs, such as MiniMax H3 Turbo, and
scripts on top of PEFT, which write its settings under the name of the model (`transformer.r`).
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, take
from crawler.decode.dialects.kohya import keys as kohya_keys

_RANKS = ("rank", "lora_rank", "transformer.r", "unet.r")
_ALPHAS = ("alpha", "lora_alpha", "network_alpha", "transformer.lora_alpha", "unet.lora_alpha")
_STEPS = ("step", "training_step")

#: A rank or an alpha, and no other meaning of the words.
_NUMBER = re.compile(r"[1-9][0-9]{0,5}(?:\.[0-9]{1,8})?")


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether mflux wrote this, or a rank or an alpha stands alone."""
    return "mflux_version" in metadata or any(
        _NUMBER.fullmatch(metadata.get(key, "")) for key in (*_RANKS, *_ALPHAS)
    )


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the rank, alpha, length and base, and any keys of sd-scripts, which take precedence."""
    reading = kohya_keys.read(metadata, None)
    problems = list(reading.problems)
    used: set[str] = set()
    values = dict(reading.values)
    rows: list[tuple[str, str, Callable[[str], Any]]] = [
        *((key, "network_dim", clean.integer) for key in _RANKS),
        *((key, "network_alpha", clean.number) for key in _ALPHAS),
        *((key, "steps", clean.integer) for key in _STEPS),
        ("epoch", "epoch", clean.integer),
    ]
    if "mflux_version" in metadata:
        rows.append(("model", "base_model_version", clean.model_name))
    for key, column, reader in rows:
        if values.get(column) is not None or key not in metadata:
            continue
        values[column] = take(reader, metadata[key], column, problems)
        if values[column] is not None:
            used.add(key)
    return dataclasses.replace(
        reading, values=values, problems=tuple(problems), used=reading.used | used
    )
