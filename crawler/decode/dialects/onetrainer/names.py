"""OneTrainer's names of things, in the words that the columns use for all trainers.

Source: `modules/util/enum/` and `modules/util/create.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from crawler.decode.dialect_result import take
from crawler.decode.embedded_json import object_or_empty
from crawler.model import Problem

T = TypeVar("T")

#: Fields whose text is a path on the disk of whoever trained.
PATHS = frozenset({"path", "prompt_path", "model_name", "lora_model_name", "base_model_name"})


def given(value: Any) -> Any:
    """The same JSON value without what is null or empty, and without the versions of its parts.

    Args:
        value: Not nested deeper than `clean.MAX_DEPTH`, as `reading.held` gives it.
    """
    if isinstance(value, Mapping):
        inner = {name: given(item) for name, item in value.items() if name != "__version"}
        return {name: item for name, item in inner.items() if item not in (None, "", {}, [])}
    return [given(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration while it is read.

    Attributes:
        settings: As in the JSON.
        problems: Gets what cannot be held.
        told: Gets the names of settings that a column has taken.
    """

    settings: Mapping[str, Any]
    problems: list[Problem]
    told: set[str] = field(default_factory=set)

    def read(self, name: str, reader: Callable[[Any], T | None], column: str) -> T | None:
        """A setting for a column; None when it is missing, null or cannot be held."""
        before = len(self.problems)
        value = take(reader, self.settings.get(name), column, self.problems)
        if len(self.problems) == before:
            self.told.add(name)
        return value

    def part(self, name: str) -> Mapping[str, Any]:
        """The settings of a part of the model; empty when it is missing."""
        if self.settings.get(name) is None:
            return {}
        return object_or_empty(self.settings[name], f"ot_config.{name}", self.problems)


#: Optimizers whose class is called otherwise than the option; others stay as they are spelt.
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "ADABELIEF": "AdaBelief",
        "ADAFACTOR": "Adafactor",
        "ADAGRAD": "Adagrad",
        "ADAGRAD_8BIT": "Adagrad8bit",
        "ADAM": "Adam",
        "ADAM_8BIT": "Adam8bit",
        "ADAMW": "AdamW",
        "ADAMW_8BIT": "AdamW8bit",
        "ADAMW_ADV": "AdamW_adv",
        "ADOPT_ADV": "Adopt_adv",
        "AIDA": "Aida",
        "AdEMAMix_8BIT": "AdEMAMix8bit",
        "CAME_8BIT": "CAME8bit",
        "DADAPT_ADA_GRAD": "DAdaptAdaGrad",
        "DADAPT_ADAM": "DAdaptAdam",
        "DADAPT_ADAN": "DAdaptAdan",
        "DADAPT_LION": "DAdaptLion",
        "DADAPT_SGD": "DAdaptSGD",
        "LAMB_8BIT": "LAMB8bit",
        "LARS_8BIT": "LARS8bit",
        "LION": "Lion",
        "LION_8BIT": "Lion8bit",
        "LION_ADV": "Lion_adv",
        "LION_PRODIGY_ADV": "Lion_Prodigy_adv",
        "MUON": "Muon",
        "MUON_ADV": "Muon_adv",
        "PRODIGY": "Prodigy",
        "PRODIGY_ADV": "Prodigy_adv",
        "PRODIGY_PLUS_SCHEDULE_FREE": "ProdigyPlusScheduleFree",
        "RMSPROP": "RMSprop",
        "RMSPROP_8BIT": "RMSprop8bit",
        "SCHEDULE_FREE_ADAMW": "AdamWScheduleFree",
        "SCHEDULE_FREE_SGD": "SGDScheduleFree",
        "SGD_8BIT": "SGD8bit",
        "SIMPLIFIED_AdEMAMix": "Simplified_AdEMAMix",
        "TIGER": "Tiger",
        "YOGI": "Yogi",
    }
)

#: Switches of optimizers that are on unless somebody turns them off; all others are off.
ON_BY_DEFAULT = frozenset(
    {
        "d_limiter",
        "factored",
        "factored_fp32",
        "rms_rescaling",
        "split_groups",
        "split_groups_mean",
        "stochastic_rounding",
        "use_schedulefree",
        "use_stableadamw",
        "weight_decay_by_lr",
    }
)

#: Types to calculate in, as accelerate calls them.
PRECISIONS: Mapping[str, str] = MappingProxyType(
    {"FLOAT_16": "fp16", "BFLOAT_16": "bf16", "FLOAT_32": "no", "TFLOAT_32": "no"}
)

#: Types of 8-bit floats to hold weights in.
EIGHT_BIT_FLOATS = frozenset({"FLOAT_8", "FLOAT_W8A8"})

#: Methods of adding a network.
ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {"LORA": "lora", "LOHA": "loha", "LOKR": "lokr", "OFT_2": "oft"}
)


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are made of the same parts.

    Attributes:
        denoiser: The part that is called U-Net elsewhere.
        text_encoders: How many of them there are; the first has no number in its name.
        flow: Whether it is trained by flow matching, where the schedule has a shift.
        guided: Whether a guidance scale is an input of the model while it is trained.
    """

    denoiser: str
    text_encoders: int
    flow: bool = True
    guided: bool = False

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Text encoders in their order."""
        numbered = (f"text_encoder_{number}" for number in range(2, self.text_encoders + 1))
        return ("text_encoder", *numbered)


#: By the beginning of `model_type`; the longer one stands before the shorter.
_FAMILIES = (
    ("STABLE_DIFFUSION_XL", Family("unet", 2, flow=False)),
    ("STABLE_DIFFUSION_3", Family("transformer", 3)),
    ("STABLE_DIFFUSION_", Family("unet", 1, flow=False)),
    ("WUERSTCHEN", Family("prior", 1, flow=False)),
    ("STABLE_CASCADE", Family("prior", 1, flow=False)),
    ("PIXART", Family("transformer", 1, flow=False)),
    ("FLUX_2", Family("transformer", 1, guided=True)),
    ("FLUX_", Family("transformer", 2, guided=True)),
    ("HUNYUAN_VIDEO", Family("transformer", 2, guided=True)),
    ("HI_DREAM", Family("transformer", 4)),
    ("SANA", Family("transformer", 1)),
    ("CHROMA", Family("transformer", 1)),
    ("QWEN", Family("transformer", 1)),
    ("ANIMA", Family("transformer", 1)),
    ("Z_IMAGE", Family("transformer", 1)),
    ("ERNIE", Family("transformer", 1)),
)


def family(model_type: str | None) -> Family | None:
    """The parts of a model; None for a type that is not known here."""
    if model_type is None:
        return None
    return next((found for start, found in _FAMILIES if model_type.startswith(start)), None)
