"""The `ss_` keys of sd-scripts, typed, whichever trainer wrote them.

Sources: sd-scripts `train_network.py` (all keys) and the `update_metadata` of its architectures,
musubi-tuner `trainer_base.py` (`ss_num_train_items`, `ss_full_bf16`).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, note, take
from crawler.decode.dialects.kohya import datasets as kohya_datasets
from crawler.decode.dialects.kohya import network as kohya_network
from crawler.decode.embedded_json import read_json, read_literal
from crawler.decode.problems import MALFORMED, TOO_LONG, WRONG_SHAPE, UnreadableError
from crawler.model import Problem, Trainer

Reader = Callable[[str], Any]
Split = Callable[[str, list[Problem]], Mapping[str, Any]]
Row = tuple[str, str, Reader]

#: Characters of a session id, which is indexed; PostgreSQL cannot index a text of 2,700 bytes. Trainers
#: write a number of at most 10 digits.
MAX_SESSION_CHARS = 200

_TEXT, _INT, _NUM = clean.string, clean.integer, clean.number
_NAME, _FILE = clean.model_name, clean.file_name
_BOOL, _TIME, _HEX = clean.boolean, clean.moment, clean.hexadecimal


def _number_or_off(value: str) -> float | None:
    """A number. `False` means off, like `None`."""
    return None if value == "False" else clean.number(value)


def _commit(value: str) -> str | None:
    return None if value == "(unknown)" else clean.string(value)


def _session(value: str) -> str | None:
    found = clean.string(value)
    if found is not None and len(found) > MAX_SESSION_CHARS:
        raise UnreadableError(TOO_LONG, f"{len(found):,} characters; at most {MAX_SESSION_CHARS}")
    return found


def _same(reader: Reader, *columns: str) -> tuple[Row, ...]:
    """Keys with the same name as their column."""
    return tuple((f"ss_{column}", column, reader) for column in columns)


#: Key, column, reader. Of several keys for one column the first that is present counts.
FLAT: tuple[Row, ...] = (
    # trainer
    ("ss_sd_scripts_commit_hash", "trainer_version", _commit),
    *_same(_FILE, "output_name"),
    *_same(_TEXT, "training_comment"),
    *_same(_session, "session_id"),
    # network
    *_same(_TEXT, "network_module"),
    *_same(_INT, "network_dim"),
    ("ss_network_rank", "network_dim", _INT),  # of tools that extract
    *_same(_NUM, "network_alpha", "network_dropout"),
    ("ss_dropout", "network_dropout", _NUM),  # its name on 2023-06-01 only
    # rates
    *_same(_NUM, "learning_rate", "unet_lr", "max_grad_norm"),
    # length
    *_same(_INT, "steps", "max_train_steps", "epoch", "num_epochs"),
    ("ss_training_step", "steps", _INT),  # of trainers that write a few keys of sd-scripts
    ("ss_epochs", "num_epochs", _INT),  # likewise
    ("ss_num_batches_per_epoch", "batches_per_epoch", _INT),
    ("ss_batch_size_per_device", "batch_size", _INT),
    ("ss_batch_size_per_gpu", "batch_size", _INT),  # a fork's
    *_same(_INT, "gradient_accumulation_steps", "total_batch_size"),
    # data
    *_same(_INT, "num_train_images"),
    ("ss_num_train_items", "num_train_images", _INT),  # musubi-tuner counts videos too
    *_same(_INT, "num_reg_images"),
    *_same(_BOOL, "enable_bucket", "bucket_no_upscale"),
    *_same(_INT, "min_bucket_reso", "max_bucket_reso"),
    *_same(_NUM, "caption_dropout_rate", "caption_tag_dropout_rate"),
    *_same(_BOOL, "shuffle_caption"),
    *_same(_INT, "keep_tokens"),
    *_same(_BOOL, "flip_aug", "color_aug", "random_crop"),
    # loss and noise
    *_same(_NUM, "noise_offset", "adaptive_noise_scale"),
    *_same(_INT, "multires_noise_iterations"),
    *_same(_NUM, "multires_noise_discount", "min_snr_gamma", "ip_noise_gamma"),
    *_same(_BOOL, "zero_terminal_snr", "debiased_estimation"),
    *_same(_number_or_off, "scale_weight_norms"),
    *_same(_NUM, "prior_loss_weight"),
    *_same(_TEXT, "loss_type"),
    *_same(_NUM, "huber_c", "guidance_scale"),
    *_same(_TEXT, "timestep_sampling"),
    ("ss_timestep_sample_method", "timestep_sampling", _TEXT),  # its name on one day in 2026
    *_same(_NUM, "discrete_flow_shift"),
    *_same(_TEXT, "weighting_scheme"),
    # machine
    *_same(_TEXT, "mixed_precision"),
    *_same(_BOOL, "full_fp16", "full_bf16", "fp8_base"),
    *_same(_BOOL, "gradient_checkpointing", "cache_latents", "lowram"),
    *_same(_INT, "seed", "clip_skip", "max_token_length"),
    *_same(_BOOL, "v2"),
    *_same(_NAME, "base_model_version"),
    ("ss_base_model_name", "base_model_version", _NAME),  # of tools that extract
    *_same(_NAME, "sd_model_name"),
    *_same(_HEX, "sd_model_hash"),
    ("ss_new_sd_model_hash", "sd_model_sha256", _HEX),
    *_same(_NAME, "vae_name"),
    # time
    *_same(_TIME, "training_started_at", "training_finished_at"),
)

#: A class and the arguments that it was called with.
_CALL = re.compile(r"\s*([A-Za-z_][\w.\-]*+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def read_text_encoder(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_text_encoder_lr`: one rate, or since 2024-09-10 a list with one per text encoder.

    An empty list means the base rate, like None.
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
    """`ss_lr_scheduler`: the name of the schedule, or a class like that of an optimizer.

    The path and the arguments of a class have no column; they get the names of sd-scripts' options.
    `adafactor:0.0001` means that Adafactor sets the rate itself, starting from this number.
    `ss_learning_rate` is None then, so the number becomes the learning rate.
    """
    name, _, initial = raw.partition(":")
    if name == "adafactor":
        rate = take(clean.number, initial, "learning_rate", problems)
        return {"lr_scheduler": name, "learning_rate": rate}
    match = None if clean.is_absent(raw) else _CALL.fullmatch(raw)
    if match is None:
        return {"lr_scheduler": clean.string(raw)}
    path = match[1]
    return {
        "lr_scheduler": path.rpartition(".")[2] or path,
        "lr_scheduler_type": path if "." in path else None,
        "lr_scheduler_args": take(_arguments, match[2] or "", "lr_scheduler", problems) or None,
    }


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
    match = _CALL.fullmatch(raw)
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
    """`k=v, k=v`, or as one Python value: a list of such texts, or a dict."""
    literal = read_json(inner) if inner.lstrip().startswith(("[", "{")) else None
    if isinstance(literal, dict):
        literal = [f"{name}={value!r}" for name, value in literal.items()]
    pieces = literal if isinstance(literal, list) else _pieces(inner)
    arguments: dict[str, Any] = {}
    for piece in pieces:
        name, equals, spelt = str(piece).partition("=")
        if not equals:
            raise UnreadableError(MALFORMED, f"argument {clean.quote(piece)} has no value")
        try:
            value = read_literal(spelt)
        except UnreadableError:
            value = spelt
        kept = clean.json_value(value)
        # JSON cannot hold `inf`, nor the databases integers beyond 64 bits: they stay text.
        arguments[clean.text(name.strip())] = kept if kept == value else clean.text(spelt)
    return arguments


def _pieces(inner: str) -> Iterator[str]:
    """The text, split at commas that are outside of brackets."""
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


def read_resolution(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_resolution`: `(512, 768)`, `[512, 768]`, `512,768`, or `512` for a square; in px."""
    if usual := _SIDES.fullmatch(raw):
        return {"resolution_width": int(usual[2]), "resolution_height": int(usual[3])}
    if clean.is_absent(raw):
        return {}
    width, height = kohya_datasets.sides(read_literal(f"({raw})"))
    return {"resolution_width": width, "resolution_height": height}


