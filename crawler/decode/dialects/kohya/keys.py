"""The `ss_` keys of sd-scripts, typed, whichever trainer wrote them.

Sources: sd-scripts `train_network.py` (all keys) and the `update_metadata` of its architectures,
musubi-tuner `trainer_base.py` (`ss_num_train_items`, `ss_full_bf16`).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import Reading, note, take
from crawler.decode.dialects.kohya import datasets as kohya_datasets
from crawler.decode.dialects.kohya import network as kohya_network
from crawler.decode.embedded_json import read_literal
from crawler.decode.problems import MALFORMED, WRONG_SHAPE, UnreadableError
from crawler.model import Problem, Trainer

Reader = Callable[[str], Any]

_TEXT, _INT, _NUM = clean.string, clean.integer, clean.number
_BOOL, _TIME, _HEX = clean.boolean, clean.moment, clean.hexadecimal


def _number_or_off(value: str) -> float | None:
    """A number. The trainer also writes `False` for a setting that is off, like `None`."""
    return None if value == "False" else clean.number(value)


def _commit(value: str) -> str | None:
    return None if value == "(unknown)" else clean.string(value)


#: Key, column, reader. Of several keys for one column the first that is present counts.
FLAT: tuple[tuple[str, str, Reader], ...] = (
    # trainer
    ("ss_sd_scripts_commit_hash", "trainer_version", _commit),
    ("ss_output_name", "output_name", _TEXT),
    ("ss_training_comment", "training_comment", _TEXT),
    ("ss_session_id", "session_id", _TEXT),
    # network
    ("ss_network_module", "network_module", _TEXT),
    ("ss_network_dim", "network_dim", _INT),
    ("ss_network_alpha", "network_alpha", _NUM),
    ("ss_network_dropout", "network_dropout", _NUM),
    ("ss_dropout", "network_dropout", _NUM),  # its name on 2023-06-01 only
    # rates
    ("ss_learning_rate", "learning_rate", _NUM),
    ("ss_unet_lr", "unet_lr", _NUM),
    ("ss_max_grad_norm", "max_grad_norm", _NUM),
    # length
    ("ss_steps", "steps", _INT),
    ("ss_max_train_steps", "max_train_steps", _INT),
    ("ss_epoch", "epoch", _INT),
    ("ss_num_epochs", "num_epochs", _INT),
    ("ss_num_batches_per_epoch", "batches_per_epoch", _INT),
    ("ss_batch_size_per_device", "batch_size", _INT),
    ("ss_batch_size_per_gpu", "batch_size", _INT),  # a fork's
    ("ss_gradient_accumulation_steps", "gradient_accumulation_steps", _INT),
    ("ss_total_batch_size", "total_batch_size", _INT),
    # data
    ("ss_num_train_images", "num_train_images", _INT),
    ("ss_num_train_items", "num_train_images", _INT),  # musubi-tuner counts videos too
    ("ss_num_reg_images", "num_reg_images", _INT),
    ("ss_enable_bucket", "enable_bucket", _BOOL),
    ("ss_bucket_no_upscale", "bucket_no_upscale", _BOOL),
    ("ss_min_bucket_reso", "min_bucket_reso", _INT),
    ("ss_max_bucket_reso", "max_bucket_reso", _INT),
    ("ss_caption_dropout_rate", "caption_dropout_rate", _NUM),
    ("ss_caption_tag_dropout_rate", "caption_tag_dropout_rate", _NUM),
    ("ss_shuffle_caption", "shuffle_caption", _BOOL),
    ("ss_keep_tokens", "keep_tokens", _INT),
    ("ss_flip_aug", "flip_aug", _BOOL),
    ("ss_color_aug", "color_aug", _BOOL),
    ("ss_random_crop", "random_crop", _BOOL),
    # loss and noise
    ("ss_noise_offset", "noise_offset", _NUM),
    ("ss_adaptive_noise_scale", "adaptive_noise_scale", _NUM),
    ("ss_multires_noise_iterations", "multires_noise_iterations", _INT),
    ("ss_multires_noise_discount", "multires_noise_discount", _NUM),
    ("ss_min_snr_gamma", "min_snr_gamma", _NUM),
    ("ss_ip_noise_gamma", "ip_noise_gamma", _NUM),
    ("ss_zero_terminal_snr", "zero_terminal_snr", _BOOL),
    ("ss_debiased_estimation", "debiased_estimation", _BOOL),
    ("ss_scale_weight_norms", "scale_weight_norms", _number_or_off),
    ("ss_prior_loss_weight", "prior_loss_weight", _NUM),
    ("ss_loss_type", "loss_type", _TEXT),
    ("ss_huber_c", "huber_c", _NUM),
    ("ss_guidance_scale", "guidance_scale", _NUM),
    ("ss_timestep_sampling", "timestep_sampling", _TEXT),
    ("ss_timestep_sample_method", "timestep_sampling", _TEXT),  # its name on one day in 2026
    ("ss_discrete_flow_shift", "discrete_flow_shift", _NUM),
    ("ss_weighting_scheme", "weighting_scheme", _TEXT),
    # machine
    ("ss_mixed_precision", "mixed_precision", _TEXT),
    ("ss_full_fp16", "full_fp16", _BOOL),
    ("ss_full_bf16", "full_bf16", _BOOL),
    ("ss_fp8_base", "fp8_base", _BOOL),
    ("ss_gradient_checkpointing", "gradient_checkpointing", _BOOL),
    ("ss_cache_latents", "cache_latents", _BOOL),
    ("ss_lowram", "lowram", _BOOL),
    ("ss_seed", "seed", _INT),
    ("ss_clip_skip", "clip_skip", _INT),
    ("ss_max_token_length", "max_token_length", _INT),
    ("ss_v2", "v2", _BOOL),
    ("ss_base_model_version", "base_model_version", _TEXT),
    ("ss_sd_model_name", "sd_model_name", _TEXT),
    ("ss_sd_model_hash", "sd_model_hash", _HEX),
    ("ss_new_sd_model_hash", "sd_model_sha256", _HEX),
    ("ss_vae_name", "vae_name", _TEXT),
    # time
    ("ss_training_started_at", "training_started_at", _TIME),
    ("ss_training_finished_at", "training_finished_at", _TIME),
)

_OPTIMIZER = re.compile(r"\s*([A-Za-z_][\w.\-]*+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def read_text_encoder(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_text_encoder_lr`: one rate, or since 2024-09-10 a list with one per text encoder.

    An empty list stands for the base rate, as None does.
    """
    if not raw.lstrip().startswith(("[", "(")):
        rate = clean.number(raw)
        return {} if rate is None else {"text_encoder_lr": rate, "text_encoder_lrs": (rate,)}
    items = read_literal(raw)
    rates = [clean.number(item) for item in items] if isinstance(items, list) else [None]
    if None in rates:
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(raw)} is not a list of numbers")
    return {"text_encoder_lr": rates[0], "text_encoder_lrs": tuple(rates)} if rates else {}


