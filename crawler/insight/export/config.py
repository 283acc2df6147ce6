"""config.toml: the options of a training script, told by what a file says."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.decode.problems import UnreadableError
from crawler.insight.export import network as recipe_network
from crawler.insight.export.parts import Kind, Note, Option, Section, Value, placeholder
from crawler.insight.export.scripts import EXTRAS, Script
from crawler.model import Decoded


def length(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """`max_train_steps` where it is known, else `max_train_epochs`; never both."""
    recipe = decoded.recipe
    found = _planned(decoded, notes)
    if recipe.gradient_accumulation_steps is not None:
        found.append(Option("gradient_accumulation_steps", recipe.gradient_accumulation_steps))
    if recipe.epoch is not None and recipe.num_epochs is not None:
        early = recipe.epoch < recipe.num_epochs
        if early and (recipe.steps is None or recipe.steps != recipe.max_train_steps):
            text = (
                f"the whole run is written, of {recipe.num_epochs:,} epochs;"
                f" this file was saved in epoch {recipe.epoch:,}"
            )
            notes.append(Note(Kind.ASSUMED, "length", text))
    _note_devices(decoded, notes)
    return found


def _planned(decoded: Decoded, notes: list[Note]) -> list[Option]:
    recipe = decoded.recipe
    if recipe.max_train_steps is not None:
        return [Option("max_train_steps", recipe.max_train_steps)]
    if recipe.num_epochs is not None:
        return [Option("max_train_epochs", recipe.num_epochs)]
    if recipe.steps is not None:
        text = f"{recipe.steps:,}, the steps of this file; how many were planned is not told"
        notes.append(Note(Kind.ASSUMED, "max_train_steps", text))
        return [Option("max_train_steps", recipe.steps)]
    text = "neither steps nor epochs are told; sd-scripts would do 1,600 steps"
    notes.append(Note(Kind.MISSING, "max_train_steps", text))
    return []


def _note_devices(decoded: Decoded, notes: list[Note]) -> None:
    """Say how many devices worked together, or that it is unknown."""
    recipe = decoded.recipe
    batch, whole = recipe.batch_size, recipe.total_batch_size
    if batch is None:
        return
    if whole is None:
        text = "how many trained together; with more than one, a step saw more images"
        notes.append(Note(Kind.MISSING, "devices", text))
        return
    each = batch * (recipe.gradient_accumulation_steps or 1)
    devices, rest = divmod(whole, each) if each > 0 else (1, 0)
    if devices > 1 and rest == 0:
        text = f"{devices:,} trained together: start as many processes, or raise the batch size"
        notes.append(Note(Kind.ASSUMED, "devices", text))


#: A model on Hugging Face, which sd-scripts fetches by itself.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)

#: How a name ends that is a file's, and so no model on Hugging Face.
_FILES = (".safetensors", ".ckpt", ".pt", ".sft", ".bin")


def models(decoded: Decoded, script: Script, notes: list[Note]) -> list[Option]:
    """The base model, the VAE, and the further files that the script asks for."""
    recipe = decoded.recipe
    found = [_base(decoded, notes)]
    if recipe.vae_name is not None:
        remark = _known_as(recipe.vae_name)
        found.append(Option("vae", placeholder(recipe.vae_name), remark))
        notes.append(Note(Kind.MISSING, "vae", f"the path of the VAE; {remark}"))
    for name in script.models:
        if name != "vae" or recipe.vae_name is None:
            found.append(Option(name, placeholder(name), "a file that the script asks for"))
            notes.append(
                Note(Kind.MISSING, name, f"the path of a file that {script.file} asks for")
            )
    if recipe.v2 is not None or script.base == "sd2":
        found.append(Option("v2", recipe.v2 is True or script.base == "sd2"))
    if script.base in {"sd1", "sd2", "sdxl"} and _predicts_velocity(decoded):
        found.append(Option("v_parameterization", value=True))
    if "model_type" in script.extras:
        found.append(Option("model_type", "chroma" if script.base == "chroma" else "flux"))
    return [*found, *_clip_skip(decoded)]


def _base(decoded: Decoded, notes: list[Note]) -> Option:
    recipe = decoded.recipe
    name, option = recipe.sd_model_name, "pretrained_model_name_or_path"
    if name is None:
        notes.append(Note(Kind.MISSING, option, "the model that was trained on, not even its name"))
        return Option(option, placeholder("base model"), "the model that was trained on")
    hashes = {"SHA-256": recipe.sd_model_sha256, "AutoV1": recipe.sd_model_hash}
    told = [f"{kind} {value}" for kind, value in hashes.items() if value]
    if _HUB_ID.fullmatch(name) and not told and not name.casefold().endswith(_FILES):
        notes.append(Note(Kind.ASSUMED, option, f"{name}, taken for a model on Hugging Face"))
        return Option(option, name, "on Hugging Face")
    remark = ", ".join([_known_as(name), *told])
    notes.append(Note(Kind.MISSING, option, f"the path of the model that was trained on; {remark}"))
    return Option(option, placeholder(name), remark)


def _known_as(name: str) -> str:
    return f"it was called {clean.quote(name)}"


def _predicts_velocity(decoded: Decoded) -> bool:
    """Whether the base predicts velocity, by sd-scripts' name for it or by the model spec."""
    version = decoded.recipe.base_model_version or ""
    metadata = decoded.header.metadata or {}
    return version.endswith("_v") or metadata.get("modelspec.prediction_type") == "v"


