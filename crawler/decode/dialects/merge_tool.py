"""Tools that merge, extract, split or resize LoRAs, recognised by their own keys.

- sd-scripts `merge_lora`, `sdxl_merge_lora`, `svd_merge_lora`, `flux_merge_lora`: the six keys of
  MINIMUM, and `modelspec.merged_from` unless `--no_metadata` is given. A rank that differs between
  layers is `Dynamic`. `svd_merge_lora` writes `conv_dim` as a number, training always as text.
- `extract_lora_from_models` and its relatives: the same six keys with `{}` as arguments; training
  writes no arguments when there are none. Those of kohya_ss write `N/A` as the number of images, or
  the rank as `ss_network_rank`.
- `resize_lora`, `extract_lora_from_dylora`: a comment. A file that still has the keys of its trainer
  belongs to that trainer, with the former rank in `original_dim`.
- Others name what they merged or extracted: keys that `_MADE` describes. Many of them copy the keys of
  the first LoRA: SuperMerger, soups of checkpoints.
"""

import re
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

#: Keys that name the sources of a file or their shares, or that say how it was made: `sshs_ratio` and
#: `sshs_cp0` of SuperMerger, `sd_merge_models` of A1111, `ss_soup_ingredients`, `ss_extracted_from`,
#: `loramancer_extracted`, `fizgig_extraction`, `model_spec.base_lora` of SD.Next.
_MADE = re.compile(
    r"sshs_(?:ratio|blocks|cp[0-9]+)|model_spec\.base_lora|(?:.*[._])?(?:"
    r"merged?_(?:from|loras?|models?|params|ratios?|recipe|sources?|weights)|"
    r"soup_ingredients|mecha_recipe|supermerger_\w+|"
    r"extracted(?:_from|_base)?|extraction(?:_blocks)?)"
)

#: Keys that kohya_ss writes into an extracted LoHa.
_EXTRACTED = frozenset({"ss_network_rank", "ss_comment"})

#: Every training writes one of these keys.
_TRAINED = frozenset(
    {
        "ss_num_train_images", "ss_num_train_items", "ss_sd_scripts_commit_hash",
        "ss_learning_rate", "ss_steps", "ss_max_train_steps",
    }
)  # fmt: skip

#: Keys that describe the file itself. All others are those of the first LoRA that was merged.
_OWN = MINIMUM | {
    "ss_network_rank", "ss_base_model_name", "ss_output_name",
    "ss_sd_model_name", "ss_sd_model_hash", "ss_new_sd_model_hash",
}  # fmt: skip


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether one of these tools certainly made the file."""
    given = clean.given(metadata)
    made = any(_MADE.fullmatch(key) and given[key].casefold() != "false" for key in given)
    if made or given.keys() >= _EXTRACTED:
        return True
    if not FOREIGN_KEYS.isdisjoint(given) or not _TRAINED.isdisjoint(given):
        return False
    return (
        "ss_network_rank" in given
        or "ss_num_train_images" in metadata
        or _is_resized(given)
        or _is_made(metadata)
    )


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the few keys that such tools share with sd-scripts, and none of a training.

    Without arguments the module does not give the algorithm: merge tools keep or invent it.
    """
    own = {key: value for key, value in metadata.items() if key in _OWN}
    if _is_resized(metadata):
        own["ss_training_comment"] = metadata["ss_training_comment"]
    reading = kohya_keys.read(own, Trainer.MERGE_TOOL)
    unknown = dict.fromkeys(["network_dropout"])  # extracting tools write one all the same
    if not isinstance(_args(metadata), dict):
        unknown["network_algo"] = None
    return replace(reading, values={**reading.values, **unknown})


def _is_resized(metadata: Mapping[str, str]) -> bool:
    """Whether a comment names a former rank, and no key of a base model exists."""
    former_rank, _ = split_comment(metadata.get("ss_training_comment"))
    return "ss_v2" not in metadata and former_rank is not None


def _is_made(metadata: Mapping[str, str]) -> bool:
    """Whether all keys describe a network, in a form that training does not write."""
    if "ss_network_module" not in metadata:
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
