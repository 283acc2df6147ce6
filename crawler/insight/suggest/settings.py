"""Which settings a starting recipe has, and what each of them depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.insight.distribution import Bin
from crawler.store.stats.examples import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A column of `loras` that a recipe needs.

    Attributes:
        title: The heading under which it is shown; empty for what is needed but tells a person
            little.
        is_measure: Its median is asked for, and what lies around it; else its commonest value.
        given: Settings that stand before it and decide what it means: a learning rate means
            something beside its optimizer alone. Only LoRAs that agree with the recipe in them
            count, and where one of them is off, this one is too.
        is_optional: Trainers write nothing where it is off.
    """

    name: str
    title: str = ""
    is_measure: bool = False
    given: tuple[str, ...] = ()
    is_optional: bool = False


def _one(title: str, name: str, *given: str) -> Setting:
    return Setting(name=name, title=title, given=given)


def _measure(title: str, name: str, *given: str) -> Setting:
    return Setting(name=name, title=title, given=given, is_measure=True)


def _optional(title: str, name: str, *given: str) -> Setting:
    return Setting(name=name, title=title, given=given, is_optional=True)


_BASE, _NETWORK, _RATES = "Trained on", "Network", "Learning rates and optimizer"
_LENGTH, _IMAGES, _LOSS, _MACHINE = "Length", "Images", "Loss and noise", "Machine"

#: In the order of the page; what a setting depends on stands before it.
SETTINGS = (
    _one("", "trainer"),
    _one("", "architecture"),
    _one("", "base_model_version"),
    _one(_BASE, "sd_model_name"),
    _one(_NETWORK, "network_module"),
    _one(_NETWORK, "network_algo", "network_module"),
    _optional(_NETWORK, "network_args", "network_module", "network_algo"),
    _one(_NETWORK, "network_dim", "network_algo"),
    _one(_NETWORK, "network_alpha", "network_dim"),
    _optional(_NETWORK, "network_dropout"),
    _one(_NETWORK, "trains_text_encoder"),
    _one(_RATES, "optimizer"),
    _one("", "optimizer_path", "optimizer"),
    _optional(_RATES, "optimizer_args", "optimizer"),
    _measure(_RATES, "effective_unet_lr", "optimizer"),
    _measure(_RATES, "effective_text_encoder_lr", "optimizer", "trains_text_encoder"),
    _one(_RATES, "lr_scheduler", "optimizer"),
    _measure(_RATES, "lr_warmup_steps", "lr_scheduler"),
    _one(_RATES, "max_grad_norm"),
    _one(_LENGTH, "batch_size"),
    _one(_LENGTH, "gradient_accumulation_steps"),
    _measure(_LENGTH, "steps", "batch_size"),
    _measure(_LENGTH, "images_seen"),
    _measure(_LENGTH, "num_epochs"),
    _measure(_IMAGES, "image_count"),
    _measure(_IMAGES, "mean_repeats"),
    _one(_IMAGES, "resolution"),
    _one(_IMAGES, "enable_bucket"),
    _one(_IMAGES, "bucket_no_upscale", "enable_bucket"),
    _one(_IMAGES, "min_bucket_reso", "enable_bucket"),
    _one(_IMAGES, "max_bucket_reso", "enable_bucket"),
    _one(_IMAGES, "shuffle_caption"),
    _one(_IMAGES, "keep_tokens"),
    _one(_IMAGES, "flip_aug"),
    _optional(_IMAGES, "caption_dropout_rate"),
    _optional(_IMAGES, "caption_tag_dropout_rate"),
    _optional(_LOSS, "noise_offset"),
    _optional(_LOSS, "adaptive_noise_scale", "noise_offset"),
    _optional(_LOSS, "multires_noise_iterations"),
    _optional(_LOSS, "multires_noise_discount", "multires_noise_iterations"),
    _optional(_LOSS, "min_snr_gamma"),
    _optional(_LOSS, "ip_noise_gamma"),
    _optional(_LOSS, "zero_terminal_snr"),
    _optional(_LOSS, "debiased_estimation"),
    _optional(_LOSS, "scale_weight_norms"),
    _optional(_LOSS, "prior_loss_weight"),
    _optional(_LOSS, "loss_type"),
    _optional(_LOSS, "huber_c", "loss_type"),
    _optional(_LOSS, "guidance_scale"),
    _optional(_LOSS, "timestep_sampling"),
    _optional(_LOSS, "discrete_flow_shift", "timestep_sampling"),
    _optional(_LOSS, "weighting_scheme"),
    _one(_MACHINE, "mixed_precision"),
    _optional(_MACHINE, "full_fp16"),
    _optional(_MACHINE, "full_bf16"),
    _optional(_MACHINE, "fp8_base"),
    _one(_MACHINE, "gradient_checkpointing"),
    _one(_MACHINE, "cache_latents"),
    _optional(_MACHINE, "clip_skip"),
    _optional(_MACHINE, "max_token_length"),
    _one("", "tensor_dtype"),
)

