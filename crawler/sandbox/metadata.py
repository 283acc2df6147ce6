"""A training run as `__metadata__`, in the format of each trainer.

sd-scripts writes `str()` of each Python value, except the few that it writes as JSON, and adds keys
from version to version. Sources: `train_network.py` and `library/train_util.py` of sd-scripts,
`modules/modelSaver/mixin/DtypeModelSaverMixin.py` of OneTrainer, `toolkit/metadata.py` of ai-toolkit.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from crawler.sandbox.headers import Algo, Base
from crawler.sandbox.runs import Run, Trainer, happens


class _Names(NamedTuple):
    """The names of a base in each trainer, and the checkpoints that people train on."""

    kohya: str
    modelspec: str
    onetrainer: str
    checkpoints: tuple[str, ...]


_NAMES = {
    Base.SD1: _Names(
        "sd_v1", "stable-diffusion-v1/lora", "STABLE_DIFFUSION_15",
        ("animelike-full.safetensors", "v1-general-pruned.ckpt"),
    ),
    Base.SDXL: _Names(
        "sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora", "STABLE_DIFFUSION_XL_10_BASE",
        ("xl_base_made_up.safetensors", "290001.safetensors", "pastelXL_v3.safetensors"),
    ),
    Base.FLUX1: _Names(
        "flux1", "flux-1-dev/lora", "FLUX_DEV_1", ("flux-like-dev.safetensors", "made-up/flux-like"),
    ),
}  # fmt: skip
_MODELSPEC_SINCE = date(2023, 8, 6)
_TEXT_ENCODER_LISTS_SINCE = date(2024, 9, 10)
# The day from which sd-scripts writes a key (without `ss_`), where that is later than its beginning
_SINCE = {
    key: date.fromisoformat(day)
    for day, keys in {
        "2023-02-23": "optimizer training_finished_at lowram max_grad_norm",
        "2023-04-03": "network_args min_snr_gamma prior_loss_weight caption_tag_dropout_rate",
        "2023-05-02": "steps multires_noise_iterations multires_noise_discount",
        "2023-06-26": "base_model_version adaptive_noise_scale network_dropout",
        "2023-10-23": "zero_terminal_snr ip_noise_gamma debiased_estimation scale_weight_norms",
        "2024-08-01": "loss_type huber_schedule huber_c fp8_base fp8_base_unet",
        "2025-01-12": "huber_scale validation_split",
    }.items()
    for key in keys.split()
}
# What hardly anybody sets
_DEFAULTS: Mapping[str, object] = {
    **dict.fromkeys(("full_fp16", "lowram", "zero_terminal_snr", "debiased_estimation"), False),
    **dict.fromkeys(("fp8_base", "fp8_base_unet"), False),
    **dict.fromkeys(("max_grad_norm", "prior_loss_weight", "huber_scale"), 1.0),
    **dict.fromkeys(("adaptive_noise_scale", "scale_weight_norms", "ip_noise_gamma"), None),
    **dict.fromkeys(("caption_tag_dropout_rate", "validation_split"), 0.0),
    "multires_noise_discount": 0.3, "loss_type": "l2", "huber_schedule": "snr", "huber_c": 0.1,
}  # fmt: skip


def metadata(dice: Random, run: Run, output_name: str) -> dict[str, str]:
    """The `__metadata__` of the file that the run saved, without the hashes of its weights."""
    if run.trainer is Trainer.KOHYA:
        return _kohya(dice, run, output_name)
    if run.trainer is Trainer.ONETRAINER:
        return _onetrainer(dice, run, output_name)
    return _ai_toolkit(run, output_name)


def digits(count: int, text: str) -> str:
    """Made-up lower-case hexadecimal digits, at most 128, always the same for a text."""
    return blake2b(text.encode()).hexdigest()[:count]


def _kohya(dice: Random, run: Run, output_name: str) -> dict[str, str]:
    day = datetime.fromtimestamp(run.started_at, tz=UTC).date()
    values = _network_keys(run)
    if happens(dice, 0.97):  # else trained with --no_metadata, or merged
        values |= {**_DEFAULTS, **_run_keys(run, day), **_choices(dice, run, output_name)}
        values |= _dataset_keys(dice, run)
    told = {f"ss_{key}": str(value) for key, value in values.items() if day >= _SINCE.get(key, day)}
    return told | (_modelspec(run, output_name) if day >= _MODELSPEC_SINCE else {})


def _network_keys(run: Run) -> dict[str, object]:
    """The only keys with `--no_metadata` or after a merge."""
    network = run.network
    module = "networks.lora_flux" if network.base is Base.FLUX1 else "networks.lora"
    values: dict[str, object] = {
        "v2": False,
        "base_model_version": _NAMES[network.base].kohya,
        "network_module": module if network.algo is Algo.LORA else "lycoris.kohya",
        "network_dim": network.dim,
        "network_alpha": run.alpha,
    }
    if network.algo is not Algo.LORA:
        algo = Algo.LOCON if network.algo is Algo.DORA else network.algo
        arguments = {"algo": algo, "conv_dim": str(network.dim), "conv_alpha": "1"}
        more = {Algo.DORA: {"dora_wd": "True"}, Algo.LOKR: {"factor": "8"}}
        values["network_args"] = json.dumps(arguments | more.get(network.algo, {}))
    return values


def _run_keys(run: Run, day: date) -> dict[str, object]:
    """The numbers of the run."""
    rate = run.learning_rate
    text_rate: object = None if rate is None or rate == 1.0 else rate / 2
    if run.network.base is not Base.SD1 and day >= _TEXT_ENCODER_LISTS_SINCE:
        text_rate = [] if text_rate is None else [text_rate, text_rate]
    return {
        "training_started_at": run.started_at,
        "training_finished_at": run.started_at + run.seconds,
        "network_dropout": 0.1 if int(run.started_at) % 8 == 0 else None,
        "learning_rate": rate,
        "unet_lr": rate,
        "text_encoder_lr": text_rate,
        "num_train_images": run.images,
        "num_reg_images": 0,
        "num_batches_per_epoch": run.batches,
        "num_epochs": run.epochs,
        "epoch": run.epoch,
        "gradient_accumulation_steps": 1,
        "max_train_steps": run.epochs * run.batches,
        "steps": run.epoch * run.batches,
        "lr_scheduler": run.scheduler,
        "optimizer": run.optimizer,
    }


def _choices(dice: Random, run: Run, output_name: str) -> dict[str, object]:
    """Settings that people choose freely, and that determine no other key."""
    checkpoint = dice.choice(_NAMES[run.network.base].checkpoints)
    values: dict[str, object] = {
        "session_id": dice.randrange(2**32),
        "output_name": output_name,
        "training_comment": dice.choice((None, None, f"trigger word is {output_name}")),
        "sd_scripts_commit_hash": digits(40, f"sd-scripts {run.started_at // 2_592_000}"),
        "sd_model_name": checkpoint,
        "mixed_precision": "bf16" if run.network.base is Base.FLUX1 else "fp16",
        "gradient_checkpointing": dice.choice((True, False)),
        "clip_skip": dice.choice((None, 1, 2)),
        "max_token_length": dice.choice((None, 225)),
        "cache_latents": dice.choice((True, True, True, False)),
        "seed": dice.choice((42, dice.randrange(2**32))),
        "lr_warmup_steps": dice.choice((0, 0, 50, 100)),
        "noise_offset": dice.choice((None, 0.0357, 0.1)),
        "multires_noise_iterations": dice.choice((None, None, 6)),
        "min_snr_gamma": dice.choice((None, 5.0)),
    }
    if "/" not in checkpoint:  # a name on a hub has no file to hash
        values |= {
            "sd_model_hash": digits(8, checkpoint),
            "new_sd_model_hash": digits(64, checkpoint),
        }
    if run.network.base is Base.FLUX1:
        values |= {"guidance_scale": 1.0, "discrete_flow_shift": dice.choice((3.0, 3.1582))}
        values |= {"timestep_sampling": dice.choice(("sigmoid", "shift", "flux_shift"))}
    return values


def _dataset_keys(dice: Random, run: Run) -> dict[str, object]:
    """The keys of a run that was given folders."""
    folders = {it.name: {"n_repeats": it.repeats, "img_count": it.images} for it in run.folders}
    buckets = {
        str(number): {"resolution": [width, height], "count": count}
        for number, (width, height, count) in enumerate(run.buckets or ())
    }
    info = {"buckets": buckets, "mean_img_ar_error": len(buckets) / 400} if buckets else None
    return {
        "batch_size_per_device": run.batch_size,
        "total_batch_size": run.batch_size,
        "resolution": (run.resolution, run.resolution),
        "color_aug": False,
        "flip_aug": happens(dice, 0.1),
        "random_crop": False,
        "shuffle_caption": happens(dice, 0.7),
        "keep_tokens": dice.choice((0, 1)),
        "enable_bucket": run.buckets is not None,
        "bucket_no_upscale": dice.choice((True, False)),
        "min_bucket_reso": 256,
        "max_bucket_reso": 2 * run.resolution,
        "dataset_dirs": json.dumps(folders),
        "reg_dataset_dirs": "{}",
        "tag_frequency": json.dumps({folder.name: folder.tags for folder in run.folders}),
        "bucket_info": json.dumps(info),
    }


def _modelspec(run: Run, title: str) -> dict[str, str]:
    saved = datetime.fromtimestamp(int(run.started_at + run.seconds), tz=UTC)
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": _NAMES[run.network.base].modelspec,
        "modelspec.title": title,
        "modelspec.resolution": f"{run.resolution}x{run.resolution}",
        "modelspec.date": saved.replace(tzinfo=None).isoformat(),
    }


def _onetrainer(dice: Random, run: Run, output_name: str) -> dict[str, str]:
    base, rate = run.network.base, run.learning_rate or 1e-4
    told = _modelspec(run, f"{base} LoRA") | {
        "ot_branch": "master",
        "ot_revision": digits(7, f"onetrainer {run.started_at // 2_592_000}"),
        "ss_base_model_version": _NAMES[base].kohya,
    }
    if happens(dice, 0.3):  # without the option to keep the settings
        return told
    config = {
        "__version": 10,
        "training_method": "LORA",
        "model_type": _NAMES[base].onetrainer,
        "peft_type": "LORA",
        "lora_rank": run.network.dim,
        "lora_alpha": run.alpha,
        "base_model_name": dice.choice(_NAMES[base].checkpoints),
        "output_model_destination": f"models/{output_name}.safetensors",
        "learning_rate": rate,
        "learning_rate_scheduler": dice.choice(("CONSTANT", "COSINE")),
        "optimizer": {"optimizer": "PRODIGY" if rate == 1.0 else "ADAMW_8BIT"},
        "epochs": run.epochs,
        "batch_size": run.batch_size,
        "resolution": str(run.resolution),
        "aspect_ratio_bucketing": run.buckets is not None,
        "transformer" if base is Base.FLUX1 else "unet": {"train": True, "learning_rate": None},
        "text_encoder": {"train": run.network.text_encoder, "learning_rate": rate / 2},
        "concepts": [{"name": it.name, "balancing": float(it.repeats)} for it in run.folders],
    }
    return told | {"ot_config": json.dumps(config)}


def _ai_toolkit(run: Run, output_name: str) -> dict[str, str]:
    software = {"name": "ai-toolkit", "repo": "https://example.org/ai-toolkit", "version": "0.1.0"}
    return {
        "format": "pt",
        "version": "1.0",
        "name": output_name,
        "software": json.dumps(software),
        "training_info": json.dumps({"step": run.epoch * run.batches, "epoch": run.epoch}),
        "ss_output_name": output_name,
        "ss_base_model_version": _NAMES[run.network.base].kohya,
    }
