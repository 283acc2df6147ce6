"""Tools that merge, extract, split or resize LoRAs, recognised by their own keys.

- sd-scripts `merge_lora`, `sdxl_merge_lora`, `svd_merge_lora`, `flux_merge_lora`: the six keys of
  MINIMUM, and `modelspec.merged_from` unless `--no_metadata` is given. A rank that differs between
  layers is `Dynamic`. `svd_merge_lora` writes `conv_dim` as a number, training always as text.
- `extract_lora_from_models` and its relatives: the same six keys with `{}` as arguments; training
  writes no arguments when there are none.
- `resize_lora`, `extract_lora_from_dylora`: a comment. A file that still has the keys of its trainer
  belongs to that trainer, with the former rank in `original_dim`.
- SuperMerger: the keys of the first LoRA with `sshs_ratio` and `sshs_blocks`, or SUPERMERGER alone.
- Tools that merge checkpoints, such as A1111: `sd_merge_models`, `sd_merge_recipe`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult
from crawler.decode.dialects.kohya import FOREIGN_KEYS
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.kohya.network import split_comment
from crawler.decode.embedded_json import read_json
from crawler.decode.problems import UnreadableError
from crawler.model import Trainer

#: Keys of sd-scripts in a file that was not trained, or trained with `--no_metadata`.
MINIMUM = frozenset(
    {
        "ss_v2", "ss_base_model_version",
        "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args",
    }
)  # fmt: skip

#: Keys that SuperMerger writes when it makes new metadata.
SUPERMERGER = frozenset(
    {*MINIMUM, "ss_sd_model_name", "ss_output_name", "ss_mixed_precision"} - {"ss_network_args"}
)

#: Keys that only merge tools write.
_MERGED = frozenset({"sshs_ratio", "sshs_blocks", "sd_merge_models", "sd_merge_recipe"})

#: Every training by sd-scripts writes one of these keys.
_TRAINED = frozenset({"ss_num_train_images", "ss_sd_scripts_commit_hash"})


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether one of these tools certainly made the file."""
    if metadata.get("modelspec.merged_from", "") not in clean.ABSENT:
        return True
    if not _MERGED.isdisjoint(metadata):
        return True
    if not FOREIGN_KEYS.isdisjoint(metadata):
        return False
    return _is_resized(metadata) or _is_made(metadata)


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the few keys that such tools share with sd-scripts.

    The module does not give the algorithm: merge tools keep or invent it and drop its arguments.
    Only an extracted file is certain to be a `networks.lora` without arguments.
    """
    reading = kohya_keys.read(metadata, Trainer.MERGE_TOOL)
    if _args(metadata) == {}:
        return reading
    return replace(reading, values={**reading.values, "network_algo": None})


def _is_resized(metadata: Mapping[str, str]) -> bool:
    """Whether a comment names a former rank, and no keys of a training or a base model exist."""
    trained = not _TRAINED.isdisjoint(metadata) or "ss_v2" in metadata
    former_rank, _ = split_comment(metadata.get("ss_training_comment"))
    return not trained and former_rank is not None


def _is_made(metadata: Mapping[str, str]) -> bool:
    """Whether all keys describe a network, in a form that training does not write."""
    if "ss_network_module" not in metadata or not _TRAINED.isdisjoint(metadata):
        return False
    keys = {key for key in metadata if key.startswith("ss_")}
    if "ss_mixed_precision" in keys:
        return keys <= SUPERMERGER
    args = _args(metadata)
    if args == {}:
        return keys <= MINIMUM | {"ss_training_comment"}
    return keys <= MINIMUM and (
        metadata.get("ss_network_dim") == "Dynamic"
        or metadata.get("ss_v2") == "None"
        or (isinstance(args, dict) and isinstance(args.get("conv_dim"), int))
    )


def _args(metadata: Mapping[str, str]) -> Any:
    """The arguments of the network, of any type; None when they cannot be read."""
    try:
        return read_json(metadata.get("ss_network_args", "null"))
    except UnreadableError:
        return None
