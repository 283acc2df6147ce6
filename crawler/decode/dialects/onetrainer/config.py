"""OneTrainer's `ot_config`: the whole configuration of a run as JSON, if the user chose to save it.

Source: `modules/util/config/TrainConfig.py`. Settings that changed between versions are read in all
their forms.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.decode.clean import base_name, model_name, without_folders
from crawler.decode.dialect_result import held, take
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer.names import METHODS, PATHS, Family
from crawler.decode.embedded_json import object_or_empty
from crawler.model import Problem

T = TypeVar("T")

#: Setting, column, reader.
_FLAT: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("learning_rate", "learning_rate", clean.number),
    ("clip_grad_norm", "max_grad_norm", clean.number),
    ("epochs", "num_epochs", clean.integer),
    ("batch_size", "batch_size", clean.integer),
    ("gradient_accumulation_steps", "gradient_accumulation_steps", clean.integer),
    ("aspect_ratio_bucketing", "enable_bucket", clean.boolean),
    ("latent_caching", "cache_latents", clean.boolean),
    ("image_caching", "cache_latents", clean.boolean),  # its name since version 12
    ("offset_noise_weight", "noise_offset", clean.number),
    ("perturbation_noise_weight", "ip_noise_gamma", clean.number),
    ("rescale_noise_scheduler_to_zero_terminal_snr", "zero_terminal_snr", clean.boolean),
    ("base_model_name", "sd_model_name", model_name),
    ("model_type", "base_model_version", clean.string),
)

#: Strength of a loss, and the `loss_type` if it is the only one with a strength.
_LOSSES = {
    "mse_strength": "l2",
    "mae_strength": "l1",
    "huber_strength": "huber",
    "log_cosh_strength": None,
}

#: Values of gradient checkpointing in versions 5 to 10.
_CHECKPOINTING = {"ON": True, "CPU_OFFLOADED": True, "OFF": False}

#: Starts of the settings that select the layers of a network: names, a preset, or patterns.
_LAYERS = "layer_filter"


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration and how far it has been read.

    Attributes:
        settings: As in the JSON.
        problems: Collects values that cannot be read.
        used: Collects the settings that columns hold.
    """

    settings: Mapping[str, Any]
    problems: list[Problem]
    used: set[str] = field(default_factory=set)

    def read(self, name: str, reader: Callable[[Any], T | None], column: str) -> T | None:
        """The value of a column; None when the setting is missing, null or unreadable."""
        before = len(self.problems)
        value = take(reader, self.settings.get(name), column, self.problems)
        if len(self.problems) == before:
            self.used.add(name)
        return value

    def part(self, name: str) -> Mapping[str, Any]:
        """The settings of a part of the model; empty when it is missing."""
        if self.settings.get(name) is None:
            return {}
        return object_or_empty(self.settings[name], f"ot_config.{name}", self.problems)


def columns(config: Config) -> dict[str, Any]:
    """Columns of `Recipe` by name, except those of the images."""
    values: dict[str, Any] = {}
    for name, column, reader in _FLAT:
        if name in config.settings:
            values[column] = config.read(name, reader, column)
    family = onetrainer_names.family(values.get("base_model_version"))
    denoiser = _denoiser(config, family)
    values |= _schedule(config) | _optimizer(config) | _loss(config)
    precision = config.read("train_dtype", clean.string, "mixed_precision")
    values["mixed_precision"] = onetrainer_names.PRECISIONS.get(precision or "", precision)
    values |= _rates(config, family, denoiser, values.get("learning_rate"))
    values |= _flow(config, family, denoiser)
    values |= _memory(config, denoiser)
    vae = config.part("vae").get("model_name")
    values["vae_name"] = take(model_name, vae, "vae_name", config.problems)
    output = base_name(config.read("output_model_destination", clean.string, "output_name") or "")
    values["output_name"] = output.removesuffix(".safetensors") or None
    if (values.get("base_model_version") or "").startswith("STABLE_DIFFUSION_15"):
        skipped = config.read("text_encoder_layer_skip", clean.integer, "clip_skip")
        values["clip_skip"] = None if skipped is None else skipped + 1  # 0 is the last layer
    return values | _network(config)


