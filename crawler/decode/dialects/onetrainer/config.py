"""OneTrainer's `ot_config`: the whole configuration of a run as JSON, where it was asked to be kept.

Source: `modules/util/config/TrainConfig.py`, of several versions: what changed is read either way.
"""

from collections.abc import Callable, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import take
from crawler.decode.dialects.local_paths import base_name, model_name
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer import rates as onetrainer_rates
from crawler.decode.dialects.onetrainer.names import Family
from crawler.decode.dialects.onetrainer.settings import Config

#: Key, column, reader.
FLAT: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
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

#: Losses of which one alone makes a `loss_type`, by their strengths.
_LOSSES = {
    "mse_strength": "l2",
    "mae_strength": "l1",
    "huber_strength": "huber",
    "log_cosh_strength": None,
}

#: Gradient checkpointing in the words of versions 5 to 10.
_CHECKPOINTING = {"ON": True, "CPU_OFFLOADED": True, "OFF": False}


def columns(config: Config) -> Mapping[str, Any]:
    """Columns of `Recipe` by name, but those that data and network tell."""
    values: dict[str, Any] = {}
    for name, column, reader in FLAT:
        if name in config.settings:
            values[column] = config.read(name, reader, column)
    family = onetrainer_names.family(values.get("base_model_version"))
    denoiser = _denoiser(config, family)
    for columns_of in (onetrainer_rates.schedule, onetrainer_rates.optimizer, _loss, _precision):
        values |= columns_of(config)
    values |= onetrainer_rates.columns(config, family, denoiser, values.get("learning_rate"))
    values |= _flow(config, family, denoiser)
    values |= _memory(config, denoiser)
    values |= _names(config)
    if (values.get("base_model_version") or "").startswith("STABLE_DIFFUSION_15"):
        skipped = config.read("text_encoder_layer_skip", clean.integer, "clip_skip")
        values["clip_skip"] = None if skipped is None else skipped + 1  # 0 is the last layer
    return values


def _denoiser(config: Config, family: Family | None) -> Mapping[str, Any]:
    """The part that is denoised; before version 9 every transformer was set up as the prior."""
    if family is None:
        return {}
    name = family.denoiser
    return config.part("prior" if name == "transformer" and name not in config.settings else name)


def _loss(config: Config) -> Mapping[str, Any]:
    """A loss that is one of those of sd-scripts, and its weighting where a column has it."""
    values: dict[str, Any] = {}
    strengths = {name: take(clean.number, config.settings.get(name), "", []) for name in _LOSSES}
    on = [name for name, strength in strengths.items() if strength]
    if len(on) == 1:
        values["loss_type"] = _LOSSES[on[0]]
    weighting = config.read("loss_weight_fn", clean.string, "min_snr_gamma")
    if weighting == "MIN_SNR_GAMMA":
        values["min_snr_gamma"] = config.read("loss_weight_strength", clean.number, "min_snr_gamma")
    elif weighting not in (None, "CONSTANT", "DEBIASED_ESTIMATION"):
        config.told.discard("loss_weight_fn")
    if weighting is not None:
        values["debiased_estimation"] = weighting == "DEBIASED_ESTIMATION"
    return values


def _flow(config: Config, family: Family | None, denoiser: Mapping[str, Any]) -> Mapping[str, Any]:
    """How timesteps are drawn; a shift and a guidance where the model has them."""
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


def _precision(config: Config) -> Mapping[str, Any]:
    name = config.read("train_dtype", clean.string, "mixed_precision")
    return {"mixed_precision": onetrainer_names.PRECISIONS.get(name or "", name)}


def _memory(config: Config, denoiser: Mapping[str, Any]) -> Mapping[str, Any]:
    """Checkpointing was a switch, then a word for all parts, and is a switch for each since."""
    column = "gradient_checkpointing"
    raw = config.settings.get(column)
    raw = denoiser.get(column) if raw is None else raw
    on = _CHECKPOINTING.get(raw, raw) if isinstance(raw, str) else raw
    held_as = take(clean.string, denoiser.get("weight_dtype"), "fp8_base", config.problems)
    known = held_as is not None and held_as != "NONE"
    before = len(config.problems)
    checkpointing = take(clean.boolean, on, column, config.problems)
    if len(config.problems) == before:
        config.told.add(column)
    return {
        column: checkpointing,
        "fp8_base": held_as in onetrainer_names.EIGHT_BIT_FLOATS if known else None,
    }


def _names(config: Config) -> Mapping[str, Any]:
    """Files, without the folders they are in."""
    vae = config.part("vae").get("model_name")
    output = config.read("output_model_destination", clean.string, "output_name")
    return {
        "vae_name": take(model_name, vae, "vae_name", config.problems),
        "output_name": base_name(output).removesuffix(".safetensors") or None if output else None,
    }