def _clip_skip(decoded: Decoded) -> list[Option]:
    value = decoded.recipe.clip_skip
    if value is None:
        layer = (decoded.header.metadata or {}).get("modelspec.encoder_layer", "")
        value = int(layer) if re.fullmatch("[0-9]{1,2}", layer, re.ASCII) else None
    return [] if value is None else [Option("clip_skip", value)]


Reader = Callable[[Any], Value | None]

#: Columns of `loras` that are options of the same name, or of the second name, by section.
_RATES = ("learning_rate", "unet_lr")
_LOSS = (
    "noise_offset",
    "adaptive_noise_scale",
    "multires_noise_iterations",
    "multires_noise_discount",
    "min_snr_gamma",
    "ip_noise_gamma",
    "zero_terminal_snr",
    ("debiased_estimation", "debiased_estimation_loss"),
    "scale_weight_norms",
    "prior_loss_weight",
    "loss_type",
    "huber_c",
    "guidance_scale",
    "timestep_sampling",
    "discrete_flow_shift",
    "weighting_scheme",
)
_MACHINE = (
    "mixed_precision",
    "full_fp16",
    "full_bf16",
    "fp8_base",
    "gradient_checkpointing",
    "cache_latents",
    "lowram",
    "seed",
    "max_token_length",
)

#: Metadata keys that no column takes, and their options.
_RAW_LOSS: tuple[tuple[str, str, Reader], ...] = (
    ("ss_noise_offset_random_strength", "noise_offset_random_strength", clean.boolean),
    ("ss_ip_noise_gamma_random_strength", "ip_noise_gamma_random_strength", clean.boolean),
    ("ss_huber_schedule", "huber_schedule", clean.string),
    ("ss_huber_scale", "huber_scale", clean.number),
    ("ss_sigmoid_scale", "sigmoid_scale", clean.number),
    ("ss_model_prediction_type", "model_prediction_type", clean.string),
    ("ss_logit_mean", "logit_mean", clean.number),
    ("ss_logit_std", "logit_std", clean.number),
    ("ss_mode_scale", "mode_scale", clean.number),
    ("ss_apply_t5_attn_mask", "apply_t5_attn_mask", clean.boolean),
    ("ss_apply_lg_attn_mask", "apply_lg_attn_mask", clean.boolean),
)
_RAW_RATES: tuple[tuple[str, str, Reader], ...] = (
    ("ss_lr_scheduler_num_cycles", "lr_scheduler_num_cycles", clean.integer),
    ("ss_lr_scheduler_power", "lr_scheduler_power", clean.number),
)
_RAW_MACHINE: tuple[tuple[str, str, Reader], ...] = (
    ("ss_fp8_base_unet", "fp8_base_unet", clean.boolean),
)
_RAW_VALIDATION: tuple[tuple[str, str, Reader], ...] = (
    ("ss_max_validation_steps", "max_validation_steps", clean.integer),
    ("ss_validate_every_n_epochs", "validate_every_n_epochs", clean.integer),
    ("ss_validate_every_n_steps", "validate_every_n_steps", clean.integer),
)

