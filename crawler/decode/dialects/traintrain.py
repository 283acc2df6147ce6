"""sd-webui-traintrain: keys of sd-scripts, with one module name for all algorithms.

Source: its `trainer/train.py`, `metadator`.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from crawler.decode.dialect_result import DialectResult
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.model import Trainer

#: It writes optimizers in lower case: lower case -> name of the class.
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        name.lower(): name
        for name in (
            "Adam", "Adam8bit", "AdamW", "AdamW8bit", "AdamWScheduleFree", "Adafactor", "CAME",
            "DAdaptAdaGrad", "DAdaptAdam", "DAdaptAdan", "DAdaptLion", "DAdaptSGD", "Lion",
            "Lion8bit", "PagedAdamW", "PagedAdamW32bit", "PagedAdamW8bit", "PagedLion8bit",
            "Prodigy", "RAdamScheduleFree", "SGDScheduleFree", "Tiger",
        )
    }
)  # fmt: skip


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether TrainTrain wrote this; the module of sd-scripts is `networks.lora`, with an s."""
    return metadata.get("ss_network_module") == "network.lora" or "ss_lr_step_rules" in metadata


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the keys of sd-scripts.

    LoRA, LoCon and LoHa have the same module, so the algorithm is unknown.
    """
    reading = kohya_keys.read(metadata, Trainer.TRAINTRAIN)
    optimizer = reading.values.get("optimizer")
    changed = {"network_algo": None, "optimizer": _CLASSES.get(optimizer or "", optimizer)}
    return replace(reading, values={**reading.values, **changed})
