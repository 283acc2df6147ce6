"""A training run in the words of sd-scripts, as the version of its time wrote them.

Every value is Python's `str()` of what the trainer held, except the few that it writes as JSON.
Source: train_network.py and library/train_util.py of sd-scripts.
"""

import json
from datetime import UTC, date, datetime
from random import Random

from crawler.sandbox.chance import happens, hexadecimal
from crawler.sandbox.datasets import config_keys, directory_keys
from crawler.sandbox.eras import SINCE
from crawler.sandbox.layers import Base
from crawler.sandbox.runs import Run
from crawler.sandbox.tensors import Algo

_CONFIG_FILES_SINCE = date(2023, 3, 1)
_TEXT_ENCODER_LISTS_SINCE = date(2024, 9, 10)
_MODELSPEC_SINCE = date(2023, 8, 6)
_VERSIONS = {
    Base.SD1: "sd_v1",
    Base.SD2: "sd_v2_v",
    Base.SDXL: "sdxl_base_v1-0",
    Base.FLUX1: "flux1",
}
_ARCHITECTURES = {
    Base.SD1: "stable-diffusion-v1/lora",
    Base.SD2: "stable-diffusion-v2-768-v/lora",
    Base.SDXL: "stable-diffusion-xl-v1-base/lora",
    Base.FLUX1: "flux-1-dev/lora",
}
_CHECKPOINTS = {
    Base.SD1: ("animelike-full.safetensors", "v1-general-pruned.ckpt"),
    Base.SD2: ("made-up/diffusion-2-1",),
    Base.SDXL: ("xl_base_made_up.safetensors", "290001.safetensors", "pastelXL_v3.safetensors"),
    Base.FLUX1: ("flux-like-dev.safetensors",),
}


def metadata(dice: Random, run: Run, output_name: str) -> dict[str, str]:
    """The `__metadata__` of the file that the run saved, without the hashes of its weights."""
    trained_on = datetime.fromtimestamp(run.started_at, tz=UTC).date()
    checkpoint = dice.choice(_CHECKPOINTS[run.network.base])
    values = _settings(dice, run, output_name, trained_on)
    values |= _checkpoint_keys(dice, checkpoint)
    if run.network.base is Base.FLUX1:
        values |= _flux_keys(dice)
    if run.dataset_config and trained_on >= _CONFIG_FILES_SINCE:
        values |= config_keys(dice, run)
    else:
        values |= directory_keys(dice, run)
    kept = {
        key: str(value) for key, value in values.items() if trained_on >= SINCE.get(key, trained_on)
    }
    if trained_on >= _MODELSPEC_SINCE:
        kept |= _modelspec(run, output_name)
    return kept


def minimum(run: Run) -> dict[str, str]:
    """What is left under `--no_metadata` and after a merge."""
    dim: object = "Dynamic" if run.network.dynamic else run.network.dim
    values = {
        "ss_v2": str(run.network.base is Base.SD2),
        "ss_base_model_version": _VERSIONS[run.network.base],
        "ss_network_module": _module(run),
        "ss_network_dim": str(dim),
        "ss_network_alpha": "Dynamic" if run.network.dynamic else _alpha(run),
    }
    if network_args := _network_args(run):
        values["ss_network_args"] = json.dumps(network_args)
    return values


def _alpha(run: Run) -> str:
    # a whole number in a config file stays one; the command line makes a float of it
    return str(int(run.alpha) if run.dataset_config else run.alpha)


def _module(run: Run) -> str:
    if run.network.algo is not Algo.LORA:
        return "lycoris.kohya"
    return "networks.lora_flux" if run.network.base is Base.FLUX1 else "networks.lora"