#: Options that take one of a few values; a script ends at once when it is given another.
_CHOICES: Mapping[str, frozenset[Value]] = MappingProxyType(
    {
        "mixed_precision": frozenset({"no", "fp16", "bf16"}),
        "max_token_length": frozenset({150, 225}),
        "lr_scheduler": frozenset(
            {
                *("linear", "cosine", "cosine_with_restarts", "polynomial", "constant"),
                *("constant_with_warmup", "piecewise_constant", "adafactor", "inverse_sqrt"),
                *("cosine_with_min_lr", "warmup_stable_decay"),
            }
        ),
        "loss_type": frozenset({"l1", "l2", "huber", "smooth_l1"}),
        "huber_schedule": frozenset({"constant", "exponential", "snr"}),
        "timestep_sampling": frozenset({"sigma", "uniform", "sigmoid", "shift", "flux_shift"}),
        "model_prediction_type": frozenset({"raw", "additive", "sigma_scaled"}),
        "weighting_scheme": frozenset(
            {"sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"}
        ),
    }
)

#: Half precision throughout works with mixed precision of the same kind alone.
_FULL = MappingProxyType({"full_fp16": "fp16", "full_bf16": "bf16"})

#: Caption tokens without an option: CLIP's own 75.
_CLIP_TOKENS = 75


def config(decoded: Decoded, script: Script, notes: list[Note]) -> tuple[Section, ...]:
    """The sections of config.toml that have something in them."""
    sections = (
        ("the model to train on", models(decoded, script, notes)),
        ("the result", _result(decoded, notes)),
        ("the network", recipe_network.network(decoded, script, notes)),
        ("learning rates", _rates(decoded, notes)),
        ("length", length(decoded, notes)),
        ("loss and noise", _loss(decoded, notes)),
        ("machine", [*_columns(decoded, _MACHINE), *_raw(decoded, _RAW_MACHINE, notes)]),
        ("validation", _raw(decoded, _RAW_VALIDATION, notes)),
        ("images", [Option("dataset_config", "dataset.toml")]),
    )
    precision = decoded.recipe.mixed_precision
    return tuple(
        Section(title, tuple(kept))
        for title, options in sections
        if (kept := [one for one in options if _is_taken(one, script, precision, notes)])
    )


def _columns(decoded: Decoded, names: tuple[str | tuple[str, str], ...]) -> list[Option]:
    found = []
    for name in names:
        column, option = (name, name) if isinstance(name, str) else name
        if (value := getattr(decoded.recipe, column)) is not None:
            found.append(Option(option, value))
    return found


def _raw(
    decoded: Decoded, keys: tuple[tuple[str, str, Reader], ...], notes: list[Note]
) -> list[Option]:
    """Options of metadata keys; a value that cannot be read is noted and left out."""
    metadata, found = decoded.header.metadata or {}, []
    for key, option, reader in keys:
        try:
            value = reader(metadata.get(key))
        except UnreadableError as error:
            notes.append(Note(Kind.CONFLICT, option, f"left out: {error.detail}"))
            continue
        if value is not None:
            found.append(Option(option, value))
    return found