#: Keys that fill several columns each: key, column named in problems, reader.
SPLIT: tuple[tuple[str, str, Split], ...] = (
    ("ss_network_args", "network_args", kohya_network.read_args),
    ("ss_text_encoder_lr", "text_encoder_lr", read_text_encoder),
    ("ss_lr_scheduler", "lr_scheduler", read_scheduler),
    ("ss_lr_warmup_steps", "lr_warmup_steps", read_warmup),
    ("ss_optimizer", "optimizer", read_optimizer),
    ("ss_resolution", "resolution", read_resolution),
)


def read(metadata: Mapping[str, str], trainer: Trainer | None) -> DialectResult:
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
            note(problems, error.code, column, error.detail)
    for key, column, split in SPLIT:
        if key not in metadata:
            continue
        before = len(problems)
        try:
            _fill(values, split(metadata[key], problems))
        except UnreadableError as error:
            note(problems, error.code, column, error.detail)
        if len(problems) == before:
            used.add(key)
    # A preset may be a file on the user's disk.
    values["network_args"] = clean.without_folders(values.get("network_args"), frozenset())
    data = kohya_datasets.read(metadata, values)
    _fill(values, data.values)
    _fill(values, _derived(values, problems))
    # The arguments are recorded since 2023-03-08; `ss_min_snr_gamma` came shortly after. A file without
    # training keys is newer as well: before, `--no_metadata` left nothing at all.
    of_unknown_arguments = "ss_num_train_images" in metadata and metadata.keys().isdisjoint(
        ("ss_network_args", "ss_min_snr_gamma")
    )
    if of_unknown_arguments and str(values.get("network_module")).startswith("lycoris."):
        values["network_algo"] = None  # the module alone trains any algorithm
    values["trainer"] = trainer
    settings = {name: values.pop(name, None) for name in ("lr_scheduler_type", "lr_scheduler_args")}
    return replace(
        data,
        values=values,
        problems=(*problems, *data.problems),
        used=data.used | used,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _fill(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add columns that have no value yet: a key of its own takes precedence."""
    for column, value in more.items():
        if values.get(column) is None:
            values[column] = value


def _derived(values: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Columns that follow from several others."""
    original_dim, _ = kohya_network.split_comment(values.get("training_comment"))
    derived: dict[str, Any] = {
        "network_algo": kohya_network.algo(
            values.get("network_module"), values.get("network_args"), values.get("conv_dim")
        ),
        "original_dim": take(clean.integer, original_dim, "original_dim", problems),
    }
    if width := values.get("resolution_width"):
        derived["resolution"] = math.sqrt(width * values["resolution_height"])
    images, trained = values.get("image_count"), values.get("num_train_images")
    if images and images > 0 and trained is not None:
        derived["mean_repeats"] = trained / images
    return derived
