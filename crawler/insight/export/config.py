"""config.toml: the options of a training script, as far as a file states them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from crawler.decode import clean
from crawler.decode.dialects.kohya.network import split_comment
from crawler.decode.problems import UnreadableError
from crawler.insight.export import network as recipe_network
from crawler.insight.export.draft import (
    Draft,
    Option,
    Reader,
    Section,
    Value,
    is_safe,
    placeholder,
)
from crawler.insight.export.scripts import EXTRAS, Script

#: Columns of `loras` that are options of the same name.
_LOSS = (
    "noise_offset", "adaptive_noise_scale", "multires_noise_iterations", "multires_noise_discount",
    "min_snr_gamma", "ip_noise_gamma", "zero_terminal_snr", "scale_weight_norms",
    "prior_loss_weight", "loss_type", "huber_c", "guidance_scale", "timestep_sampling",
    "discrete_flow_shift", "weighting_scheme",
)  # fmt: skip
_MACHINE = (
    "mixed_precision", "full_fp16", "full_bf16", "fp8_base", "gradient_checkpointing",
    "cache_latents", "lowram", "seed", "max_token_length",
)  # fmt: skip

#: Options whose metadata key (`ss_` and the option) fills no column, with the readers of their values.
_RAW_LOSS: Mapping[str, Reader] = {
    "noise_offset_random_strength": clean.boolean,
    "ip_noise_gamma_random_strength": clean.boolean,
    "huber_schedule": clean.string,
    "huber_scale": clean.number,
    "sigmoid_scale": clean.number,
    "model_prediction_type": clean.string,
    "logit_mean": clean.number,
    "logit_std": clean.number,
    "mode_scale": clean.number,
    "apply_t5_attn_mask": clean.boolean,
    "apply_lg_attn_mask": clean.boolean,
}
_RAW_RATES: Mapping[str, Reader] = {
    "lr_scheduler_num_cycles": clean.integer,
    "lr_scheduler_power": clean.number,
}
_RAW_VALIDATION: Mapping[str, Reader] = {
    "max_validation_steps": clean.integer,
    "validate_every_n_epochs": clean.integer,
    "validate_every_n_steps": clean.integer,
}

#: Options that accept a few values only; a script stops at any other.
_CHOICES: Mapping[str, frozenset[Value]] = MappingProxyType({
    "mixed_precision": frozenset({"no", "fp16", "bf16"}),
    "max_token_length": frozenset({150, 225}),
    "lr_scheduler": frozenset({
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
        "piecewise_constant", "adafactor", "inverse_sqrt", "cosine_with_min_lr",
        "warmup_stable_decay",
    }),
    "loss_type": frozenset({"l1", "l2", "huber", "smooth_l1"}),
    "huber_schedule": frozenset({"constant", "exponential", "snr"}),
    "timestep_sampling": frozenset({"sigma", "uniform", "sigmoid", "shift", "flux_shift"}),
    "model_prediction_type": frozenset({"raw", "additive", "sigma_scaled"}),
    "weighting_scheme": frozenset(
        {"sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"}
    ),
})  # fmt: skip

#: Training in half precision needs mixed precision of the same kind.
_FULL = MappingProxyType({"full_fp16": "fp16", "full_bf16": "bf16"})

#: Caption tokens without the option `max_token_length`.
_CLIP_TOKENS = 75

#: A model on Hugging Face, which sd-scripts downloads itself, and suffixes that only files have.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_FILES = (".safetensors", ".ckpt", ".pt", ".sft", ".bin")

#: Number formats of tensors -> values of `save_precision`.
_PRECISIONS = MappingProxyType({"F16": "fp16", "BF16": "bf16", "F32": "float"})


#: Characters that file names cannot have on all systems.
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def config(draft: Draft, script: Script) -> tuple[Section, ...]:
    """The sections of config.toml that are not empty."""
    sections = (
        ("base model", _models(draft, script)),
        ("output", _output(draft)),
        ("network", recipe_network.network(draft, script)),
        ("learning rates", _rates(draft)),
        ("length", _length(draft)),
        ("loss and noise", _loss(draft)),
        ("machine", draft.columns(*_MACHINE) + _raw(draft, {"fp8_base_unet": clean.boolean})),
        ("validation", _raw(draft, _RAW_VALIDATION)),
        ("images", [Option("dataset_config", "dataset.toml")]),
    )
    kept = [
        Section(title, tuple(one for one in options if _is_accepted(one, draft, script)))
        for title, options in sections
    ]
    for one in (option for section in kept for option in section.options):
        if not is_safe(one):
            text = "is not known; it would be imported, so it is written as a comment"
            draft.conflict(one.name, f"{clean.quote(one.value)} {text}")
    return tuple(section for section in kept if section.options)


def _raw(draft: Draft, readers: Mapping[str, Reader]) -> list[Option]:
    return [
        option
        for name, reader in readers.items()
        for option in draft.read(name, reader, draft.metadata.get(f"ss_{name}"))
    ]


def _models(draft: Draft, script: Script) -> list[Option]:
    """The base model, the VAE, and further files that the script requires."""
    recipe = draft.recipe
    found = [_base(draft)]
    if recipe.vae_name is not None:
        remark = f"recorded as {clean.quote(recipe.vae_name)}"
        found.append(Option("vae", placeholder(recipe.vae_name), remark))
        draft.missing("vae", f"the path of the VAE, {remark}")
    for name in script.models:
        if name != "vae" or recipe.vae_name is None:
            found.append(Option(name, placeholder(name), "a file that the script requires"))
            draft.missing(name, f"the path of a file that {script.file} requires")
    if recipe.v2 is not None or script.base == "sd2":
        found.append(Option("v2", recipe.v2 is True or script.base == "sd2"))
    predicts_velocity = (
        (recipe.base_model_version or "").endswith("_v")
        or draft.metadata.get("modelspec.prediction_type") == "v"
    )  # fmt: skip
    if script.base in {"sd1", "sd2", "sdxl"} and predicts_velocity:
        found.append(Option("v_parameterization", value=True))
    if "model_type" in script.extras:
        found.append(Option("model_type", "chroma" if script.base == "chroma" else "flux"))
    layer = draft.metadata.get("modelspec.encoder_layer", "")
    if recipe.clip_skip is not None:
        found.append(Option("clip_skip", recipe.clip_skip))
    elif re.fullmatch("[0-9]{1,2}", layer, re.ASCII):
        found.append(Option("clip_skip", int(layer)))
    return found


def _base(draft: Draft) -> Option:
    recipe = draft.recipe
    name, option = recipe.sd_model_name, "pretrained_model_name_or_path"
    if name is None:
        draft.missing(option, "the base model; not even its name is recorded")
        return Option(option, placeholder("base model"), "the base model")
    hashes = {"SHA-256": recipe.sd_model_sha256, "AutoV1": recipe.sd_model_hash}
    known = [f"{kind} {value}" for kind, value in hashes.items() if value]
    if _HUB_ID.fullmatch(name) and not known and not name.casefold().endswith(_FILES):
        draft.assumed(option, f"{name} is a model on Hugging Face")
        return Option(option, name, "on Hugging Face")
    remark = ", ".join([f"recorded as {clean.quote(name)}", *known])
    draft.missing(option, f"the path of the base model, {remark}")
    return Option(option, placeholder(name), remark)


def _output(draft: Draft) -> list[Option]:
    """Options of the output: its path, its number format, and the texts stored in it."""
    recipe = draft.recipe
    found = [Option("output_dir", "output"), Option("output_name", _output_name(draft))]
    draft.assumed("output_dir", "output, next to the recipe")
    if precision := _PRECISIONS.get(draft.weights.tensor_dtype or ""):
        found.append(Option("save_precision", precision))
        draft.assumed("save_precision", f"{precision}, the number format of the tensors")
    _, comment = split_comment(recipe.training_comment)
    if comment:
        found.append(Option("training_comment", comment))
    for name in ("title", "author", "description", "license", "tags"):
        text = clean.text(draft.metadata.get(f"modelspec.{name}", ""))[: clean.MAX_TEXT_CHARS]
        # sd-scripts makes up such a title by itself.
        made_up = name == "title" and (text == recipe.output_name or text.startswith("LoRA@"))
        if not clean.is_absent(text) and not made_up:
            found.append(Option(f"metadata_{name}", text))
    return found


def _output_name(draft: Draft) -> str:
    """The recorded name, reduced to a file name; `last`, as sd-scripts has it, when there is none."""
    recorded = draft.recipe.output_name or "last"
    name = _NOT_IN_NAMES.sub("_", clean.base_name(recorded)).strip(". ") or "last"
    if name != recorded:
        draft.assumed("output_name", f"{name}, the file name of {clean.quote(recorded)}")
    return name


def _rates(draft: Draft) -> list[Option]:
    recipe = draft.recipe
    found = draft.columns("learning_rate", "unet_lr")
    if rates := recipe.text_encoder_lrs:
        # A single rate is not a list: versions before 2024-09 know no list.
        found.append(Option("text_encoder_lr", rates if len(rates) > 1 else rates[0]))
    if draft.weights.trains_text_encoder is False and recipe.text_encoder_lr != 0:
        found.append(Option("network_train_unet_only", value=True))
        text = "true, as the file has no tensors of a text encoder"
        draft.assumed("network_train_unet_only", text)
    found += recipe_network.optimizer(draft)
    found += draft.columns("lr_scheduler", "lr_warmup_steps")
    if recipe.lr_warmup_steps is None and recipe.lr_warmup_ratio is not None:
        found.append(Option("lr_warmup_steps", recipe.lr_warmup_ratio))
    return [*found, *_raw(draft, _RAW_RATES), *draft.columns("max_grad_norm")]


def _length(draft: Draft) -> list[Option]:
    """`max_train_steps` if it is known, otherwise `max_train_epochs`, never both."""
    recipe = draft.recipe
    found = [*_planned(draft), *draft.columns("gradient_accumulation_steps")]
    epoch, epochs = recipe.epoch, recipe.num_epochs
    whole = recipe.steps is not None and recipe.steps == recipe.max_train_steps
    if epoch is not None and epochs is not None and epoch < epochs and not whole:
        text = f"that of the whole run, {epochs:,} epochs; this file was saved in epoch {epoch:,}"
        draft.assumed("length", text)
    _note_devices(draft)
    return found


def _planned(draft: Draft) -> list[Option]:
    recipe = draft.recipe
    if recipe.max_train_steps is not None:
        return [Option("max_train_steps", recipe.max_train_steps)]
    if recipe.num_epochs is not None:
        return [Option("max_train_epochs", recipe.num_epochs)]
    if recipe.steps is not None:
        text = f"{recipe.steps:,}, the steps of this file; the planned number is not recorded"
        draft.assumed("max_train_steps", text)
        return [Option("max_train_steps", recipe.steps)]
    text = "neither steps nor epochs are recorded"
    draft.missing("max_train_steps", text, "sd-scripts would train 1,600 steps")
    return []


def _note_devices(draft: Draft) -> None:
    """Note how many devices trained together, or that it is unknown."""
    recipe = draft.recipe
    batch, whole = recipe.batch_size, recipe.total_batch_size
    if batch is None:
        return
    if whole is None:
        draft.missing("devices", "their number; with more than one, a step saw more images")
        return
    each = batch * (recipe.gradient_accumulation_steps or 1)
    devices, rest = divmod(whole, each) if each > 0 else (1, 0)
    if devices > 1 and rest == 0:
        text = f"{devices:,} trained together: start as many processes, or raise the batch size"
        draft.assumed("devices", text)


def _loss(draft: Draft) -> list[Option]:
    found = draft.columns(*_LOSS)
    if (debiased := draft.recipe.debiased_estimation) is not None:
        found.append(Option("debiased_estimation_loss", debiased))
    found += _raw(draft, _RAW_LOSS)
    span = draft.metadata.get("modelspec.timestep_range")
    if span is None:
        return found
    try:
        least, most = (clean.integer(end) for end in span.split(",", 1))
    except (UnreadableError, ValueError):
        draft.conflict("min_timestep", f"left out: {clean.quote(span)} is not a timestep range")
        return found
    ends = (("min_timestep", least), ("max_timestep", most))
    return [*found, *(Option(name, value) for name, value in ends if value is not None)]


def _is_accepted(one: Option, draft: Draft, script: Script) -> bool:
    """Whether the script accepts the option with this value; if not, that is noted."""
    precision = draft.recipe.mixed_precision
    why = ""
    if script.file and one.name in EXTRAS and one.name not in script.extras:
        why = f"{script.file} has no such option"
    elif one.name == "max_token_length" and one.value == _CLIP_TOKENS:
        return False  # the default
    elif one.name in _CHOICES and one.value not in _CHOICES[one.name]:
        why = "sd-scripts does not accept this value"
    elif one.name in _FULL and one.value is True and precision != _FULL[one.name]:
        why = f"it needs mixed_precision {_FULL[one.name]}, not {precision or 'an unknown one'}"
    elif one.name == "v2" and one.value is True and script.base not in {"sd1", "sd2"}:
        why = f"{script.base} is not Stable Diffusion 2"
    if why:
        shown = "true" if one.value is True else clean.quote(one.value)
        draft.conflict(one.name, f"left out {shown}: {why}")
    return not why
