"""diffusers since 0.34: its training scripts and whatever saves with its pipelines.

Older releases write `{"format": "pt"}` and no more, which says nothing of who wrote it.
"""

import re
from collections.abc import Mapping

from crawler.decode.dialect_result import Reading
from crawler.decode.dialects import adapter_config

TRAINER = "diffusers"

#: The adapter's configuration, for each component of the pipeline.
KEY = "lora_adapter_metadata"

#: A setting behind the name of its component; PEFT by itself knows no components.
_OF_A_COMPONENT = re.compile(r'"[a-z][a-z0-9_]{0,40}\.(?:r|lora_alpha|peft_type|target_modules)"')


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the configuration of an adapter stands there by component."""
    return _OF_A_COMPONENT.search(metadata.get(KEY, "")) is not None


def read(metadata: Mapping[str, str]) -> Reading:
    """The adapter's rank, alpha and further settings."""
    return adapter_config.read(metadata, KEY, TRAINER)
