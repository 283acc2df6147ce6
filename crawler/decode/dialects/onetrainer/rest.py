"""What no column takes of OneTrainer's settings, fit to be looked at and to be shown to anybody."""

import json

from crawler.decode.dialect_result import held
from crawler.decode.dialects.local_paths import without_folders
from crawler.decode.dialects.onetrainer.names import Family
from crawler.decode.dialects.onetrainer.settings import PATHS, Config, given

#: Beginnings of settings that are about the machine, the program and its windows, or that stand
#: among the folders and in the columns as well.
_IDLE = (
    "__",
    "async_",
    "backup",
    "cache_dir",
    "caching_threads",
    "clear_cache",
    "cloud",
    "concept",
    "continue_last_backup",
    "dataloader_threads",
    "debug",
    "device_indexes",
    "enable_async",
    "fused_gradient",
    "gradient_reduce",
    "include_train_config",
    "only_cache",
    "optimizer_defaults",
    "output_",
    "prefetch",
    "prevent_overwrites",
    "rolling_backup",
    "sample",
    "save_",
    "secrets",
    "temp_device",
    "tensorboard",
    "train_device",
    "validat",
    "workspace_dir",
)

#: Parts of models; a configuration holds all of them, whatever is trained.
_PARTS = frozenset(
    {
        "unet",
        "prior",
        "transformer",
        "unconditional_transformer",
        "vae",
        "effnet_encoder",
        "decoder",
        "decoder_text_encoder",
        "decoder_vqgan",
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
        "text_encoder_4",
    }
)


def text(config: Config, family: Family | None) -> str | None:
    """The settings that are left as JSON, no paths in it; None when there are none.

    What is null or empty is left out, and so are the parts that the model does not have.
    """
    absent = () if family is None else tuple(_PARTS - _parts(config, family))
    rest = {
        name: value
        for name, value in config.settings.items()
        if name not in config.told and not name.startswith((*_IDLE, *absent))
    }
    kept = given(held(rest, "other_settings", config.problems))
    if not kept:
        return None
    return json.dumps(without_folders(kept, PATHS), ensure_ascii=False, separators=(",", ":"))


def _parts(config: Config, family: Family) -> set[str]:
    """The parts of the model; before there was a transformer it stood under `prior`."""
    denoiser = family.denoiser if family.denoiser in config.settings else "prior"
    return {denoiser, *family.encoder_names, "vae"}