def read_scheduler(raw: str, problems: list[Problem]) -> Mapping[str, Any]:
    """`ss_lr_scheduler`: the name of the schedule.

    `adafactor:0.0001` means that Adafactor sets the rate itself, starting from this number.
    `ss_learning_rate` is None then, so the number becomes the learning rate.
    """
    name, _, initial = raw.partition(":")
    if name != "adafactor":
        return {"lr_scheduler": clean.string(raw)}
    rate = take(clean.number, initial, "learning_rate", problems)
    return {"lr_scheduler": name, "learning_rate": rate}


def read_warmup(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_lr_warmup_steps`: steps, or since 2024-09-11 a share of all steps if below 1."""
    value = clean.number(raw)
    if value is not None and 0 < value < 1:
        return {"lr_warmup_ratio": value}
    return {"lr_warmup_steps": clean.integer(raw)}


def read_optimizer(raw: str, problems: list[Problem]) -> Mapping[str, Any]:
    """`ss_optimizer`: `module.Class` or `module.Class(k=v,k=v)`.

    Arguments are read as Python literals; what is not a literal stays text.
    """
    if clean.string(raw) is None:
        return {}
    match = _OPTIMIZER.fullmatch(raw)
    if match is None:
        raise UnreadableError(MALFORMED, f"{clean.quote(raw)} is not a class with arguments")
    path = match[1]
    args = take(_arguments, match[2] or "", "optimizer_args", problems)
    return {
        "optimizer": path.rpartition(".")[2] or path,
        "optimizer_path": path if "." in path else None,
        "optimizer_args": args or None,
    }


def _arguments(inner: str) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {}
    for piece in _pieces(inner):
        name, equals, spelt = piece.partition("=")
        if not equals:
            raise UnreadableError(
                MALFORMED, f"{clean.quote(piece)} is not an argument with a value"
            )
        try:
            value = read_literal(spelt)
        except UnreadableError:
            value = spelt
        kept = clean.json_value(value)
        # JSON cannot hold `inf`, nor the databases integers beyond 64 bits: they stay text.
        arguments[clean.text(name.strip())] = kept if kept == value else clean.text(spelt)
    return arguments


def _pieces(inner: str) -> Iterator[str]:
    """The text, cut at the commas outside all brackets."""
    depth, begin = 0, 0
    for at, character in enumerate(inner):
        depth += _DEPTH.get(character, 0)
        if character == "," and depth == 0:
            yield inner[begin:at]
            begin = at + 1
    if inner[begin:].strip():
        yield inner[begin:]


#: A resolution as sd-scripts writes it, and as people pass it to sd-scripts.
_SIDES = re.compile(r"(\()?([1-9][0-9]{0,9}), ?([1-9][0-9]{0,9})(?(1)\))")


def _resolution(raw: str) -> Mapping[str, Any]:
    """`ss_resolution`: `(512, 768)`, `[512, 768]`, `512,768`, or `512` for a square; in px."""
    if usual := _SIDES.fullmatch(raw):
        return {"resolution_width": int(usual[2]), "resolution_height": int(usual[3])}
    if raw.strip() in clean.ABSENT:
        return {}
    value = read_literal(f"({raw})")
    width, height = kohya_datasets.sides(value)
    return {"resolution_width": width, "resolution_height": height}


#: Keys that fill several columns each: key, column named in problems, reader.
SPLIT: tuple[tuple[str, str, Callable[[str, list[Problem]], Mapping[str, Any]]], ...] = (
    ("ss_network_args", "network_args", kohya_network.read_args),
    ("ss_text_encoder_lr", "text_encoder_lr", read_text_encoder),
    ("ss_lr_scheduler", "lr_scheduler", read_scheduler),
    ("ss_lr_warmup_steps", "lr_warmup_steps", read_warmup),
    ("ss_optimizer", "optimizer", read_optimizer),
    ("ss_resolution", "resolution", lambda raw, _: _resolution(raw)),
)


def read(metadata: Mapping[str, str], trainer: Trainer | None) -> Reading:
    """Read every known key into the columns, datasets, directories and tags that it fills."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    used: set[str] = set()
    for key, column, reader in FLAT:
        if key not in metadata or column in values:
            continue
        try:
            values[column] = reader(metadata[key])
            used.add(key)
        except UnreadableError as error:
            note(problems, error, column)
    for key, column, split in SPLIT:
        if key not in metadata:
            continue
        before = len(problems)
        try:
            _fill(values, split(metadata[key], problems))
        except UnreadableError as error:
            note(problems, error, column)
        if len(problems) == before:
            used.add(key)
    data = kohya_datasets.read(metadata, values)
    _fill(values, data.values)
    _fill(values, _derived(values, problems))
    if not _has_arguments(metadata) and str(values.get("network_module")).startswith("lycoris."):
        values["network_algo"] = None  # the module alone trains any algorithm
    values["trainer"] = trainer
    return Reading(
        values=values,
        datasets=data.datasets,
        directories=data.directories,
        tags=data.tags,
        problems=(*problems, *data.problems),
        used=data.used | used,
    )


def _has_arguments(metadata: Mapping[str, str]) -> bool:
    """Whether the arguments of the network are known; they are recorded since 2023-03-08.

    `ss_min_snr_gamma` came shortly after. A file without training keys is newer as well: before,
    `--no_metadata` left nothing at all.
    """
    later = "ss_network_args" in metadata or "ss_min_snr_gamma" in metadata
    return later or "ss_num_train_images" not in metadata


def _fill(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add columns that have no value yet: a key of its own takes precedence."""
    for column, value in more.items():
        if values.get(column) is None:
            values[column] = value


def _derived(values: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Columns that follow from several others."""
    derived: dict[str, Any] = {
        "network_algo": kohya_network.algo(
            values.get("network_module"), values.get("network_args"), values.get("conv_dim")
        ),
        "original_dim": kohya_network.original_dim(values.get("training_comment"), problems),
    }
    if width := values.get("resolution_width"):
        derived["resolution"] = math.sqrt(width * values["resolution_height"])
    images, trained = values.get("image_count"), values.get("num_train_images")
    if images and images > 0 and trained is not None:
        derived["mean_repeats"] = trained / images
    return derived