def _result(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """Where the result goes, and the texts that are kept with it."""
    recipe, metadata = decoded.recipe, decoded.header.metadata or {}
    found = [Option("output_dir", "output"), Option("output_name", recipe.output_name or "last")]
    notes.append(Note(Kind.ASSUMED, "output_dir", "output, beside the recipe"))
    if precision := {"F16": "fp16", "BF16": "bf16", "F32": "float"}.get(
        decoded.weights.tensor_dtype or ""
    ):
        found.append(Option("save_precision", precision))
        text = f"{precision}, the number format of the tensors"
        notes.append(Note(Kind.ASSUMED, "save_precision", text))
    if comment := recipe_network.comment_without_prefix(recipe.training_comment):
        found.append(Option("training_comment", comment))
    for name in ("title", "author", "description", "license", "tags"):
        text = clean.text(metadata.get(f"modelspec.{name}", ""))[: clean.MAX_TEXT_CHARS]
        # The title that sd-scripts makes up by itself says nothing.
        made_up = name == "title" and (text == recipe.output_name or text.startswith("LoRA@"))
        if text not in clean.ABSENT and not made_up:
            found.append(Option(f"metadata_{name}", text))
    return found


def _rates(decoded: Decoded, notes: list[Note]) -> list[Option]:
    recipe, weights = decoded.recipe, decoded.weights
    found = _columns(decoded, _RATES)
    rates = recipe.text_encoder_lrs or ()
    if rates:
        # One rate stands alone: versions before 2024-09 know no list, later ones take both.
        found.append(Option("text_encoder_lr", rates if len(rates) > 1 else rates[0]))
    if weights.trains_text_encoder is False and recipe.text_encoder_lr != 0:
        found.append(Option("network_train_unet_only", value=True))
        text = "true: the file has no tensor of a text encoder"
        notes.append(Note(Kind.ASSUMED, "network_train_unet_only", text))
    found += recipe_network.optimizer(decoded, notes)
    found += _columns(decoded, ("lr_scheduler", "lr_warmup_steps"))
    if recipe.lr_warmup_steps is None and recipe.lr_warmup_ratio is not None:
        found.append(Option("lr_warmup_steps", recipe.lr_warmup_ratio))
    return [*found, *_raw(decoded, _RAW_RATES, notes), *_columns(decoded, ("max_grad_norm",))]


def _loss(decoded: Decoded, notes: list[Note]) -> list[Option]:
    found = [*_columns(decoded, _LOSS), *_raw(decoded, _RAW_LOSS, notes)]
    span = (decoded.header.metadata or {}).get("modelspec.timestep_range")
    if span is None:
        return found
    try:
        least, most = (clean.integer(end) for end in span.split(",", 1))
    except (UnreadableError, ValueError):
        text = f"left out: {clean.quote(span)} is no range of timesteps"
        notes.append(Note(Kind.CONFLICT, "min_timestep", text))
        return found
    ends = (("min_timestep", least), ("max_timestep", most))
    return [*found, *(Option(name, value) for name, value in ends if value is not None)]


def _is_taken(one: Option, script: Script, precision: str | None, notes: list[Note]) -> bool:
    """Whether the script takes the option with this value; else a note says that it is left out."""
    why = ""
    if script.file and one.name in EXTRAS and one.name not in script.extras:
        why = f"{script.file} has no such option"
    elif one.name == "max_token_length" and one.value == _CLIP_TOKENS:
        return False  # what sd-scripts does without the option
    elif one.name in _CHOICES and one.value not in _CHOICES[one.name]:
        why = "sd-scripts knows no such value"
    elif one.name in _FULL and one.value is True and precision != _FULL[one.name]:
        why = f"it needs mixed_precision {_FULL[one.name]}, not {precision or 'an unknown one'}"
    elif one.name == "v2" and one.value is True and script.base not in {"sd1", "sd2"}:
        why = f"{script.base} is no Stable Diffusion 2"
    if why:
        shown = "true" if one.value is True else clean.quote(one.value)
        notes.append(Note(Kind.CONFLICT, one.name, f"{shown} is left out: {why}"))
    return not why
