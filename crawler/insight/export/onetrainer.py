"""The configuration of OneTrainer for a LoRA, and its list of concepts, as JSON.

Settings that a recipe does not have are written only where OneTrainer's own default would change the
training. The files have the form of version 10, which later versions migrate.

Source: Nerogar/OneTrainer, `modules/util/config/TrainConfig.py`, `ConceptConfig.py`, `modules/util/enum/`,
`modules/util/create.py` and `modules/modelSetup/`.
"""

import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.decode.base_names import UNETS
from crawler.decode.dialects.onetrainer.names import OPTIMIZERS, family
from crawler.decode.problems import UnreadableError
from crawler.insight.export.carried import Carried, Network, Written, begin, is_on, literal, take
from crawler.insight.export.draft import PLACEHOLDER, Export, Option, placeholder

#: Versions of the two formats.
_VERSION, _CONCEPT_VERSION = 10, 1

#: Timesteps of all these models; OneTrainer counts them as a share.
_TIMESTEPS = 1000

#: Base model -> `model_type`.
_TYPES = MappingProxyType({
    "sd1": "STABLE_DIFFUSION_15", "sd2": "STABLE_DIFFUSION_21_BASE",
    "sdxl": "STABLE_DIFFUSION_XL_10_BASE", "sd3": "STABLE_DIFFUSION_35", "flux1": "FLUX_DEV_1",
    "flux2": "FLUX_2", "chroma": "CHROMA_1", "hunyuan-video": "HUNYUAN_VIDEO",
    "qwen-image": "QWEN", "z-image": "Z_IMAGE", "hidream": "HI_DREAM_FULL", "anima": "ANIMA",
    "ernie": "ERNIE",
})  # fmt: skip

#: Types that are the usual one of several that a base model stands for.
_GUESSED = frozenset({"sd2", "sd3"})

#: Bases whose last text encoder is T5, which sd-scripts trains only if an argument of the network says so.
_WITH_T5 = frozenset({"sd3", "flux1", "chroma"})

_DTYPES = MappingProxyType({
    "no": "FLOAT_32", "float": "FLOAT_32", "fp16": "FLOAT_16", "bf16": "BFLOAT_16",
})  # fmt: skip

_SCHEDULES = MappingProxyType({
    "constant": "CONSTANT", "constant_with_warmup": "CONSTANT", "linear": "LINEAR",
    "cosine": "COSINE", "cosine_with_restarts": "COSINE_WITH_HARD_RESTARTS",
    "adafactor": "ADAFACTOR",
})  # fmt: skip

#: Class of an optimizer in lower case -> its name.
_OPTIMIZERS = MappingProxyType({
    **{cls.casefold(): name for name, cls in OPTIMIZERS.items()},
    "ademamix": "AdEMAMix", "came": "CAME", "sgd": "SGD", "pagedadamw8bit": "ADAMW_8BIT",
    "pagedlion8bit": "LION_8BIT",
    "sgdnesterov": "SGD", "sgdnesterov8bit": "SGD_8BIT",
})  # fmt: skip

#: Arguments of optimizers that OneTrainer has under the same name.
_ARGUMENTS: Mapping[str, Callable[[object], Any]] = MappingProxyType({
    **dict.fromkeys(
        ("beta1", "beta2", "beta3", "weight_decay", "eps", "eps2", "d0", "d_coef", "growth_rate",
         "momentum", "dampening", "clip_threshold", "decay_rate", "r", "weight_lr_power"),
        clean.number,
    ),
    **dict.fromkeys(
        ("amsgrad", "decouple", "nesterov", "no_prox", "relative_step", "safeguard_warmup",
         "scale_parameter", "use_bias_correction", "warmup_init"),
        clean.boolean,
    ),
    **dict.fromkeys(("percentile_clipping", "min_8bit_size", "prodigy_steps"), clean.integer),
})  # fmt: skip