def _settings(dice: Random, run: Run, output_name: str, trained_on: date) -> dict[str, object]:
    comment = dice.choice((None, None, f"trigger word is {output_name}"))
    if run.resized_from is not None:
        target = "Dynamic" if run.network.dynamic else run.network.dim
        prefix = f"dimension is resized from {run.resized_from} to {target}; "
        comment = prefix + (comment or "")
    text_rate: object = run.text_encoder_lr
    if run.network.base is not Base.SD1 and trained_on >= _TEXT_ENCODER_LISTS_SINCE:
        text_rate = [] if text_rate is None else [text_rate, text_rate]
    precision = "bf16" if run.network.base is Base.FLUX1 else dice.choice(("fp16", "bf16"))
    values: dict[str, object] = {
        "ss_session_id": dice.randrange(2**32),
        "ss_training_started_at": run.started_at,
        "ss_output_name": output_name,
        "ss_learning_rate": run.learning_rate,
        "ss_text_encoder_lr": text_rate,
        "ss_unet_lr": run.learning_rate,
        "ss_num_train_images": run.train_images,
        "ss_num_validation_images": 0,
        "ss_num_reg_images": run.reg_images,
        "ss_num_batches_per_epoch": run.batches,
        "ss_num_epochs": run.epochs,
        "ss_gradient_checkpointing": happens(dice, 0.5),  # as many with as without
        "ss_gradient_accumulation_steps": run.accumulation,
        "ss_max_train_steps": run.max_steps,
        "ss_lr_warmup_steps": run.warmup_steps,
        "ss_lr_scheduler": run.scheduler,
        **minimum(run),
        "ss_network_dropout": dice.choice((None, None, None, 0.1)),
        "ss_mixed_precision": precision,
        "ss_full_fp16": False,
        "ss_clip_skip": dice.choice((None, 1, 2)),
        "ss_max_token_length": dice.choice((None, 225)),
        "ss_cache_latents": happens(dice, 0.9),  # nearly everybody does
        "ss_seed": dice.choice((42, dice.randrange(2**32))),
        "ss_lowram": False,
        "ss_noise_offset": dice.choice((None, 0.0357, 0.1)),
        "ss_noise_offset_random_strength": False,
        "ss_adaptive_noise_scale": None,
        "ss_multires_noise_iterations": dice.choice((None, None, 6)),
        "ss_multires_noise_discount": 0.3,
        "ss_ip_noise_gamma": None,
        "ss_ip_noise_gamma_random_strength": False,
        "ss_zero_terminal_snr": False,
        "ss_debiased_estimation": False,
        "ss_training_comment": comment,
        "ss_sd_scripts_commit_hash": hexadecimal(40, trained_on.toordinal() // 30),
        "ss_optimizer": run.optimizer,
        "ss_max_grad_norm": 1.0,
        "ss_caption_dropout_rate": dice.choice((0.0, 0.0, 0.05)),
        "ss_caption_dropout_every_n_epochs": 0,
        "ss_caption_tag_dropout_rate": 0.0,
        "ss_face_crop_aug_range": None,
        "ss_prior_loss_weight": 1.0,
        "ss_min_snr_gamma": dice.choice((None, 5.0)),
        "ss_scale_weight_norms": None,
        "ss_loss_type": "l2",
        "ss_huber_schedule": "snr",
        "ss_huber_c": 0.1,
        "ss_huber_scale": 1.0,
        "ss_fp8_base": False,
        "ss_fp8_base_unet": False,
        "ss_validation_seed": None,
        "ss_validation_split": 0.0,
        "ss_max_validation_steps": None,
        "ss_validate_every_n_epochs": None,
        "ss_validate_every_n_steps": None,
        "ss_resize_interpolation": None,
        "ss_steps": run.steps,
        "ss_epoch": run.epoch,
        "ss_training_finished_at": run.started_at + run.seconds,
    }
    network_args = _network_args(run)
    if network_args:
        values["ss_network_args"] = json.dumps(network_args)
    return values


def _network_args(run: Run) -> dict[str, str]:
    network = run.network
    if network.algo is Algo.LORA:
        return {}
    arguments = {"algo": "locon" if network.algo is Algo.DORA else str(network.algo)}
    if network.conv_dim is not None:
        arguments |= {"conv_dim": str(network.conv_dim), "conv_alpha": "1"}
    if network.algo is Algo.DORA:
        arguments["dora_wd"] = "True"
    if network.algo is Algo.LOKR:
        arguments["factor"] = "8"
    return arguments


def _checkpoint_keys(dice: Random, checkpoint: str) -> dict[str, object]:
    values: dict[str, object] = {"ss_sd_model_name": checkpoint}
    if "/" not in checkpoint:  # a name on a hub has no file to hash
        values["ss_sd_model_hash"] = f"{dice.getrandbits(32):08x}"
        values["ss_new_sd_model_hash"] = f"{dice.getrandbits(256):064x}"
    return values


def _flux_keys(dice: Random) -> dict[str, object]:
    return {
        "ss_model_type": "flux",
        "ss_apply_t5_attn_mask": False,
        "ss_weighting_scheme": None,
        "ss_logit_mean": 0.0,
        "ss_logit_std": 1.0,
        "ss_mode_scale": 1.29,
        "ss_guidance_scale": 1.0,
        "ss_timestep_sampling": dice.choice(("sigmoid", "shift", "flux_shift")),
        "ss_sigmoid_scale": 1.0,
        "ss_model_prediction_type": "raw",
        "ss_discrete_flow_shift": dice.choice((3.0, 3.1582)),
    }


def _modelspec(run: Run, output_name: str) -> dict[str, str]:
    saved_at = run.started_at + run.seconds
    saved = datetime.fromtimestamp(int(saved_at), tz=UTC).replace(tzinfo=None)
    values = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": _ARCHITECTURES[run.network.base],
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.title": output_name,
        "modelspec.resolution": f"{run.resolution}x{run.resolution}",
        "modelspec.date": saved.isoformat(),
    }
    if run.network.base is not Base.FLUX1:
        values["modelspec.prediction_type"] = "epsilon"
    return values
