"""OneTrainer's names, and the words that the columns use for all trainers.

Source: `modules/util/enum/` and `modules/util/create.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: Settings whose text is a path on the disk of the trainer's user.
PATHS = frozenset({"path", "prompt_path", "model_name", "lora_model_name", "base_model_name"})

#: Optimizers whose class has another name than the option. Other options keep their spelling.
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "ADABELIEF": "AdaBelief", "ADAFACTOR": "Adafactor", "ADAGRAD": "Adagrad",
        "ADAGRAD_8BIT": "Adagrad8bit", "ADAM": "Adam", "ADAM_8BIT": "Adam8bit", "ADAMW": "AdamW",
        "ADAMW_8BIT": "AdamW8bit", "ADAMW_ADV": "AdamW_adv", "ADOPT_ADV": "Adopt_adv",
        "AIDA": "Aida", "AdEMAMix_8BIT": "AdEMAMix8bit", "CAME_8BIT": "CAME8bit",
        "DADAPT_ADA_GRAD": "DAdaptAdaGrad", "DADAPT_ADAM": "DAdaptAdam",
        "DADAPT_ADAN": "DAdaptAdan", "DADAPT_LION": "DAdaptLion", "DADAPT_SGD": "DAdaptSGD",
        "LAMB_8BIT": "LAMB8bit", "LARS_8BIT": "LARS8bit", "LION": "Lion",
        "LION_8BIT": "Lion8bit", "LION_ADV": "Lion_adv", "LION_PRODIGY_ADV": "Lion_Prodigy_adv",
        "MUON": "Muon", "MUON_ADV": "Muon_adv", "PRODIGY": "Prodigy",
        "PRODIGY_ADV": "Prodigy_adv", "PRODIGY_PLUS_SCHEDULE_FREE": "ProdigyPlusScheduleFree",
        "RMSPROP": "RMSprop", "RMSPROP_8BIT": "RMSprop8bit",
        "SCHEDULE_FREE_ADAMW": "AdamWScheduleFree", "SCHEDULE_FREE_SGD": "SGDScheduleFree",
        "SGD_8BIT": "SGD8bit", "SIMPLIFIED_AdEMAMix": "Simplified_AdEMAMix", "TIGER": "Tiger",
        "YOGI": "Yogi",
    }
)  # fmt: skip

#: Switches of optimizers that are on by default; all others are off.
ON_BY_DEFAULT = frozenset(
    {
        "d_limiter", "factored", "factored_fp32", "rms_rescaling", "split_groups",
        "split_groups_mean", "stochastic_rounding", "use_schedulefree", "use_stableadamw",
        "weight_decay_by_lr",
    }
)  # fmt: skip

#: Number formats of the calculation, as accelerate names them.
PRECISIONS: Mapping[str, str] = MappingProxyType(
    {"FLOAT_16": "fp16", "BFLOAT_16": "bf16", "FLOAT_32": "no", "TFLOAT_32": "no"}
)


@dataclass(frozen=True, slots=True)
class Method:
    """A kind of network.

    Attributes:
        algo: As a value of `network_algo`.
        settings: How its settings begin; LoHa shares those of LoRA.
        rank: Setting that holds the rank. OFT has blocks instead, and its alpha has no effect.
        decomposed: Switch that decomposes the weights into magnitude and direction.
    """

    algo: str
    settings: tuple[str, ...]
    rank: str | None = None
    decomposed: str | None = None


#: By `peft_type`.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "LORA": Method("lora", ("lora_",), "lora_rank", "lora_decompose"),
        "LOHA": Method("loha", ("lora_",), "lora_rank"),
        "LOKR": Method("lokr", ("lokr_",), "lokr_dim", "lokr_weight_decompose"),
        "OFT_2": Method("oft", ("oft_", "dora_oft")),
    }
)


@dataclass(frozen=True, slots=True)
class Family:
    """Base models with the same parts.

    Attributes:
        denoiser: The setting of the U-Net or transformer.
        text_encoders: Number of text encoders.
        flow: Whether it is trained by flow matching, so that timesteps have a shift.
        guided: Whether the model takes a guidance scale during training.
    """

    denoiser: str
    text_encoders: int
    flow: bool = True
    guided: bool = False

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Settings of the text encoders in order; the first has no number."""
        numbered = (f"text_encoder_{number}" for number in range(2, self.text_encoders + 1))
        return ("text_encoder", *numbered)


#: By prefix of `model_type`; longer prefixes come first.
_FAMILIES = (
    (("STABLE_DIFFUSION_XL",), Family("unet", 2, flow=False)),
    (("STABLE_DIFFUSION_3",), Family("transformer", 3)),
    (("STABLE_DIFFUSION_",), Family("unet", 1, flow=False)),
    (("WUERSTCHEN", "STABLE_CASCADE"), Family("prior", 1, flow=False)),
    (("PIXART",), Family("transformer", 1, flow=False)),
    (("FLUX_2",), Family("transformer", 1, guided=True)),
    (("FLUX_", "HUNYUAN_VIDEO"), Family("transformer", 2, guided=True)),
    (("HI_DREAM",), Family("transformer", 4)),
    (("SANA", "CHROMA", "QWEN", "ANIMA", "Z_IMAGE", "ERNIE"), Family("transformer", 1)),
)


def family(model_type: str | None) -> Family | None:
    """The family of a base model; None for an unknown `model_type`."""
    name = model_type or ""
    return next((found for starts, found in _FAMILIES if name.startswith(starts)), None)
