"""sd-webui-traintrain: sd-scripts' names, and a module that is always called the same.

Source: its `trainer/train.py`, `metadator`.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from crawler.decode.dialect_result import Reading
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.model import Trainer

#: What it writes and nobody else does: `networks.lora`, with an s, is sd-scripts' own module.
MODULE = "network.lora"
_RULES = "ss_lr_step_rules"

#: It writes optimizers in lower case; the classes they stand for, where lower case differs.
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        name.lower(): name
        for name in (
            "Adam",
            "Adam8bit",
            "AdamW",
            "AdamW8bit",
            "AdamWScheduleFree",
            "Adafactor",
            "CAME",
            "DAdaptAdaGrad",
            "DAdaptAdam",
            "DAdaptAdan",
            "DAdaptLion",
            "DAdaptSGD",
            "Lion",
            "Lion8bit",
            "PagedAdamW",
            "PagedAdamW32bit",
            "PagedAdamW8bit",
            "PagedLion8bit",
            "Prodigy",
            "RAdamScheduleFree",
            "SGDScheduleFree",
            "Tiger",
        )
    }
)


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether TrainTrain wrote this."""
    return metadata.get("ss_network_module") == MODULE or _RULES in metadata


def read(metadata: Mapping[str, str]) -> Reading:
    """The keys that it shares with sd-scripts.

    The module is the same for LoRA, LoCon and LoHa, so the algorithm stays open.
    """
    reading = kohya_keys.read(metadata, Trainer.TRAINTRAIN)
    optimizer = reading.values.get("optimizer")
    changed = {"network_algo": None, "optimizer": _CLASSES.get(optimizer or "", optimizer)}
    return replace(reading, values={**reading.values, **changed})
