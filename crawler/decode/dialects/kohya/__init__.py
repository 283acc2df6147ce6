"""sd-scripts by kohya-ss, its forks and graphical front ends, and Civitai's own trainer."""

from collections.abc import Mapping

from crawler.decode.dialect_result import DialectResult
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.model import Trainer

#: Keys of other trainers that also write sd-scripts' keys: ai-toolkit, OneTrainer (two),
#: musubi-tuner, SimpleTuner.
FOREIGN_KEYS = frozenset(
    {"software", "ot_branch", "ot_revision", "ss_num_train_items", "lora_adapter_metadata"}
)

#: Sets of keys that only sd-scripts writes. The commit is recorded since 2023-02-13, the number of
#: images before that (musubi-tuner uses another name). `--no_metadata` keeps `ss_v2`, which
#: musubi-tuner does not have.
_SIGNS = (
    frozenset({"ss_sd_scripts_commit_hash"}),
    frozenset({"ss_network_module", "ss_num_train_images"}),
    frozenset({"ss_network_module", "ss_v2"}),
)


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether sd-scripts trained the file."""
    if not FOREIGN_KEYS.isdisjoint(metadata):
        return False
    return any(sign <= metadata.keys() for sign in _SIGNS)


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read every key of sd-scripts."""
    return kohya_keys.read(metadata, Trainer.KOHYA)
