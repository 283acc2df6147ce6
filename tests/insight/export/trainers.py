"""What other trainers accept: the names, types and words that they read, and what they make of them.

These tables were written for the tests, from the readers named above each of them. They hold the part that
recipes can contain.
"""

import json
import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from crawler.insight.export.draft import PLACEHOLDER

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not flag(value)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not flag(value) and math.isfinite(value)


def number_or_none(value: Any) -> bool:
    return value in {None, "inf", "-inf"} or number(value)


def path(value: Any) -> bool:
    """A path to be replaced, of which only the last part is known, or a model on Hugging Face."""
    if not text(value):
        return False
    rest = value.removeprefix(f"{PLACEHOLDER}/")
    return ("/" not in rest and "\\" not in rest) or (rest == value and rest.count("/") == 1)


def one_of(*words: Any) -> Check:
    return lambda value: value in words and not (flag(value) and True not in words)


def fields(names: str, expected: Check) -> dict[str, Check]:
    """Names, separated by blanks, whose values are alike."""
    return dict.fromkeys(names.split(), expected)


def check(tree: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> None:
    """Fail on a name that the trainer does not read, and on a value that it would not take."""
    for name, value in tree.items():
        assert name in known, f"nothing reads {where}{name}"
        expected = known[name]
        if isinstance(expected, Mapping):
            assert isinstance(value, Mapping), f"{where}{name} cannot be {value!r}"
            check(value, expected, f"{where}{name}.")
        elif isinstance(expected, list):
            assert isinstance(value, list), f"{where}{name} cannot be {value!r}"
            for item in value:
                check(item, expected[0], f"{where}{name}.")
        else:
            assert expected(value), f"{where}{name} cannot be {value!r}"


# bmaltais/kohya_ss: the parameters of `open_configuration` in kohya_gui/lora_gui.py; the words of its
# dropdowns from there, class_basic_training.py, class_advanced_training.py and class_flux1.py.
_TIMESTEPS = one_of("sigma", "uniform", "sigmoid", "shift", "flux_shift")
KOHYA_GUI: Mapping[str, Check] = {
    **fields(
        """
        additional_parameters block_alphas block_dims conv_block_alphas conv_block_dims
        down_lr_weight mid_lr_weight up_lr_weight img_attn_dim img_mlp_dim img_mod_dim in_dims
        lr_scheduler_args lr_scheduler_type metadata_author metadata_description metadata_license
        metadata_tags metadata_title network_weights optimizer_args output_dir output_name
        reg_data_dir resume single_dim single_mod_dim train_data_dir train_double_block_indices
        train_single_block_indices training_comment txt_attn_dim txt_mlp_dim txt_mod_dim
        """,
        text,
    ),
    **fields(
        """
        ae anima_qwen3 anima_vae clip_g clip_l dataset_config pretrained_model_name_or_path
        sd3_clip_l sd3_t5xxl t5xxl vae
        """,
        path,
    ),
    **fields(
        """
        anima_checkbox anima_train_llm_adapter apply_t5_attn_mask bypass_mode cache_latents
        bucket_no_upscale color_aug enable_bucket flip_aug masked_loss random_crop
        scale_v_pred_loss_like_noise_pred shuffle_caption split_mode train_lora_ggpo
        weighted_captions
        debiased_estimation_loss decompose_both dim_from_weights dora_wd enable_all_linear
        flux1_checkbox fp8_base fp8_base_unet full_bf16 full_fp16 gradient_checkpointing
        ip_noise_gamma_random_strength noise_offset_random_strength rank_dropout_scale rescaled
        sd3_checkbox sdxl split_qkv train_norm train_on_input train_t5xxl use_cp use_scalar
        use_tucker v2 v_parameterization
        """,
        flag,
    ),
    **fields(
        """
        clip_skip conv_dim factor gradient_accumulation_steps lr_scheduler_num_cycles lr_warmup
        lr_warmup_steps max_timestep max_train_epochs max_train_steps min_timestep
        bucket_reso_steps caption_dropout_every_n_epochs keep_tokens max_bucket_reso min_bucket_reso
        multires_noise_iterations network_dim seed stop_text_encoder_training unit
        """,
        whole,
    ),
    **fields(
        """
        adaptive_noise_scale anima_discrete_flow_shift anima_sigmoid_scale caption_dropout_rate
        loraplus_lr_ratio loraplus_text_encoder_lr_ratio loraplus_unet_lr_ratio v_pred_like_loss
        constrain conv_alpha discrete_flow_shift guidance_scale huber_c huber_scale ip_noise_gamma
        learning_rate logit_mean logit_std lr_scheduler_power max_grad_norm min_snr_gamma mode_scale
        module_dropout multires_noise_discount network_alpha network_dropout prior_loss_weight
        rank_dropout scale_weight_norms t5xxl_lr text_encoder_lr unet_lr
        """,
        number,
    ),
    "block_lr_zero_threshold": lambda value: value == "" or number(value),
    "noise_offset": lambda value: number(value) and 0 <= value <= 1,
    "LoRA_type": one_of(
        "Anima", "Flux1", "Flux1 OFT", "Kohya DyLoRA", "Kohya LoCon", "LoRA-FA", "LyCORIS/iA3",
        "LyCORIS/BOFT", "LyCORIS/Diag-OFT", "LyCORIS/DyLoRA", "LyCORIS/GLoRA", "LyCORIS/LoCon",
        "LyCORIS/LoHa", "LyCORIS/LoKr", "LyCORIS/Native Fine-Tuning", "Standard",
    ),
    "LyCORIS_preset": one_of(
        "attn-mlp", "attn-only", "full", "full-lin", "unet-transformer-only", "unet-convblock-only"
    ),
    "anima_timestep_sampling": _TIMESTEPS,
    "huber_schedule": one_of("constant", "exponential", "snr"),
    "loss_type": one_of("huber", "smooth_l1", "l1", "l2"),
    "lr_scheduler": one_of(
        "adafactor", "constant", "constant_with_warmup", "cosine", "cosine_with_restarts", "linear",
        "piecewise_constant", "polynomial",
    ),
    "max_token_length": one_of(75, 150, 225),
    "mixed_precision": one_of("no", "fp16", "bf16", "fp8"),
    "model_list": one_of("custom"),
    "model_prediction_type": one_of("raw", "additive", "sigma_scaled"),
    "noise_offset_type": one_of("Original", "Multires"),
    "optimizer": one_of(
        "AdamW", "AdamW8bit", "Adafactor", "DAdaptation", "DAdaptAdaGrad", "DAdaptAdam",
        "DAdaptAdan", "DAdaptAdanIP", "DAdaptAdamPreprint", "DAdaptLion", "DAdaptSGD", "Lion",
        "Lion8bit", "PagedAdamW8bit", "PagedAdamW32bit", "PagedLion8bit", "Prodigy", "SGDNesterov",
        "SGDNesterov8bit",
    ),
    "save_model_as": one_of("safetensors", "ckpt"),
    "save_precision": one_of("float", "fp16", "bf16"),
    "timestep_sampling": _TIMESTEPS,
    "weighting_scheme": one_of("sigma_sqrt", "logit_normal", "mode", "cosmap", "none", "uniform"),
}  # fmt: skip

#: What sd-scripts gets of the GUI under another name, and what it does not get.
_GUI_NAMES = {
    "optimizer": "optimizer_type", "sd3_clip_l": "clip_l", "sd3_t5xxl": "t5xxl",
    "anima_qwen3": "qwen3", "anima_vae": "vae", "anima_timestep_sampling": "timestep_sampling",
    "anima_discrete_flow_shift": "discrete_flow_shift", "anima_sigmoid_scale": "sigmoid_scale",
}  # fmt: skip
_GUI_ONLY = frozenset(
    fields(
    """
    LoRA_type LyCORIS_preset additional_parameters anima_checkbox bypass_mode conv_alpha conv_dim
    decompose_both dora_wd factor flux1_checkbox lr_warmup model_list module_dropout
    noise_offset_type rank_dropout rank_dropout_scale save_model_as sd3_checkbox sdxl t5xxl_lr
    train_norm unit use_cp use_scalar use_tucker
    """, text)
)  # fmt: skip


def read_kohya_gui(json_text: str) -> dict[str, Any]:
    """The values of the fields, checked."""
    values: dict[str, Any] = json.loads(json_text, parse_constant=_refused)
    check(values, KOHYA_GUI)
    return values


def as_sd_scripts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `train_model` of the GUI would start sd-scripts with, beside a dataset config.

    It passes on no value that is empty, false or 0. Arguments of the network are left out here.
    """
    config = {
        _GUI_NAMES.get(name, name): value
        for name, value in values.items()
        if name not in _GUI_ONLY and value not in ("", False, None)
    }
    if config.get("max_timestep") == 1000:
        del config["max_timestep"]
    if config.get("clip_skip") == 1:
        del config["clip_skip"]
    if values["noise_offset_type"] == "Multires":
        config.pop("noise_offset", None)
    else:
        config.pop("multires_noise_iterations", None)
        config.pop("multires_noise_discount", None)
    steps, percent = values["max_train_steps"], values["lr_warmup"]
    config.pop("lr_warmup_steps", None)
    if steps and percent:
        config["lr_warmup_steps"] = round(int(percent) * int(steps) / 100)
    elif percent:
        config["lr_warmup_steps"] = percent / 100
    unet, encoder = values.get("unet_lr", 0), values.get("text_encoder_lr", 0)
    config["network_train_unet_only"] = (encoder == 0 and unet != 0) or values["anima_checkbox"]
    config.pop("text_encoder_lr", None)
    if encoder:
        config["text_encoder_lr"] = [encoder, values["t5xxl_lr"] or encoder]
    if "optimizer_args" in config:
        config["optimizer_args"] = config["optimizer_args"].split()
    for argument in values["additional_parameters"].replace('"', "").split():
        assert shlex.quote(argument) == argument
        name, mark, raw = argument.removeprefix("--").partition("=")
        config[name] = yaml.safe_load(raw) if mark else True
        if isinstance(config[name], str) and config[name][:1].isdigit():
            config[name] = float(raw)
    return config


# Nerogar/OneTrainer: modules/util/config/TrainConfig.py (`default_values`), ConceptConfig.py, and the
# enums in modules/util/enum/; from_dict of BaseConfig.py leaves out what it does not know.
_DTYPE = one_of("FLOAT_8", "FLOAT_16", "FLOAT_32", "BFLOAT_16", "TFLOAT_32", "NONE")
_PART: Mapping[str, Check] = {
    "model_name": path,
    "train": flag,
    "learning_rate": number,
    "weight_dtype": _DTYPE,
    "stop_training_after_unit": one_of(
        "EPOCH", "STEP", "SECOND", "MINUTE", "HOUR", "NEVER", "ALWAYS"
    ),
    "dropout_probability": number,
    "guidance_scale": number,
}
_OPTIMIZER: Mapping[str, Check] = {
    "optimizer": one_of(
        "ADAGRAD", "ADAGRAD_8BIT", "ADAM", "ADAM_8BIT", "ADAMW", "ADAMW_8BIT", "ADAMW_ADV",
        "AdEMAMix", "AdEMAMix_8BIT", "SIMPLIFIED_AdEMAMix", "ADOPT", "ADOPT_ADV", "LAMB",
        "LAMB_8BIT", "LARS", "LARS_8BIT", "LION", "LION_8BIT", "LION_ADV", "RMSPROP",
        "RMSPROP_8BIT", "SGD", "SGD_8BIT", "SCHEDULE_FREE_ADAMW", "SCHEDULE_FREE_SGD",
        "DADAPT_ADA_GRAD", "DADAPT_ADAM", "DADAPT_ADAN", "DADAPT_LION", "DADAPT_SGD", "PRODIGY",
        "PRODIGY_PLUS_SCHEDULE_FREE", "PRODIGY_ADV", "LION_PRODIGY_ADV", "ADAFACTOR", "CAME",
        "CAME_8BIT", "ADABELIEF", "TIGER", "AIDA", "YOGI", "MUON", "MUON_ADV",
    ),
    **fields(
        """
        beta1 beta2 beta3 weight_decay eps eps2 d0 d_coef growth_rate momentum dampening
        clip_threshold decay_rate r weight_lr_power
        """,
        number_or_none,
    ),
    **fields(
        """
        amsgrad block_wise decouple is_paged nesterov no_prox relative_step safeguard_warmup
        scale_parameter stochastic_rounding use_bias_correction warmup_init
        """,
        lambda value: value is None or flag(value),
    ),
    **dict.fromkeys(("percentile_clipping", "min_8bit_size", "prodigy_steps"), whole),
}  # fmt: skip
ONETRAINER: Mapping[str, Any] = {
    "__version": one_of(10),
    "training_method": one_of("LORA"),
    "model_type": one_of(
        "STABLE_DIFFUSION_15", "STABLE_DIFFUSION_21", "STABLE_DIFFUSION_21_BASE",
        "STABLE_DIFFUSION_XL_10_BASE", "STABLE_DIFFUSION_3", "STABLE_DIFFUSION_35", "FLUX_DEV_1",
        "FLUX_2", "CHROMA_1", "HUNYUAN_VIDEO", "QWEN", "Z_IMAGE", "HI_DREAM_FULL", "ANIMA", "ERNIE",
    ),
    "concept_file_name": path,
    "base_model_name": path,
    "output_model_destination": lambda value: text(value) and value.count("/") == 1,
    "output_model_format": one_of("SAFETENSORS"),
    **dict.fromkeys(("epochs", "batch_size", "gradient_accumulation_steps"), whole),
    **dict.fromkeys(("lora_rank", "lokr_dim", "lokr_decompose_factor", "text_encoder_layer_skip"), whole),
    **fields(
        """
        lora_alpha dropout_probability learning_rate learning_rate_warmup_steps
        learning_rate_cycles offset_noise_weight min_noising_strength max_noising_strength
        mse_strength mae_strength loss_weight_strength timestep_shift noising_weight noising_bias
        """,
        number,
    ),
    **fields(
        """
        lora_decompose lokr_weight_decompose lokr_decompose_both lokr_use_tucker lokr_full_matrix
        latent_caching aspect_ratio_bucketing rescale_noise_scheduler_to_zero_terminal_snr
        force_v_prediction dynamic_timestep_shifting
        """,
        flag,
    ),
    "clip_grad_norm": number_or_none,
    "peft_type": one_of("LORA", "LOHA", "LOKR", "OFT_2"),
    "layer_filter_preset": one_of("attn-mlp", "attn-only", "blocks", "full"),
    "layer_filter": one_of("", "attentions", "transformer_block"),
    "learning_rate_scheduler": one_of(
        "CONSTANT", "LINEAR", "COSINE", "COSINE_WITH_RESTARTS", "COSINE_WITH_HARD_RESTARTS", "REX",
        "ADAFACTOR", "CUSTOM",
    ),
    "loss_weight_fn": one_of("CONSTANT", "P2", "MIN_SNR_GAMMA", "DEBIASED_ESTIMATION", "SIGMA"),
    "timestep_distribution": one_of(
        "UNIFORM", "SIGMOID", "LOGIT_NORMAL", "HEAVY_TAIL", "COS_MAP", "INVERTED_PARABOLA"
    ),
    "gradient_checkpointing": one_of("ON", "OFF", "CPU_OFFLOADED"),
    **dict.fromkeys(("train_dtype", "output_dtype", "lora_weight_dtype"), _DTYPE),
    "resolution": text,
    "optimizer": _OPTIMIZER,
    **dict.fromkeys(
        ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3",
         "text_encoder_4", "vae"), _PART,
    ),
}  # fmt: skip
CONCEPT: Mapping[str, Any] = {
    "__version": one_of(1),
    "name": text,
    "path": path,
    "enabled": flag,
    "balancing": number,
    "balancing_strategy": one_of("REPEATS", "SAMPLES"),
    "image": {
        "enable_crop_jitter": flag,
        "enable_random_flip": flag,
        "enable_resolution_override": flag,
        "resolution_override": text,
    },
    "text": {
        "prompt_source": one_of("sample", "concept", "filename"),
        "enable_tag_shuffling": flag,
        "keep_tags_count": whole,
        "tag_dropout_enable": flag,
        "tag_dropout_mode": one_of("FULL", "RANDOM", "RANDOM WEIGHTED"),
        "tag_dropout_probability": number,
    },
}


def read_onetrainer(config: str, concepts: str) -> dict[str, Any]:
    """The configuration with its concepts, as OneTrainer stores both in a file; checked."""
    settings: dict[str, Any] = json.loads(config, parse_constant=_refused)
    check(settings, ONETRAINER)
    listed = json.loads(concepts, parse_constant=_refused)
    for one in listed:
        check(one, CONCEPT)
    return {**settings, "concepts": listed}


# ostris/ai-toolkit: toolkit/config_modules.py (NetworkConfig, SaveConfig, DatasetConfig, TrainConfig,
# ModelConfig, SampleConfig), toolkit/optimizer.py, toolkit/scheduler.py; get_conf of the processes.
_AI_DTYPE = one_of("fp32", "fp16", "bf16")
AI_TOOLKIT: Mapping[str, Any] = {
    "job": one_of("extension"),
    "config": {
        "name": lambda value: text(value) and "/" not in value,
        "process": [{
            "type": one_of("sd_trainer"),
            "training_folder": text,
            "device": text,
            "training_seed": whole,
            "network": {
                "type": one_of("lora", "lokr", "dora"),
                "linear": whole,
                "linear_alpha": number,
                "conv": number,
                "conv_alpha": number,
                "dropout": number,
                "lokr_factor": number,
                "lokr_full_rank": flag,
            },
            "save": {"dtype": _AI_DTYPE},
            "datasets": [{
                "folder_path": path,
                "caption_ext": text,
                "default_caption": text,
                **dict.fromkeys(("num_repeats", "keep_tokens", "resolution", "bucket_tolerance"), whole),
                **dict.fromkeys(("caption_dropout_rate", "token_dropout_rate"), number),
                **dict.fromkeys(
                    ("is_reg", "shuffle_tokens", "flip_x", "random_crop", "buckets", "cache_latents"),
                    flag,
                ),
            }],
            "train": {
                **dict.fromkeys(("batch_size", "steps", "gradient_accumulation"), whole),
                **dict.fromkeys(
                    ("lr", "max_grad_norm", "noise_offset", "min_snr_gamma", "reg_weight"), number
                ),
                **dict.fromkeys(
                    ("train_unet", "train_text_encoder", "gradient_checkpointing",
                     "disable_sampling"), flag,
                ),
                "optimizer": one_of(
                    "adam", "adam8bit", "adamw", "adamw8bit", "ademamix8bit", "lion", "lion8bit",
                    "prodigy", "dadaptation", "dadaptationlion", "adafactor", "adagrad",
                ),
                "optimizer_params": lambda value: isinstance(value, dict) and "lr" not in value,
                "lr_scheduler": one_of(
                    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts"
                ),
                "lr_scheduler_params": {
                    "start_factor": number, "end_factor": number, "num_warmup_steps": whole,
                },
                "dtype": _AI_DTYPE,
                "noise_scheduler": one_of("ddpm", "flowmatch"),
                "loss_type": one_of("mse", "mae"),
                "timestep_type": one_of("sigmoid", "linear", "weighted"),
            },
            "model": {
                "name_or_path": path,
                "vae_path": path,
                "is_v_pred": flag,
                "arch": one_of(
                    "sd1", "sd2", "sdxl", "sd3", "flux", "flux2", "chroma", "lumina2",
                    "qwen_image", "wan21", "zimage", "hidream", "anima", "krea2", "ideogram4",
                ),
            },
            "sample": {"sampler": one_of("ddpm", "flowmatch")},
        }],
    },
}  # fmt: skip


def read_ai_toolkit(yaml_text: str) -> dict[str, Any]:
    """The process of the job, checked. `${NAME}` would be replaced by the environment."""
    assert "${" not in yaml_text
    document = yaml.safe_load(yaml_text)
    check(document, AI_TOOLKIT)
    (process,) = document["config"]["process"]
    return {**process, "name": document["config"]["name"]}


def _refused(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
