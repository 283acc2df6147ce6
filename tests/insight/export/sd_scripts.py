"""A strict reader of what sd-scripts takes: every option by name, with the type it must have.

sd-scripts itself reads config.toml without any check; a wrong name would be ignored and a wrong type
would fail in the middle of the start. Its reader of dataset.toml is as strict as this one.
"""

import ast
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def real(value: Any) -> bool:
    return isinstance(value, float)


def whole_or_real(value: Any) -> bool:
    return whole(value) or real(value)


def one_of(*words: object) -> Check:
    return lambda value: value in words and not isinstance(value, bool)


def pairs(value: Any) -> bool:
    """`key=value` each, taken apart at every equals sign."""
    return isinstance(value, list) and all(
        isinstance(one, str) and len(one.split("=")) == 2 for one in value
    )


def python_pairs(value: Any) -> bool:
    """The same with values that Python can read."""
    if not pairs(value):
        return False
    for one in value:
        ast.literal_eval(one.split("=")[1])
    return True


def rates(value: Any) -> bool:
    """One rate, or a list of one per text encoder."""
    return real(value) or (isinstance(value, list) and bool(value) and all(map(real, value)))


def size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(whole, value))


def two_reals(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(real, value))


COMMON: Mapping[str, Check] = {
    **dict.fromkeys(
        (
            "pretrained_model_name_or_path",
            "vae",
            "output_dir",
            "output_name",
            "training_comment",
            "metadata_title",
            "metadata_author",
            "metadata_description",
            "metadata_license",
            "metadata_tags",
            "network_module",
            "optimizer_type",
            "dataset_config",
        ),
        text,
    ),
    **dict.fromkeys(
        (
            "v2",
            "v_parameterization",
            "network_train_unet_only",
            "noise_offset_random_strength",
            "ip_noise_gamma_random_strength",
            "zero_terminal_snr",
            "debiased_estimation_loss",
            "full_fp16",
            "full_bf16",
            "fp8_base",
            "fp8_base_unet",
            "gradient_checkpointing",
            "cache_latents",
            "lowram",
        ),
        flag,
    ),
    **dict.fromkeys(
        (
            "network_dim",
            "lr_scheduler_num_cycles",
            "max_train_steps",
            "max_train_epochs",
            "gradient_accumulation_steps",
            "multires_noise_iterations",
            "min_timestep",
            "max_timestep",
            "seed",
            "clip_skip",
            "max_validation_steps",
            "validate_every_n_epochs",
            "validate_every_n_steps",
        ),
        whole,
    ),
    **dict.fromkeys(
        (
            "network_alpha",
            "network_dropout",
            "learning_rate",
            "unet_lr",
            "lr_scheduler_power",
            "max_grad_norm",
            "noise_offset",
            "adaptive_noise_scale",
            "multires_noise_discount",
            "min_snr_gamma",
            "ip_noise_gamma",
            "scale_weight_norms",
            "prior_loss_weight",
            "huber_c",
            "huber_scale",
        ),
        real,
    ),
    "save_precision": one_of("float", "fp16", "bf16"),
    "mixed_precision": one_of("no", "fp16", "bf16"),
    "max_token_length": one_of(150, 225),
    "loss_type": one_of("l1", "l2", "huber", "smooth_l1"),
    "huber_schedule": one_of("constant", "exponential", "snr"),
    "lr_scheduler": text,
    "lr_warmup_steps": whole_or_real,
    "text_encoder_lr": rates,
    "network_args": pairs,
    "optimizer_args": python_pairs,
}

_DENSITY: Mapping[str, Check] = {
    "weighting_scheme": one_of("sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"),
    **dict.fromkeys(("logit_mean", "logit_std", "mode_scale"), real),
}
_FLOW: Mapping[str, Check] = {
    "timestep_sampling": one_of("sigma", "uniform", "sigmoid", "shift", "flux_shift"),
    "sigmoid_scale": real,
    "discrete_flow_shift": real,
}
_PREDICTION: Mapping[str, Check] = {
    "model_prediction_type": one_of("raw", "additive", "sigma_scaled")
}