def _denoiser(config: Config, family: Family | None) -> Mapping[str, Any]:
    """Settings of the U-Net or transformer; before version 9 a transformer was `prior`."""
    if family is None:
        return {}
    name = family.denoiser
    return config.part("prior" if name == "transformer" and name not in config.settings else name)


def _schedule(config: Config) -> dict[str, Any]:
    """The schedule and its warmup: a share up to 1, a number of batches above."""
    name = config.read("learning_rate_scheduler", clean.string, "lr_scheduler")
    if name == "CUSTOM":
        path = config.read("custom_learning_rate_scheduler", clean.string, "lr_scheduler") or ""
        name = path.rpartition(".")[2] or None
        if name != path:
            config.used.discard("custom_learning_rate_scheduler")
    elif name is not None:
        name = name.lower()
    values: dict[str, Any] = {"lr_scheduler": name}
    warmup = config.read("learning_rate_warmup_steps", clean.number, "lr_warmup_steps")
    if warmup is not None and 0 < warmup <= 1:
        values["lr_warmup_ratio"] = warmup
    elif warmup is not None:
        batches = take(clean.integer, warmup, "lr_warmup_steps", config.problems)
        each = take(clean.integer, config.settings.get("gradient_accumulation_steps"), "", [])
        if batches is not None:
            values["lr_warmup_steps"] = max(batches, 0) // max(each or 1, 1)
    return values


def _optimizer(config: Config) -> dict[str, Any]:
    """The class, and as arguments every number and the switches that differ from their default."""
    settings = config.settings.get("optimizer")
    if not isinstance(settings, dict):
        name = config.read("optimizer", clean.string, "optimizer")
        return {"optimizer": onetrainer_names.OPTIMIZERS.get(name or "", name)}
    before = len(config.problems)
    name = take(clean.string, settings.get("optimizer"), "optimizer", config.problems)
    arguments = {
        key: value
        for key, value in settings.items()
        if key != "optimizer" and not key.startswith("__") and value not in (None, {}, "")
        if not isinstance(value, bool) or value != (key in onetrainer_names.ON_BY_DEFAULT)
    }
    kept = held(arguments, "optimizer_args", config.problems)
    if len(config.problems) == before:
        config.used.add("optimizer")
    return {
        "optimizer": onetrainer_names.OPTIMIZERS.get(name or "", name),
        "optimizer_args": kept or None,
    }


def _loss(config: Config) -> dict[str, Any]:
    """A loss that sd-scripts has too, and its weighting if a column holds it."""
    values: dict[str, Any] = {}
    strengths = {name: take(clean.number, config.settings.get(name), "", []) for name in _LOSSES}
    on = [name for name, strength in strengths.items() if strength]
    if len(on) == 1:
        values["loss_type"] = _LOSSES[on[0]]
    weighting = config.read("loss_weight_fn", clean.string, "min_snr_gamma")
    if weighting == "MIN_SNR_GAMMA":
        values["min_snr_gamma"] = config.read("loss_weight_strength", clean.number, "min_snr_gamma")
    elif weighting not in (None, "CONSTANT", "DEBIASED_ESTIMATION"):
        config.used.discard("loss_weight_fn")
    if weighting is not None:
        values["debiased_estimation"] = weighting == "DEBIASED_ESTIMATION"
    return values


def _rates(
    config: Config, family: Family | None, denoiser: Mapping[str, Any], base: float | None
) -> Mapping[str, Any]:
    """Rates of the parts. A part without a rate has the base rate, an untrained one has 0."""
    if family is None:
        return {}
    own = [
        _rate(config.part(name), "text_encoder_lr", config.problems)
        for name in family.encoder_names
    ]
    rates = [base if rate is None else rate for rate in own]
    several = any(rate is not None for rate in own) and None not in rates
    return {
        "unet_lr": _rate(denoiser, "unet_lr", config.problems),
        "text_encoder_lr": rates[0] if several else None,
        "text_encoder_lrs": tuple(rates) if several else None,
        "caption_dropout_rate": _caption_dropout(config, family.encoder_names),
    }


