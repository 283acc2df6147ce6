"""The settings of a starting recipe, what each of them depends on, and the nouns of the advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.insight.distribution import Bin


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A column of `loras` that a recipe needs.

    Attributes:
        title: The heading under which it is shown; empty for one that is needed but not shown.
        is_measure: The recipe takes its median; for others it takes the most frequent value.
        given: Earlier settings that it depends on: a learning rate has a meaning only together with
            its optimizer. Only LoRAs with the chosen values of these count, and where one of these is
            off, this one is too.
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

#: In the order of the page; a setting comes after those it depends on.
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
    _optional(_MACHINE, "full_fp16", "mixed_precision"),
    _optional(_MACHINE, "full_bf16", "mixed_precision"),
    _optional(_MACHINE, "fp8_base"),
    _one(_MACHINE, "gradient_checkpointing"),
    _one(_MACHINE, "cache_latents"),
    _optional(_MACHINE, "clip_skip"),
    _optional(_MACHINE, "max_token_length"),
    _one("", "tensor_dtype"),
)

#: Pairs of settings of which only one is suggested. Releases of sd-scripts before 2023-10 refuse both
#: kinds of noise together (library/train_util.py, verify_training_args).
EXCLUSIVE = (("noise_offset", "multires_noise_iterations"),)

#: Settings that mean something for one architecture only. The scripts for Stable Diffusion 2 and XL say
#: that clip_skip has no use there (library/sdxl_train_util.py); other models have no such layers.
ONLY_FOR = {"clip_skip": "sd1"}

#: Settings that are also counted together, as combinations.
COMBINED = (
    *("optimizer", "lr_scheduler", "network_dim", "network_alpha"),
    *("effective_unet_lr", "effective_text_encoder_lr"),
)

#: The settings among these that a LoRA must have to count; the others may be missing.
REQUIRED = ("optimizer", "network_dim", "effective_unet_lr")

#: Settings that are shown with a histogram.
CHARTED = ("effective_unet_lr", "effective_text_encoder_lr")

#: With this many LoRAs, five are beyond each quartile. With fewer, single LoRAs decide, and the page
#: says so.
ENOUGH = 20

#: Most values of a setting, combinations and examples that are shown.
MAX_VALUES = 5


@dataclass(frozen=True, slots=True)
class Weighted:
    """A value, or a combination of values, and how many LoRAs have it.

    Attributes:
        count: Number of LoRAs.
        share: Their share, 0 to 1, of the weight of all LoRAs that have the setting.
    """

    value: Any
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The values of one setting.

    Attributes:
        given: The settings it depends on, with the values chosen for them.
        among: Number of LoRAs that agree with `given`.
        count: LoRAs among these that have the setting; all figures here rest on them.
        share: Their share of the weight of `among`, 0 to 1.
        chosen: The value in the recipe; None where most LoRAs leave the setting out, or `excluded`.
        values: The values with the largest weight first, at most MAX_VALUES.
        quartiles: By weight, existing values, for measures; else None.
        histogram: Numbers of LoRAs, for learning rates; else empty.
        excluded: Why it is not suggested though most LoRAs set it; else empty.
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
    excluded: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One of the LoRAs behind the advice, represented by one of its files."""

    file_id: int
    model_name: str | None
    creator: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A starting recipe and the LoRAs that it rests on.

    Attributes:
        loras: Number of LoRAs.
        creators: Number of their creators.
        weightless: LoRAs that were left out because they have no likes or no date.
        is_weighted: False where no LoRA has likes: then all weigh the same.
        half: The smallest number of LoRAs that carry half the weight.
        top_creator: The creator with the largest weight, and their share of it; None without LoRAs.
        findings: By setting; without settings that no LoRA has or that the recipe has off.
        combinations: Values in the order of COMBINED, the largest weight first.
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
        """Whether it rests on at least ENOUGH LoRAs."""
        return self.loras >= ENOUGH

    def chosen(self, name: str) -> Any:
        """The value of a setting in the recipe; None where it is left out."""
        finding = self.findings.get(name)
        return None if finding is None else finding.chosen