#: Defaults of the packages where OneTrainer has others.
_PACKAGE_DEFAULTS: Mapping[str, Mapping[str, bool]] = MappingProxyType({
    "PRODIGY": {"decouple": True},
    "ADAFACTOR": {"scale_parameter": True, "relative_step": True},
    "SGD": {"nesterov": True},
    "SGD_8BIT": {"nesterov": True},
    "ADAM_8BIT": {"block_wise": True},
    "ADAMW_8BIT": {"block_wise": True},
    "LION_8BIT": {"block_wise": True},
})  # fmt: skip

#: Lists of arguments, and the names of their items.
_LISTS = MappingProxyType({"betas": ("beta1", "beta2", "beta3"), "eps": ("eps", "eps2")})

#: Arguments of a LoKr -> their setting, and the readers of their values.
_LOKR: Mapping[str, tuple[str, Callable[[object], Any]]] = MappingProxyType({
    "factor": ("lokr_decompose_factor", clean.integer),
    "decompose_both": ("lokr_decompose_both", clean.boolean),
    "use_tucker": ("lokr_use_tucker", clean.boolean),
    "full_matrix": ("lokr_full_matrix", clean.boolean),
})  # fmt: skip

_LOSSES = MappingProxyType({"l2": "mse_strength", "l1": "mae_strength"})

#: Layers of a LoRA of sd-scripts without convolutions of 3x3, and those of transformers.
_ATTENTIONS, _BLOCKS = ("attn-mlp", "attentions"), ("blocks", "transformer_block")

#: Transformers whose LoRA of sd-scripts changes all blocks, and nothing else.
_BLOCKS_ONLY = frozenset({"flux1", "chroma"})


def written(made: Export) -> Written:
    """onetrainer.json and concepts.json."""
    carried = begin(made, "OneTrainer")
    kind = _type(carried)
    config: dict[str, Any] = {
        "__version": _VERSION,
        "training_method": "LORA",
        "model_type": kind,
        "concept_file_name": f"{PLACEHOLDER}/concepts.json",
        "base_model_name": carried.take("pretrained_model_name_or_path"),
        "output_model_destination": f"models/{carried.take('output_name')}.safetensors",
        "output_model_format": "SAFETENSORS",
    }
    each = carried.take("gradient_accumulation_steps") or 1
    config |= {"gradient_accumulation_steps": each}
    config |= _length(carried)
    network = carried.network()
    trains_t5 = is_on(network.args.pop("train_t5xxl", ""))
    config |= _network(carried, network)
    config["optimizer"] = _optimizer(carried)
    config |= _schedule(carried, each)
    config |= _noise(carried, kind)
    config |= _parts(carried, kind, trains_t5=trains_t5)
    config |= _images(carried)
    for name, setting in (("cache_latents", "latent_caching"),):
        if (value := carried.take(name)) is not None:
            config[setting] = value
    concepts = [_concept(carried, number, folder) for number, folder in carried.folders]
    files = (("onetrainer.json", config), ("concepts.json", [one for one in concepts if one]))
    return Written(
        tuple((name, json.dumps(value, indent=4, allow_nan=False) + "\n") for name, value in files),
        carried.finish(),
    )


def _type(carried: Carried) -> str:
    base = carried.made.base
    is_velocity = carried.take("v_parameterization") is True
    carried.take("v2")
    kind = _TYPES.get(base)
    if kind is None:
        carried.conflict("trainer", f"OneTrainer does not train {base}; model_type is a guess")
        return _TYPES["sd1"]
    if base == "sd2" and is_velocity:
        kind = "STABLE_DIFFUSION_21"
    elif is_velocity:
        carried.options["v_parameterization"] = Option("v_parameterization", value=True)
    if base in _GUESSED:
        carried.assume("model_type", f"{kind}; the metadata names {base} only")
    return kind