def _rate(part: Mapping[str, Any], column: str, problems: list[Problem]) -> float | None:
    if part.get("train") is False or part.get("include") is False:
        return 0.0
    return take(clean.number, part.get("learning_rate"), column, problems)


def _caption_dropout(config: Config, encoders: Iterable[str]) -> float | None:
    """The chance to train without a caption; None if several encoders drop it independently."""
    name = "caption_dropout_rate"
    rates = [
        take(clean.number, config.part(one).get("dropout_probability"), name, config.problems)
        for one in encoders
    ]
    return rates[0] if len(rates) == 1 or set(rates) == {0.0} else None


def _flow(config: Config, family: Family | None, denoiser: Mapping[str, Any]) -> Mapping[str, Any]:
    """How timesteps are drawn, with a shift and a guidance scale if the model has them."""
    drawn = config.read("timestep_distribution", clean.string, "timestep_sampling")
    values: dict[str, Any] = {"timestep_sampling": drawn and drawn.lower()}
    if family is not None and family.flow:
        dynamic = config.settings.get("dynamic_timestep_shifting") is True
        shift = config.read("timestep_shift", clean.number, "discrete_flow_shift")
        values["discrete_flow_shift"] = None if dynamic else shift
    if family is not None and family.guided:
        scale = denoiser.get("guidance_scale")
        values["guidance_scale"] = take(clean.number, scale, "guidance_scale", config.problems)
    return values


def _memory(config: Config, denoiser: Mapping[str, Any]) -> Mapping[str, Any]:
    """Checkpointing: first a switch, then a word for all parts, now a switch for each part."""
    column = "gradient_checkpointing"
    raw = config.settings.get(column)
    raw = denoiser.get(column) if raw is None else raw
    on = _CHECKPOINTING.get(raw, raw) if isinstance(raw, str) else raw
    held_as = take(clean.string, denoiser.get("weight_dtype"), "fp8_base", config.problems)
    known = held_as is not None and held_as != "NONE"
    before = len(config.problems)
    checkpointing = take(clean.boolean, on, column, config.problems)
    if len(config.problems) == before:
        config.used.add(column)
    return {
        column: checkpointing,
        "fp8_base": held_as in {"FLOAT_8", "FLOAT_W8A8"} if known else None,
    }


def _network(config: Config) -> dict[str, Any]:
    """Columns of the network; none when something else was trained."""
    if config.settings.get("training_method", "LORA") != "LORA":
        return {}
    config.used.add("training_method")
    before = len(config.problems)
    name = config.read("peft_type", clean.string, "network_algo")
    if name is None and len(config.problems) == before and "lora_rank" in config.settings:
        name = "LORA"  # the only method at first
    method = METHODS.get(name or "")
    if method is None:
        return {}
    values: dict[str, Any] = {"network_algo": method.algo}
    if method.rank:
        values["network_dim"] = config.read(method.rank, clean.integer, "network_dim")
        values["network_alpha"] = config.read("lora_alpha", clean.number, "network_alpha")
    if method.decomposed and config.read(method.decomposed, clean.boolean, "network_algo"):
        values["network_algo"] = "dora"
    values["network_dropout"] = config.read("dropout_probability", clean.number, "network_dropout")
    arguments = {
        name: value
        for name, value in config.settings.items()
        if name.startswith((*method.settings, _LAYERS)) and value not in (None, "")
        if name not in {method.rank, "lora_alpha", method.decomposed}
    }
    kept = held(arguments, "network_args", config.problems)
    values["network_args"] = without_folders(kept, PATHS) or None
    if len(config.problems) == before:
        of_any = {start for one in METHODS.values() for start in one.settings}
        config.used.update(name for name in config.settings if name.startswith((*of_any, _LAYERS)))
    return values
