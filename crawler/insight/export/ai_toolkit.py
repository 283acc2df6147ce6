"""The configuration of a LoRA for ai-toolkit, as YAML.

YAML of a few kinds is written here, since the base install has no library for it: mappings, lists,
numbers, truth values, and texts in double quotes. Every text is quoted and escaped, so none can be taken
for a number, a tag, an anchor, or an environment variable that ai-toolkit would insert.

Source: ostris/ai-toolkit, `toolkit/config.py`, `toolkit/config_modules.py`, `toolkit/optimizer.py`,
`toolkit/scheduler.py`, `toolkit/lora_special.py`, `jobs/process/BaseSDTrainProcess.py` and
`config/examples/`.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.decode.base_names import UNETS
from crawler.decode.problems import UnreadableError
from crawler.insight.export.carried import Carried, Written, begin, is_on, literal, take
from crawler.insight.export.draft import PLACEHOLDER, Export, Option, comment, escaped, placeholder

#: Base model -> `arch`.
_ARCHS = MappingProxyType({
    "sd1": "sd1", "sd2": "sd2", "sdxl": "sdxl", "sd3": "sd3", "flux1": "flux", "flux2": "flux2",
    "chroma": "chroma", "lumina2": "lumina2", "qwen-image": "qwen_image", "wan": "wan21",
    "z-image": "zimage", "hidream": "hidream", "anima": "anima", "krea2": "krea2",
    "ideogram4": "ideogram4",
})  # fmt: skip

#: Bases that stand for several archs, of which the usual one is written.
_GUESSED = frozenset({"flux2", "wan"})

_DTYPES = MappingProxyType({"no": "fp32", "float": "fp32", "fp16": "fp16", "bf16": "bf16"})

#: Class of an optimizer in lower case -> its name.
_OPTIMIZERS = MappingProxyType({
    "adam": "adam", "adam8bit": "adam8bit", "adamw": "adamw", "adamw8bit": "adamw8bit",
    "ademamix8bit": "ademamix8bit", "lion": "lion", "lion8bit": "lion8bit", "prodigy": "prodigy",
    "dadaptadam": "dadaptation", "dadaptlion": "dadaptationlion", "adafactor": "adafactor",
    "adagrad": "adagrad",
})  # fmt: skip

#: Optimizers without an `eps` of the user, since ai-toolkit always passes its own.
_OWN_EPS = frozenset({
    "adam", "adam8bit", "adamw", "adamw8bit", "ademamix8bit", "prodigy", "dadaptation",
    "dadaptationlion",
})  # fmt: skip

#: Optimizers that get a rate of 1 in place of one below this.
_FREE, _LEAST_FREE_RATE = frozenset({"prodigy", "dadaptation", "dadaptationlion"}), 0.1

#: Defaults of the package that ai-toolkit turns off.
_ADAFACTOR = MappingProxyType({"scale_parameter": True, "relative_step": True})

_ARGUMENT = re.compile(r"[a-z]\w*", re.ASCII)

_LOSSES = MappingProxyType({"l2": "mse", "l1": "mae"})

#: How timesteps are drawn in flow matching; the shifted kinds have no counterpart.
_TIMESTEPS = MappingProxyType({"sigmoid": "sigmoid", "uniform": "linear"})

#: Settings of a folder with their counterparts.
_OF_FOLDER = MappingProxyType({
    "num_repeats": "num_repeats", "is_reg": "is_reg", "class_tokens": "default_caption",
    "caption_dropout_rate": "caption_dropout_rate",
    "caption_tag_dropout_rate": "token_dropout_rate", "shuffle_caption": "shuffle_tokens",
    "keep_tokens": "keep_tokens", "flip_aug": "flip_x", "random_crop": "random_crop",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    """A value with a comment after it."""

    value: Any
    remark: str = ""


def written(made: Export, source: str) -> Written:
    """ai-toolkit.yaml.

    Args:
        made: The recipe to write.
        source: The source of the recipe, in words; may quote the file.
    """
    carried = begin(made, "ai-toolkit")
    arch = _ARCHS.get(made.base)
    if arch is None:
        carried.conflict("trainer", f"ai-toolkit does not train {made.base}; arch is left out")
    elif made.base in _GUESSED:
        carried.assume("arch", f"{arch}; the metadata names {made.base} only")
    scheduler = "ddpm" if made.base in UNETS else "flowmatch"
    process = {
        "type": "sd_trainer",
        "training_folder": "output",
        "device": "cuda:0",
        "training_seed": _line(carried, "seed"),
        "network": _network(carried),
        "save": {"dtype": _known(carried, "save_precision", _DTYPES)},
        "datasets": [_dataset(carried, number, folder) for number, folder in carried.folders],
        "train": _train(carried, scheduler),
        "model": _model(carried, arch),
        "sample": {"sampler": scheduler},
    }
    name = carried.take("output_name")
    config = {"job": "extension", "config": {"name": name, "process": [process]}}
    head = (
        f"Made by lora-crawl from {source}.",
        "Train with ai-toolkit: python run.py ai-toolkit.yaml",
        f"Replace every value that starts with {PLACEHOLDER} first.",
    )
    lines = (*map(_comment, head), *_yaml(_without_nothing(config)))
    text = escaped("".join(f"{line}\n" for line in lines))
    return Written((("ai-toolkit.yaml", text),), carried.finish())


def _line(carried: Carried, name: str, value: Any = None) -> _Line | None:
    """An option with its remark, or another value in its place; None without the option."""
    remark = carried.remark(name)
    own = carried.take(name)
    return None if own is None else _Line(own if value is None else value, remark)


def _known(carried: Carried, name: str, names: Mapping[str, str]) -> _Line | None:
    """An option under its name here; it is not taken if it has none."""
    value = names.get(str(carried.peek(name)))
    return None if value is None else _line(carried, name, value)


def _model(carried: Carried, arch: str | None) -> dict[str, Any]:
    carried.take("v2")
    found = {
        "name_or_path": _line(carried, "pretrained_model_name_or_path"),
        "arch": arch,
        "vae_path": _line(carried, "vae"),
    }
    if carried.peek("v_parameterization") is True:
        found["is_v_pred"] = _line(carried, "v_parameterization")
    return found


def _network(carried: Carried) -> dict[str, Any]:
    """The kind of network, its rank and alpha."""
    network, is_unet = carried.network(), carried.made.base in UNETS
    args, kind = network.args, "lokr" if network.algo == "lokr" else "lora"
    if network.algo not in {"lora", "lokr"}:
        why = "ai-toolkit has no such network; this is a plain LoRA"
        carried.lose("network_module", network.shown, why)
    if network.decomposes and network.algo == "lora":
        kind = "dora"
    elif network.decomposes:
        carried.lose("network_args.dora_wd", value=True)
    rank, alpha = carried.peek("network_dim"), carried.peek("network_alpha")
    found: dict[str, Any] = {"type": kind, "linear": _line(carried, "network_dim")}
    if is_unet or kind == "lokr" or alpha == rank:
        found["linear_alpha"] = _line(carried, "network_alpha")
    else:
        carried.drop(
            "network_alpha", "ai-toolkit trains transformers with an alpha equal to the rank"
        )
    found["dropout"] = (
        _line(carried, "network_dropout") if carried.peek("network_dropout") else None
    )
    if is_unet:
        found["conv"] = _argument(carried, args, "conv_dim")
        found["conv_alpha"] = _argument(carried, args, "conv_alpha")
    else:
        args.pop("conv_dim", None)
        args.pop("conv_alpha", None)
    if kind == "lokr":
        found["lokr_factor"] = _argument(carried, args, "factor")
        found["lokr_full_rank"] = True if is_on(args.pop("full_matrix", "")) else None
    carried.lose_arguments(args)
    return found


def _argument(carried: Carried, args: dict[str, str], name: str) -> float | None:
    """A number among the arguments of the network."""
    text = args.pop(name, None)
    try:
        number = clean.number(text)
    except UnreadableError as error:
        carried.lose(f"network_args.{name}", text, error.detail)
        return None
    return int(number) if number is not None and number.is_integer() else number


def _dataset(carried: Carried, number: int, folder: dict[str, Option]) -> dict[str, Any]:
    """A folder with the settings of its dataset."""
    dataset = carried.made.datasets[number].options
    values = {option.name: option for option in dataset}
    left = carried.datasets[number]
    remark = folder["image_dir"].remark if "image_dir" in folder else ""
    found: dict[str, Any] = {
        "folder_path": _Line(take(folder, "image_dir") or placeholder("images"), remark),
        "caption_ext": take(folder, "caption_extension") or ".txt",
    }
    if take(folder, "metadata_file") is not None:
        carried.conflict("images", "ai-toolkit reads captions from a text file beside each image")
    for name, setting in _OF_FOLDER.items():
        option = folder.pop(name, None)
        if option is not None and option.value:
            found[setting] = _Line(option.value, option.remark)
    sides: Any = values["resolution"].value  # a pair, as sd-scripts has it
    width, height = sides
    side = width if width == height else round(math.sqrt(max(width * height, 0)))
    found["resolution"] = _Line(side, values["resolution"].remark)
    take(left, "resolution")
    if width != height:
        text = f"{side} px, the side of the square of equal area; {width} x {height} is recorded"
        carried.assume("resolution", text)
    if "enable_bucket" in values:
        take(left, "enable_bucket")
        found["buckets"] = values["enable_bucket"].value
        if "bucket_reso_steps" in values:
            take(left, "bucket_reso_steps")
            found["bucket_tolerance"] = values["bucket_reso_steps"].value
    if carried.peek("cache_latents") is True:
        found["cache_latents"] = True
    return found


def _train(carried: Carried, scheduler: str) -> dict[str, Any]:
    first, *rest = carried.datasets
    size = _Line(first["batch_size"].value, first["batch_size"].remark)
    for other in rest:
        if other["batch_size"].value != size.value:
            why = "ai-toolkit has one for all datasets"
            carried.lose("batch_size", other["batch_size"].value, why)
        take(other, "batch_size")
    take(first, "batch_size")
    carried.take("cache_latents")  # each dataset has it
    found: dict[str, Any] = {
        "batch_size": size,
        "steps": _steps(carried),
        "gradient_accumulation": _line(carried, "gradient_accumulation_steps"),
    }
    found |= _optimizer(carried)
    found |= _schedule(carried)
    found |= {
        "max_grad_norm": _line(carried, "max_grad_norm") if carried.peek("max_grad_norm") else None,
        "gradient_checkpointing": _line(carried, "gradient_checkpointing"),
        "dtype": _known(carried, "mixed_precision", _DTYPES),
        "noise_scheduler": scheduler,
        "loss_type": _known(carried, "loss_type", _LOSSES),
        "noise_offset": _line(carried, "noise_offset") if carried.peek("noise_offset") else None,
    }
    if scheduler == "ddpm":
        gamma = carried.peek("min_snr_gamma")
        found["min_snr_gamma"] = _line(carried, "min_snr_gamma") if gamma else None
    else:
        scale = carried.peek("sigmoid_scale")
        if scale in (None, 1) or carried.peek("timestep_sampling") != "sigmoid":
            found["timestep_type"] = _known(carried, "timestep_sampling", _TIMESTEPS)
            if found["timestep_type"] is not None:
                for name in ("sigmoid_scale", "discrete_flow_shift"):
                    carried.take(name)  # without effect there
    if any(
        "is_reg" in one for table in carried.made.datasets for one in map(_names, table.subsets)
    ):
        found["reg_weight"] = _line(carried, "prior_loss_weight")
    # What is sampled during a run is not recorded.
    return found | {"disable_sampling": True}


def _names(options: tuple[Option, ...]) -> set[str]:
    return {option.name for option in options}


def _steps(carried: Carried) -> Any:
    """Steps, since ai-toolkit counts no epochs."""
    steps, epochs = carried.peek("max_train_steps"), carried.take("max_train_epochs")
    if steps is not None:
        return _line(carried, "max_train_steps")
    if carried.made.steps is not None:
        text = f"{carried.made.steps:,}, in place of {epochs:,} epochs, which ai-toolkit does not count"
        carried.assume("steps", text)
    elif epochs is not None:
        why = "ai-toolkit counts steps, whose number is not known; its default is 1,000"
        carried.lose("max_train_epochs", epochs, why)
    return carried.made.steps


def _optimizer(carried: Carried) -> dict[str, Any]:
    """The rate, which all parts share, and the optimizer with its arguments."""
    kind, args = carried.peek("optimizer_type"), carried.arguments("optimizer_args")
    name = _OPTIMIZERS.get(str(kind).rpartition(".")[2].casefold())
    found = _rates(carried, name)
    if name is None:
        if kind is not None:
            why = "ai-toolkit has no such optimizer; its default is adamw"
            carried.drop("optimizer_type", why)
        for argument, text in args.items():
            carried.lose(f"optimizer_args.{argument}", text, "it is of another optimizer")
        return found
    found["optimizer"] = _line(carried, "optimizer_type", name)
    params: dict[str, Any] = dict(_ADAFACTOR) if name == "adafactor" else {}
    for argument, text in args.items():
        value = literal(text)
        if argument == "eps" and name in _OWN_EPS:
            carried.lose("optimizer_args.eps", text, "ai-toolkit always passes 1e-6")
        elif (
            argument in {"lr", "params"}
            or not _ARGUMENT.fullmatch(argument)
            or not _is_plain(value)
        ):
            carried.lose(f"optimizer_args.{argument}", text)
        else:
            params[argument] = value
    return found | {"optimizer_params": params}


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a truth value, nothing, or a list of numbers."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(one, int | float) or one is None for one in items)


def _rates(carried: Carried, optimizer: str | None) -> dict[str, Any]:
    remark = carried.remark("unet_lr") or carried.remark("learning_rate")
    rates = carried.rates()
    base, own = rates.base, rates.encoders
    rate = base if rates.unet is None else rates.unet
    encoders = own or ((base,) if base is not None else ())
    trains_unet, trains_text = rate != 0, any(encoders)
    if trains_text and carried.made.base not in UNETS:
        why = "ai-toolkit trains no text encoder of this base model"
        carried.lose("text_encoder_lr", encoders[0], why)
        trains_text = False
    if not trains_unet and trains_text:
        rate = next(filter(None, encoders))
    elif trains_text and set(encoders) != {rate}:
        why = "ai-toolkit trains all parts of a LoRA at one rate"
        carried.lose("text_encoder_lr", encoders if len(encoders) > 1 else encoders[0], why)
    if optimizer in _FREE and rate is not None and rate < _LEAST_FREE_RATE:
        why = f"ai-toolkit uses 1 in place of rates below {_LEAST_FREE_RATE} with this optimizer"
        carried.lose("learning_rate", rate, why)
    return {
        "train_unet": trains_unet,
        "train_text_encoder": trains_text,
        "lr": None if rate is None else _Line(rate, remark),
    }


def _schedule(carried: Carried) -> dict[str, Any]:
    """The schedule; only `constant_with_warmup` has a warmup there."""
    name = carried.peek("lr_scheduler")
    warmup, cycles = carried.peek("lr_warmup_steps"), carried.peek("lr_scheduler_num_cycles")
    params: dict[str, Any] = {}
    if name == "constant":
        carried.take("lr_warmup_steps")  # without effect in sd-scripts
    elif name == "linear":
        params = {"start_factor": 1.0, "end_factor": 0.0}  # it rises from a third by default
    elif name == "constant_with_warmup":
        carried.take("lr_warmup_steps")
        if isinstance(warmup, float):
            warmup = round(warmup * (carried.made.steps or 0))
        params = {"num_warmup_steps": warmup or 0}
    elif name == "cosine_with_restarts":
        if cycles in (None, 1):
            carried.take("lr_scheduler_num_cycles")
        else:
            carried.drop("lr_scheduler_num_cycles", "ai-toolkit has a single cycle")
    elif name not in {None, "cosine"}:
        carried.drop("lr_scheduler", "ai-toolkit has no such schedule; its default is constant")
        return {}
    if carried.peek("lr_warmup_steps"):
        carried.drop("lr_warmup_steps", "ai-toolkit has a warmup only in constant_with_warmup")
    return {"lr_scheduler": _line(carried, "lr_scheduler"), "lr_scheduler_params": params}


def _without_nothing(value: Any) -> Any:
    """The tree without missing values and empty mappings."""
    if isinstance(value, dict):
        inner = {name: _without_nothing(item) for name, item in value.items()}
        return {name: item for name, item in inner.items() if item is not None and item != {}}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def _yaml(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """The lines of a mapping, whose names are plain."""
    for name, item in tree.items():
        value, remark = (item.value, item.remark) if isinstance(item, _Line) else (item, "")
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _yaml(value, f"{indent}  ")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield f"{indent}{name}:"
            for one in value:
                first, *rest = _yaml(one, f"{indent}    ")
                yield f"{indent}  - {first.lstrip()}"
                yield from rest
        else:
            yield f"{indent}{name}: {_scalar(value)}{f'  {_comment(remark)}' if remark else ''}"


def _comment(text: str) -> str:
    """A comment. ai-toolkit inserts environment variables in comments too, so none is named."""
    return f"# {comment(text).replace('${', '$ {')}"


def _scalar(value: Any) -> str:
    """A value on one line; a text in quotes."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        # YAML 1.1 takes a number with an exponent for text unless it has a point.
        digits, mark, exponent = repr(value).partition("e")
        return f"{digits}{'' if '.' in digits else '.0'}{mark}{exponent}"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("$", "\\x24")