def _length(carried: Carried) -> dict[str, Any]:
    """Epochs, since OneTrainer has no number of steps."""
    steps, epochs = carried.take("max_train_steps"), carried.made.epochs
    carried.take("max_train_epochs")
    if epochs is None or epochs < 1:
        if steps is not None:
            why = "OneTrainer counts epochs, whose number is not known; its default is 100"
            carried.lose("max_train_steps", steps, why)
        return {}
    if steps is not None:
        text = f"{epochs:,}, in place of {steps:,} steps, which OneTrainer does not count"
        carried.assume("epochs", text)
    return {"epochs": epochs}


def _network(carried: Carried, network: Network) -> dict[str, Any]:
    """The kind of network, its rank and alpha, and the layers that it changes."""
    rank, alpha = carried.take("network_dim"), carried.take("network_alpha")
    size, found = _kind(carried, network)
    if rank is not None:
        found[size] = rank
    if alpha is not None:
        found["lora_alpha"] = alpha
    if (dropout := carried.take("network_dropout")) is not None:
        found["dropout_probability"] = dropout
    found |= _layers(carried, network.args, rank, alpha)
    carried.lose_arguments(network.args)
    return found


def _kind(carried: Carried, network: Network) -> tuple[str, dict[str, Any]]:
    """The setting of the rank, and the kind of network with its own settings."""
    if network.algo == "lokr":
        carried.assume("peft_type", "LOKR, which only versions of OneTrainer since 2026 have")
        found = {"peft_type": "LOKR", "lokr_weight_decompose": network.decomposes}
        for name, (setting, reader) in _LOKR.items():
            if name in network.args:
                text = network.args.pop(name)
                try:
                    found[setting] = reader(text)
                except UnreadableError as error:
                    carried.lose(f"network_args.{name}", text, error.detail)
        return "lokr_dim", found
    if network.algo == "lora":
        return "lora_rank", {"peft_type": "LORA", "lora_decompose": network.decomposes}
    if network.decomposes:
        carried.lose("network_args.dora_wd", value=True)
    if network.algo == "loha":
        return "lora_rank", {"peft_type": "LOHA"}
    why = "OneTrainer has no such network; this is a plain LoRA"
    carried.lose("network_module", network.shown, why)
    return "lora_rank", {"peft_type": "LORA", "lora_decompose": False}


def _layers(
    carried: Carried, args: dict[str, str], rank: int | None, alpha: float | None
) -> dict[str, Any]:
    """The layers. OneTrainer's LoRA changes convolutions too, with the same rank, unless told otherwise."""
    base, conv = carried.made.base, args.pop("conv_dim", None)
    own = args.pop("conv_alpha", None)
    if base in UNETS and conv is None:
        preset = _ATTENTIONS
    elif base in _BLOCKS_ONLY:
        preset = _BLOCKS
    else:
        preset = ("full", "")
    if base in UNETS:
        for name, text, size in (("conv_dim", conv, rank), ("conv_alpha", own, alpha)):
            if text is not None and literal(text) != size:
                why = "OneTrainer has one rank and alpha for all layers"
                carried.lose(f"network_args.{name}", text, why)
    name, layers = preset
    return {"layer_filter_preset": name, "layer_filter": layers}


def _optimizer(carried: Carried) -> dict[str, Any]:
    """The optimizer and its arguments, with the defaults of its package."""
    kind, args = carried.take("optimizer_type"), carried.arguments("optimizer_args")
    if kind is None:
        return {"optimizer": "ADAMW", "stochastic_rounding": False}
    cls = str(kind).rpartition(".")[2].casefold()
    name = _OPTIMIZERS.get(cls)
    if name is None:
        carried.lose("optimizer_type", kind, "OneTrainer has no such optimizer; ADAMW is written")
        for argument, text in args.items():
            carried.lose(f"optimizer_args.{argument}", text, "it is of another optimizer")
        return {"optimizer": "ADAMW", "stochastic_rounding": False}
    found: dict[str, Any] = {
        "optimizer": name,
        "stochastic_rounding": False,
        **_PACKAGE_DEFAULTS.get(name, {}),
    }
    if cls in {"sgd", "sgd8bit"}:
        found["nesterov"] = False
    if cls.startswith("paged"):
        found["is_paged"] = True
    for argument, text in args.items():
        found |= _argument(carried, argument, text)
    return found