#: What a script knows beside COMMON.
SCRIPTS: Mapping[str, Mapping[str, Check]] = {
    "train_network.py": {},
    "sdxl_train_network.py": {},
    "sd3_train_network.py": {
        **_DENSITY,
        **dict.fromkeys(("clip_l", "clip_g", "t5xxl"), text),
        **dict.fromkeys(("apply_lg_attn_mask", "apply_t5_attn_mask"), flag),
    },
    "flux_train_network.py": {
        **_DENSITY,
        **_FLOW,
        **_PREDICTION,
        **dict.fromkeys(("clip_l", "t5xxl", "ae"), text),
        "model_type": one_of("flux", "chroma"),
        "apply_t5_attn_mask": flag,
        "guidance_scale": real,
    },
    "lumina_train_network.py": {
        **_DENSITY,
        **_FLOW,
        **_PREDICTION,
        **dict.fromkeys(("gemma2", "ae"), text),
    },
    "hunyuan_image_train_network.py": {
        **{name: check for name, check in _DENSITY.items() if name != "weighting_scheme"},
        **_FLOW,
        **_PREDICTION,
        **dict.fromkeys(("text_encoder", "byt5"), text),
    },
    "anima_train_network.py": {**_DENSITY, **_FLOW, "qwen3": text},
}

_SUBSET: Mapping[str, Check] = {
    **dict.fromkeys(
        ("color_aug", "flip_aug", "random_crop", "shuffle_caption", "enable_wildcard"), flag
    ),
    **dict.fromkeys(("num_repeats", "keep_tokens", "caption_dropout_every_n_epochs"), whole),
    **dict.fromkeys(
        (
            "keep_tokens_separator",
            "secondary_separator",
            "caption_prefix",
            "caption_suffix",
            "resize_interpolation",
        ),
        text,
    ),
    **dict.fromkeys(("caption_dropout_rate", "caption_tag_dropout_rate"), whole_or_real),
    "face_crop_aug_range": two_reals,
}
DREAMBOOTH: Mapping[str, Check] = {
    **_SUBSET,
    "image_dir": text,
    "is_reg": flag,
    "class_tokens": text,
    "caption_extension": text,
}
FINE_TUNING: Mapping[str, Check] = {**_SUBSET, "image_dir": text, "metadata_file": text}

#: Of `[[datasets]]` itself, beside what is inherited by its subsets.
DATASET: Mapping[str, Check] = {
    "resolution": size,
    **dict.fromkeys(
        ("batch_size", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps"), whole
    ),
    **dict.fromkeys(("enable_bucket", "bucket_no_upscale"), flag),
    "resize_interpolation": text,
    "validation_seed": whole,
    "validation_split": real,
}


def read_config(toml: str, script: str) -> dict[str, Any]:
    """config.toml as sd-scripts flattens it, checked; a script without a name knows every option."""
    known = {**COMMON, **SCRIPTS[script]} if script else {**COMMON}
    if not script:
        for options in SCRIPTS.values():
            known |= options
    config = tomllib.loads(toml)
    for name, value in config.items():
        assert name in known, f"{script} has no option {name}"
        assert known[name](value), f"{name} cannot be {value!r}"
    assert not {"max_train_steps", "max_train_epochs"} <= config.keys()
    assert config["dataset_config"] == "dataset.toml"
    assert config["pretrained_model_name_or_path"]
    return config


def read_datasets(toml: str) -> list[dict[str, Any]]:
    """The datasets of dataset.toml, checked, with their subsets."""
    document = tomllib.loads(toml)
    assert document.keys() == {"datasets"}
    assert document["datasets"]
    for dataset in document["datasets"]:
        own = {name: value for name, value in dataset.items() if name != "subsets"}
        _check(own, DATASET)
        assert {"resolution", "batch_size"} <= own.keys()
        assert dataset["subsets"]
        tuned = ["metadata_file" in subset for subset in dataset["subsets"]]
        assert all(tuned) or not any(tuned)
        for subset in dataset["subsets"]:
            _check(subset, FINE_TUNING if tuned[0] else DREAMBOOTH)
            assert "metadata_file" in subset or "image_dir" in subset
    return list(document["datasets"])


def _check(table: Mapping[str, Any], known: Mapping[str, Check]) -> None:
    for name, value in table.items():
        assert name in known, f"the schema has no {name} here"
        assert known[name](value), f"{name} cannot be {value!r}"
