"""The settings of kohya_ss' GUI for a LoRA, as JSON, beside a dataset.toml.

The GUI runs sd-scripts. It keeps whatever its fields have where a file has no value, so settings that a
recipe does not have are written as off. Options without a field go to its additional parameters.

Source: bmaltais/kohya_ss, `kohya_gui/lora_gui.py` (`open_configuration` and `train_model`),
`class_basic_training.py`, `class_advanced_training.py` and `common_gui.py`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.decode.problems import UnreadableError
from crawler.insight.export.carried import Carried, Written, begin
from crawler.insight.export.draft import PLACEHOLDER, Export, Option, dataset_text, is_safe

#: Options with a field of the same name.
_SAME = (
    "pretrained_model_name_or_path", "vae", "v2", "v_parameterization", "output_dir", "output_name",
    "save_precision", "training_comment", "metadata_title", "metadata_author",
    "metadata_description", "metadata_license", "metadata_tags", "network_dim", "network_alpha",
    "network_dropout", "lr_scheduler", "lr_scheduler_num_cycles", "lr_scheduler_power",
    "max_grad_norm", "max_train_steps", "max_train_epochs", "gradient_accumulation_steps",
    "min_snr_gamma", "ip_noise_gamma", "ip_noise_gamma_random_strength", "scale_weight_norms",
    "prior_loss_weight", "loss_type", "huber_c", "huber_schedule", "huber_scale",
    "debiased_estimation_loss", "mixed_precision", "full_fp16", "full_bf16", "fp8_base",
    "gradient_checkpointing", "cache_latents", "seed", "clip_skip", "max_token_length",
    "min_timestep", "max_timestep",
)  # fmt: skip

#: Further options with a field, by the base model; the GUI ignores these fields for all others.
_OF_FLUX = {
    name: name
    for name in (
        "ae", "clip_l", "t5xxl", "discrete_flow_shift", "model_prediction_type", "timestep_sampling",
        "guidance_scale", "apply_t5_attn_mask", "fp8_base_unet",
    )
}  # fmt: skip
_OF_BASE: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "sd1": {},
    "sd2": {},
    "sdxl": {},
    "sd3": {
        "clip_g": "clip_g", "clip_l": "sd3_clip_l", "t5xxl": "sd3_t5xxl",
        "weighting_scheme": "weighting_scheme", "logit_mean": "logit_mean",
        "logit_std": "logit_std", "mode_scale": "mode_scale",
    },
    "flux1": _OF_FLUX,
    "chroma": _OF_FLUX,
    "anima": {
        "qwen3": "anima_qwen3", "vae": "anima_vae",
        "timestep_sampling": "anima_timestep_sampling",
        "discrete_flow_shift": "anima_discrete_flow_shift", "sigmoid_scale": "anima_sigmoid_scale",
    },
})  # fmt: skip

#: The field that selects the script, by the base model.
_SWITCHES = MappingProxyType({
    "sdxl": "sdxl", "sd3": "sd3_checkbox", "flux1": "flux1_checkbox", "chroma": "flux1_checkbox",
    "anima": "anima_checkbox",
})  # fmt: skip

#: Values of fields whose setting the recipe does not have. Those of datasets and captions take effect where
#: dataset.toml is silent.
_OFF: Mapping[str, Any] = MappingProxyType({
    **dict.fromkeys(
        ("anima_checkbox", "anima_train_llm_adapter", "apply_t5_attn_mask", "bucket_no_upscale",
         "bypass_mode", "color_aug", "debiased_estimation_loss", "decompose_both", "dim_from_weights",
         "dora_wd", "enable_bucket", "flip_aug", "flux1_checkbox", "fp8_base", "fp8_base_unet",
         "full_bf16", "full_fp16", "ip_noise_gamma_random_strength", "masked_loss",
         "noise_offset_random_strength", "random_crop", "rank_dropout_scale", "rescaled",
         "scale_v_pred_loss_like_noise_pred", "sd3_checkbox", "sdxl", "shuffle_caption", "split_mode",
         "split_qkv", "train_lora_ggpo", "train_norm", "train_t5xxl", "use_cp", "use_scalar",
         "use_tucker", "v2", "v_parameterization", "weighted_captions"), False,
    ),
    **dict.fromkeys(
        ("adaptive_noise_scale", "caption_dropout_every_n_epochs", "caption_dropout_rate",
         "constrain", "ip_noise_gamma", "keep_tokens", "loraplus_lr_ratio",
         "loraplus_text_encoder_lr_ratio", "loraplus_unet_lr_ratio", "lr_warmup", "lr_warmup_steps",
         "max_train_epochs", "max_train_steps", "min_snr_gamma", "min_timestep", "module_dropout",
         "multires_noise_iterations", "network_dropout", "noise_offset", "rank_dropout",
         "scale_weight_norms", "stop_text_encoder_training", "t5xxl_lr", "v_pred_like_loss"), 0,
    ),
    **dict.fromkeys(
        ("additional_parameters", "block_alphas", "block_dims", "block_lr_zero_threshold",
         "conv_block_alphas", "conv_block_dims", "down_lr_weight", "lr_scheduler_args",
         "lr_scheduler_type", "mid_lr_weight", "network_weights", "optimizer_args", "reg_data_dir",
         "resume", "train_data_dir", "up_lr_weight", "vae"), "",
    ),
    "LyCORIS_preset": "full", "bucket_reso_steps": 64, "clip_skip": 1,
    "dataset_config": f"{PLACEHOLDER}/dataset.toml", "factor": -1, "gradient_accumulation_steps": 1,
    "loss_type": "l2", "lr_scheduler_num_cycles": 1, "lr_scheduler_power": 1.0,
    "max_bucket_reso": 1024, "max_grad_norm": 1.0, "max_timestep": 1000, "max_token_length": 75,
    "min_bucket_reso": 256, "model_list": "custom", "noise_offset_type": "Original",
    "prior_loss_weight": 1.0, "save_model_as": "safetensors", "seed": 0,
})  # fmt: skip

#: Options whose 0 the GUI does not pass on, though sd-scripts has another default.
_DROPPED_ZEROS = frozenset({
    "discrete_flow_shift", "guidance_scale", "huber_c", "huber_scale", "lr_scheduler_power",
    "max_grad_norm", "multires_noise_discount", "prior_loss_weight", "seed", "sigmoid_scale",
})  # fmt: skip

#: Its optimizers; it accepts no other in this field.
_OPTIMIZERS = frozenset({
    "AdamW", "AdamW8bit", "Adafactor", "DAdaptation", "DAdaptAdaGrad", "DAdaptAdam", "DAdaptAdan",
    "DAdaptAdanIP", "DAdaptAdamPreprint", "DAdaptLion", "DAdaptSGD", "Lion", "Lion8bit",
    "PagedAdamW8bit", "PagedAdamW32bit", "PagedLion8bit", "Prodigy", "SGDNesterov",
    "SGDNesterov8bit",
})  # fmt: skip

#: Its schedules; likewise.
_SCHEDULES = frozenset({
    "adafactor", "constant", "constant_with_warmup", "cosine", "cosine_with_restarts", "linear",
    "piecewise_constant", "polynomial",
})  # fmt: skip

_CONV = {"conv_dim": clean.integer, "conv_alpha": clean.number}
_DROPOUT: dict[str, Callable[[object], Any]] = {
    "rank_dropout": clean.number, "module_dropout": clean.number,
}  # fmt: skip
_SCALED = {**_DROPOUT, "rank_dropout_scale": clean.boolean, "train_norm": clean.boolean}
_TUCKER = {**_CONV, **_SCALED, "use_tucker": clean.boolean}
_LOCON = {
    **_TUCKER, "bypass_mode": clean.boolean, "dora_wd": clean.boolean, "use_scalar": clean.boolean,
}  # fmt: skip
_BLOCKS = {
    **dict.fromkeys(
        ("down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_dims", "block_alphas",
         "conv_block_dims", "conv_block_alphas"), clean.string,
    ),
    "block_lr_zero_threshold": clean.number,
    **_DROPOUT,
}  # fmt: skip
_FLUX = dict.fromkeys(
    ("img_attn_dim", "img_mlp_dim", "img_mod_dim", "single_dim", "txt_attn_dim", "txt_mlp_dim",
     "txt_mod_dim", "single_mod_dim", "in_dims", "train_double_block_indices",
     "train_single_block_indices"), clean.string,
)  # fmt: skip

#: Algorithm of LyCORIS -> type of the GUI, and the arguments that it has fields for.
_LYCORIS: Mapping[str, tuple[str, Mapping[str, Callable[[object], Any]]]] = MappingProxyType({
    "lora": ("LyCORIS/LoCon", _LOCON),
    "locon": ("LyCORIS/LoCon", _LOCON),
    "loha": ("LyCORIS/LoHa", _LOCON),
    "lokr": ("LyCORIS/LoKr", {
        **_LOCON, "factor": clean.integer, "use_cp": clean.boolean, "decompose_both": clean.boolean,
    }),
    "ia3": ("LyCORIS/iA3", {**_CONV, "train_on_input": clean.boolean}),
    "boft": ("LyCORIS/BOFT", _TUCKER),
    "diag-oft": ("LyCORIS/Diag-OFT", {
        **_TUCKER, "constraint": clean.number, "rescaled": clean.boolean,
    }),
    "dylora": ("LyCORIS/DyLoRA", {**_TUCKER, "block_size": clean.integer}),
    "glora": ("LyCORIS/GLoRA", _TUCKER),
    "full": ("LyCORIS/Native Fine-Tuning", _SCALED),
})  # fmt: skip

#: The same by module of sd-scripts.
_MODULES: Mapping[str, tuple[str, Mapping[str, Callable[[object], Any]]]] = MappingProxyType({
    "networks.lora": ("Standard", _BLOCKS),
    "networks.lora_sd3": ("Standard", _BLOCKS),
    "networks.lora_fa": ("LoRA-FA", _BLOCKS),
    "networks.dylora": ("Kohya DyLoRA", {**_BLOCKS, **_CONV, "unit": clean.integer}),
    "networks.lora_flux": ("Flux1", {
        **_FLUX, "split_qkv": clean.boolean, "train_t5xxl": clean.boolean,
    }),
    "networks.oft_flux": ("Flux1 OFT", {"enable_all_linear": clean.boolean}),
    "networks.lora_anima": ("Anima", {"train_llm_adapter": clean.boolean}),
})  # fmt: skip

#: Arguments whose field has another name.
_RENAMED = MappingProxyType({
    "constraint": "constrain", "block_size": "unit", "train_llm_adapter": "anima_train_llm_adapter",
})  # fmt: skip

_PRESETS = frozenset({
    "attn-mlp", "attn-only", "full", "full-lin", "unet-transformer-only", "unet-convblock-only",
})  # fmt: skip

#: Values of its field for the warmup.
_PERCENT = range(1, 101)

#: A word that is safe on a command line.
_WORD = re.compile(r"[A-Za-z][\w.]*", re.ASCII)


def written(made: Export) -> Written:
    """kohya_ss.json and dataset.toml."""
    carried = begin(made, "the GUI")
    of_base = _OF_BASE.get(made.base)
    if of_base is None:
        carried.conflict("trainer", f"the GUI does not train {made.base}")
    values = dict(_OFF)
    if switch := _SWITCHES.get(made.base):
        values[switch] = True
    extra: dict[str, Any] = {}
    warmup = _warmup(carried, values)
    if warmup is not None:
        extra["lr_warmup_steps"] = warmup
    _noise(carried, values)
    _rates(carried, values)
    _network(carried, values)
    _optimizer(carried, values)
    if carried.peek("lr_scheduler") not in (None, *_SCHEDULES):
        extra["lr_scheduler"] = carried.take("lr_scheduler")
    for name, field in (*(of_base or {}).items(), *((one, one) for one in _SAME)):
        value = carried.peek(name)
        if value is not None and not (value == 0 and name in _DROPPED_ZEROS):
            values[field] = carried.take(name)
    extra |= _further(carried)
    values["additional_parameters"] = " ".join(
        f"--{name}" if value is True else f"--{name}={value}" for name, value in extra.items()
    )
    if extra:
        carried.assume(
            "additional_parameters",
            f"{', '.join(extra)}: the GUI has no field, or would not pass the value on",
        )
    for left in (*carried.datasets, *(folder for _, folder in carried.folders)):
        left.clear()  # dataset.toml has them
    text = json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n"
    return Written(
        (("kohya_ss.json", text), ("dataset.toml", dataset_text(made))), carried.finish()
    )


def _further(carried: Carried) -> dict[str, Any]:
    """Options without a field whose values are safe on a command line; False is no option there."""
    found = {}
    for name, option in tuple(carried.options.items()):
        value = option.value
        is_plain = isinstance(value, int | float) or (
            isinstance(value, str) and _WORD.fullmatch(value) is not None
        )
        if is_plain and name != "dataset_config":
            carried.take(name)
            if value is not False:
                found[name] = value
    return found


def _warmup(carried: Carried, values: dict[str, Any]) -> int | float | None:
    """The warmup for the additional parameters, unless it is a whole percentage.

    Beside a dataset config the GUI replaces its number of steps by that percentage.
    """
    warmup: int | float | None = carried.take("lr_warmup_steps")
    if not warmup:
        return None
    steps = carried.peek("max_train_steps")
    share = warmup if isinstance(warmup, float) else warmup / steps if steps else 0
    percent = round(share * 100)
    if percent in _PERCENT and math.isclose(share * 100, percent):
        values["lr_warmup"] = percent
        return None
    values["lr_warmup_steps"] = warmup if isinstance(warmup, int) else 0
    return warmup


def _noise(carried: Carried, values: dict[str, Any]) -> None:
    """One kind of noise has fields at a time, and an offset above 1 has none."""
    offset, multires = carried.peek("noise_offset"), carried.peek("multires_noise_iterations")
    names: tuple[str, ...] = (
        "noise_offset",
        "noise_offset_random_strength",
        "adaptive_noise_scale",
    )
    if multires and not offset:
        values["noise_offset_type"] = "Multires"
        names = ("multires_noise_iterations", "multires_noise_discount")
        for name in ("noise_offset", "adaptive_noise_scale"):
            carried.take(name)
    elif not multires:
        carried.take("multires_noise_discount")
    if offset is not None and not 0 <= offset <= 1:
        names = ()
    for name in names:
        value = carried.peek(name)
        if value is not None and not (value == 0 and name in _DROPPED_ZEROS):
            values[name] = carried.take(name)


def _rates(carried: Carried, values: dict[str, Any]) -> None:
    """The rate of each part, as the GUI trains no part with a rate of 0."""
    rates = carried.rates()
    base, encoders = rates.base, rates.encoders
    unet = base if rates.unet is None else rates.unet
    if unet is not None:
        values["learning_rate"] = unet if base is None else base
        values["unet_lr"] = unet
    first = encoders[0] if encoders else base
    if first is None:
        return
    values["text_encoder_lr"] = first
    others = set(encoders[1:])
    if len(others) == 1 and first and 0 not in others:
        (second,) = others
        values["t5xxl_lr"] = 0 if second == first else second
    elif others - {first}:
        carried.lose(
            "text_encoder_lr", encoders, "the GUI has no such rates of several text encoders"
        )


def _network(carried: Carried, values: dict[str, Any]) -> None:
    """The type of the network and the fields of its arguments."""
    module, args = carried.take("network_module"), carried.arguments("network_args")
    if str(module).startswith(("lycoris.", "locon.")):
        algo = args.pop("algo", "lora").casefold()
        found = _LYCORIS.get(algo)
        module = f"{module} with algo={algo}"
    else:
        found = _MODULES.get(str(module))
        if module in {"networks.lora", "networks.lora_sd3"} and "conv_dim" in args:
            found = ("Kohya LoCon", {**_BLOCKS, **_CONV})
    if found is None:
        if module is not None:
            carried.lose("network_module", module)
        found = ("Standard", {})
    values["LoRA_type"], fields = found
    _arguments(carried, values, args, fields)
    if "LyCORIS" in values["LoRA_type"] and "conv_dim" in fields:
        # LyCORIS has these defaults, but the GUI always passes its own values.
        for name, size in (("conv_dim", "network_dim"), ("conv_alpha", "network_alpha")):
            if name not in values and carried.peek(size) is not None:
                values[name] = carried.peek(size)
                carried.assume(name, f"{values[name]:g}, the default of LyCORIS")


def _arguments(
    carried: Carried,
    values: dict[str, Any],
    args: Mapping[str, str],
    fields: Mapping[str, Callable[[object], Any]],
) -> None:
    for name, text in args.items():
        if name == "preset" and text in _PRESETS and "LyCORIS" in values["LoRA_type"]:
            values["LyCORIS_preset"] = text
        elif name not in fields:
            carried.lose(f"network_args.{name}", text)
        elif " " in text:
            carried.lose(f"network_args.{name}", text, "the GUI splits values at spaces")
        else:
            try:
                value = fields[name](text)
            except UnreadableError as error:
                carried.lose(f"network_args.{name}", text, error.detail)
            else:
                values[_RENAMED.get(name, name)] = value


def _optimizer(carried: Carried, values: dict[str, Any]) -> None:
    """The optimizer; one that its field does not have stays, for the additional parameters."""
    name = carried.peek("optimizer_type")
    if name in _OPTIMIZERS:
        values["optimizer"] = carried.take("optimizer_type")
    elif name is not None and not is_safe(Option("optimizer_type", name)):
        carried.drop("optimizer_type", "it is not known and would be imported")
    pairs = []
    for argument, text in carried.arguments("optimizer_args").items():
        plain = f"{argument}={re.sub(', +', ',', text)}"
        if re.search(r'[\s"]', plain):
            carried.lose(f"optimizer_args.{argument}", text, "the GUI splits values at spaces")
        else:
            pairs.append(plain)
    values["optimizer_args"] = " ".join(pairs)