def _argument(carried: Carried, argument: str, text: str) -> dict[str, Any]:
    """An argument of the optimizer under its name here; several for a list."""
    value = literal(text)
    names = _LISTS.get(argument, (argument,))
    items = value if isinstance(value, list) else [value]
    if len(items) > len(names) or any(one not in _ARGUMENTS for one in names):
        carried.lose(f"optimizer_args.{argument}", text)
        return {}
    try:
        return {
            one: _infinite(item) or _ARGUMENTS[one](item)
            for one, item in zip(names, items, strict=False)
        }
    except UnreadableError as error:
        carried.lose(f"optimizer_args.{argument}", text, error.detail)
        return {}


def _infinite(value: object) -> str | None:
    """Infinity as OneTrainer writes it; None for anything else."""
    return str(value) if isinstance(value, float) and math.isinf(value) else None


def _schedule(carried: Carried, each: int) -> dict[str, Any]:
    """The schedule; its warmup is counted in batches, and a number up to 1 is a share of all."""
    name = carried.take("lr_scheduler")
    found: dict[str, Any] = {"learning_rate_scheduler": "CONSTANT"}
    if name in _SCHEDULES:
        found = {"learning_rate_scheduler": _SCHEDULES[name]}
    elif name is not None:
        why = "OneTrainer has no such schedule; CONSTANT is written"
        carried.lose("lr_scheduler", name, why)
    if name == "cosine_with_restarts":
        found["learning_rate_cycles"] = carried.take("lr_scheduler_num_cycles") or 1
    warmup = carried.take("lr_warmup_steps") or 0
    if name == "constant":
        warmup = 0  # sd-scripts has no warmup in this schedule
    batches = warmup if isinstance(warmup, float) else warmup * each
    if isinstance(warmup, int) and batches == 1:
        carried.lose("lr_warmup_steps", warmup, "OneTrainer reads 1 as the whole training")
        batches = 0
    return found | {"learning_rate_warmup_steps": batches}


def _noise(carried: Carried, kind: str) -> dict[str, Any]:
    """Noise, timesteps and loss."""
    found: dict[str, Any] = {}
    for name, setting in (
        ("noise_offset", "offset_noise_weight"),
        ("zero_terminal_snr", "rescale_noise_scheduler_to_zero_terminal_snr"),
        ("v_parameterization", "force_v_prediction"),
    ):
        if (value := carried.take(name)) is not None:
            found[setting] = value
    for name, setting in (
        ("min_timestep", "min_noising_strength"),
        ("max_timestep", "max_noising_strength"),
    ):
        if 0 <= (carried.peek(name) or -1) <= _TIMESTEPS:
            found[setting] = carried.take(name) / _TIMESTEPS
    if "max_grad_norm" in carried.options:
        found["clip_grad_norm"] = carried.take("max_grad_norm") or None  # 0 is no limit
    loss = carried.peek("loss_type")
    if loss in _LOSSES:
        carried.take("loss_type")
        found |= {"mse_strength": 0.0, "mae_strength": 0.0, _LOSSES[loss]: 1.0}
    elif loss is not None:
        carried.drop("loss_type", "OneTrainer's loss of this name is another one")
    known = family(kind)
    flow = known is not None and known.flow
    return found | (_timesteps(carried) if flow else _weighting(carried))


def _weighting(carried: Carried) -> dict[str, Any]:
    """The weighting of the loss by the timestep; models of flow matching have none of these."""
    if carried.peek("min_snr_gamma"):
        gamma = carried.take("min_snr_gamma")
        return {"loss_weight_fn": "MIN_SNR_GAMMA", "loss_weight_strength": gamma}
    if carried.peek("debiased_estimation_loss") is True:
        carried.take("debiased_estimation_loss")
        return {"loss_weight_fn": "DEBIASED_ESTIMATION"}
    return {}