#: What is looked at together, as whole combinations.
COMBINED = (
    "optimizer",
    "lr_scheduler",
    "network_dim",
    "network_alpha",
    "effective_unet_lr",
    "effective_text_encoder_lr",
)

#: Of these, what a LoRA must tell to count as a combination; the others may be missing.
REQUIRED = ("optimizer", "network_dim", "effective_unet_lr")

#: Rates, whose spread is shown as a histogram.
CHARTED = ("effective_unet_lr", "effective_text_encoder_lr")


#: From so many LoRAs on a quartile has five of them on its far side; with fewer, single LoRAs
#: decide, and the page says so.
ENOUGH = 20

#: Values told of a setting, and the most combinations and examples: what can be compared at a glance.
MAX_VALUES = 5


@dataclass(frozen=True, slots=True)
class Weighted:
    """A value, or a combination of values, and what stands behind it.

    Attributes:
        count: LoRAs with it.
        share: Their part of the weight of all that tell the setting, 0 to 1.
    """

    value: Any
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one setting.

    Attributes:
        given: The settings it depends on, with the values that were chosen for them.
        among: LoRAs that agree with `given`.
        count: Of these, LoRAs that tell this setting: what every figure here rests on.
        share: Their part of the weight, 0 to 1.
        chosen: For the recipe; None where most leave it out.
        values: The commonest first, at most MAX_VALUES.
        quartiles: By weight, of measures: values that are used, nothing in between; else None.
        histogram: LoRAs by ranges, of learning rates alone.
    """

    setting: Setting
    given: tuple[tuple[str, Any], ...]
    among: int
    count: int
    share: float
    chosen: Any
    values: tuple[Weighted, ...]
    quartiles: tuple[Any, Any, Any] | None
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A starting recipe and its grounds.

    Attributes:
        loras: LoRAs that it rests on.
        creators: How many people made them.
        weightless: LoRAs that were left out: nobody liked them, or they have no date.
        is_weighted: False where no LoRA has likes: then all of them weigh the same.
        half: The fewest LoRAs that have half of the weight.
        top_creator: Whoever has most of the weight, and their part of it; None without LoRAs.
        findings: By setting; without those that the recipe has no use for.
        combinations: Whole ones, in the order of COMBINED; the weightiest first.
        examples: The best liked, one of each creator, each with its likes per month.
    """

    loras: int
    creators: int
    weightless: int
    is_weighted: bool
    half: int
    top_creator: tuple[str | None, float] | None
    findings: Mapping[str, Finding]
    combinations: tuple[Weighted, ...]
    examples: tuple[tuple[Example, float], ...]

    @property
    def is_enough(self) -> bool:
        """Whether it rests on ENOUGH LoRAs."""
        return self.loras >= ENOUGH

    def chosen(self, name: str) -> Any:
        """The value of a setting in the recipe, None where it has none."""
        finding = self.findings.get(name)
        return None if finding is None else finding.chosen