def _timesteps(carried: Carried) -> dict[str, Any]:
    """How timesteps are drawn in flow matching: sigmoid means the logit-normal distribution."""
    sampling = carried.peek("timestep_sampling")
    if sampling not in {"uniform", "sigmoid", "shift", "flux_shift"}:
        return {}
    carried.take("timestep_sampling")
    shift, scale = carried.peek("discrete_flow_shift"), carried.peek("sigmoid_scale")
    if sampling == "uniform":
        return {"timestep_distribution": "UNIFORM", "timestep_shift": 1.0}
    found: dict[str, Any] = {
        "timestep_distribution": "LOGIT_NORMAL",
        "noising_bias": 0.0,
        "noising_weight": 0.0,
        "timestep_shift": 1.0,
        "dynamic_timestep_shifting": sampling == "flux_shift",
    }
    if scale is not None:
        found["noising_weight"] = carried.take("sigmoid_scale") - 1
    if sampling == "shift" and shift is not None:
        found["timestep_shift"] = carried.take("discrete_flow_shift")
    else:
        carried.take("discrete_flow_shift")  # without effect
    return found


def _parts(carried: Carried, kind: str, *, trains_t5: bool) -> dict[str, Any]:
    """Number formats, and the rate of each part of the model."""
    known = family(kind)
    names = known.encoder_names if known else ("text_encoder",)
    denoiser: dict[str, Any] = {"train": True}
    encoders: list[dict[str, Any]] = [{} for _ in names]
    found = _formats(carried, denoiser, encoders)
    if (checkpoints := carried.take("gradient_checkpointing")) is not None:
        found["gradient_checkpointing"] = "ON" if checkpoints else "OFF"
    if (vae := carried.take("vae")) is not None:
        found["vae"] = {"model_name": vae, "weight_dtype": "FLOAT_32"}
    if kind == "STABLE_DIFFUSION_15" and (carried.peek("clip_skip") or 0) > 0:
        found["text_encoder_layer_skip"] = carried.take("clip_skip") - 1  # 0 is the last layer
    if known and known.guided and carried.peek("guidance_scale") is not None:
        denoiser["guidance_scale"] = carried.take("guidance_scale")
    found |= _rates(carried, denoiser, encoders)
    if carried.made.base in _WITH_T5 and not trains_t5:
        encoders[-1]["train"] = False  # whatever its rate is in sd-scripts
        encoders[-1].pop("learning_rate", None)
    if len(encoders) == 1 and (rate := _common(carried, "caption_dropout_rate")):
        encoders[0]["dropout_probability"] = rate
    found[known.denoiser if known else "unet"] = denoiser
    return found | dict(zip(names, encoders, strict=True))


def _formats(
    carried: Carried, denoiser: dict[str, Any], encoders: list[dict[str, Any]]
) -> dict[str, Any]:
    """Number formats of the calculation, of the model and of the result."""
    found = {}
    for name, setting in (("mixed_precision", "train_dtype"), ("save_precision", "output_dtype")):
        if (dtype := _DTYPES.get(str(carried.peek(name)))) is not None:
            carried.take(name)
            found[setting] = dtype
    if "train_dtype" in found:
        for part in (denoiser, *encoders):
            part["weight_dtype"] = found["train_dtype"]
    if carried.peek("fp8_base") is True:
        carried.take("fp8_base")
        denoiser["weight_dtype"] = "FLOAT_8"
    if carried.peek("full_bf16") is True:
        carried.take("full_bf16")
        found["lora_weight_dtype"] = "BFLOAT_16"
    return found


def _rates(
    carried: Carried, denoiser: dict[str, Any], encoders: list[dict[str, Any]]
) -> dict[str, Any]:
    rates = carried.rates()
    base, unet, own = rates.base, rates.unet, rates.encoders
    if unet == 0:
        denoiser["train"] = False
    elif unet is not None:
        denoiser["learning_rate"] = unet
    for number, part in enumerate(encoders):
        # sd-scripts gives the last rate that it has to all further text encoders.
        rate = own[min(number, len(own) - 1)] if own else base
        part["train"] = rate != 0
        part["stop_training_after_unit"] = "NEVER"  # by default they stop after 30 epochs
        if rate:
            part["learning_rate"] = rate
    first = base if base is not None else unet
    return {} if first is None else {"learning_rate": first}


def _common(carried: Carried, name: str) -> Any:
    """The value of an option on which all folders agree; taken from each of them."""
    values = {one[name].value if name in one else None for _, one in carried.folders}
    if len(values) != 1:
        return None
    for _, one in carried.folders:
        take(one, name)
    return values.pop()


def _images(carried: Carried) -> dict[str, Any]:
    """Batch size, resolution and buckets of the first dataset; OneTrainer has one of each."""
    found: dict[str, Any] = {}
    first, *rest = carried.datasets
    for other in rest:
        for name in ("batch_size", "enable_bucket"):
            if name in other and (name not in first or other[name].value != first[name].value):
                carried.lose(name, take(other, name), "OneTrainer has one for all datasets")
            take(other, name)
    found["batch_size"] = take(first, "batch_size")
    bucketed = take(first, "enable_bucket")
    if bucketed is not None:
        found["aspect_ratio_bucketing"] = bucketed
    found["resolution"] = _resolution(first["resolution"].value, exact=bucketed is False)
    for one in carried.datasets:
        take(one, "resolution")  # that of further datasets goes to their concepts
    return found


def _resolution(sides: Any, *, exact: bool) -> str:
    """`WxH` for an exact size, otherwise the side of the square of equal area."""
    width, height = sides
    if width == height:
        return str(width)
    return f"{width}x{height}" if exact else str(round(math.sqrt(max(width * height, 0))))


def _concept(carried: Carried, number: int, folder: dict[str, Option]) -> dict[str, Any] | None:
    """A folder as a concept; None for images that only regularise, which OneTrainer has not."""
    path = take(folder, "image_dir")
    if take(folder, "metadata_file") is not None:
        carried.conflict("images", "OneTrainer reads captions from a text file beside each image")
    if take(folder, "is_reg") is True:
        folder.clear()
        carried.lose(
            "is_reg",
            str(path).removeprefix(f"{PLACEHOLDER}/"),
            "OneTrainer has no regularisation images",
        )
        return None
    shuffled = take(folder, "shuffle_caption") is True
    kept, tags = take(folder, "keep_tokens"), take(folder, "caption_tag_dropout_rate")
    text: dict[str, Any] = {
        "prompt_source": "sample",
        "enable_tag_shuffling": shuffled,
        "keep_tags_count": kept or 0,
    }
    if tags:
        text |= {
            "tag_dropout_enable": True,
            "tag_dropout_mode": "RANDOM",
            "tag_dropout_probability": tags,
        }
    image: dict[str, Any] = {
        "enable_crop_jitter": take(folder, "random_crop") is True,
        "enable_random_flip": take(folder, "flip_aug") is True,
    }
    side = carried.made.datasets[number].options[0].value
    if side != carried.made.datasets[0].options[0].value:
        image |= {
            "enable_resolution_override": True,
            "resolution_override": _resolution(side, exact=False),
        }
    name = folder.get("class_tokens")
    return {
        "__version": _CONCEPT_VERSION,
        "name": "" if name is None else name.value,
        "path": path or placeholder("images"),
        "enabled": True,
        "balancing": float(take(folder, "num_repeats") or 1),
        "balancing_strategy": "REPEATS",
        "image": image,
        "text": text,
    }
