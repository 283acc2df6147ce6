"""sd-scripts by kohya-ss, its forks and graphical front ends, and Civitai's own trainer."""

from collections.abc import Mapping

from crawler.decode.dialect_result import Reading
from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.model import Trainer

#: Keys that only other trainers write, although they borrow sd-scripts' names: ai-toolkit,
#: OneTrainer (twice), musubi-tuner, SimpleTuner.
FOREIGN_KEYS = frozenset(
    {
        "software",
        "ot_branch",
        "ot_revision",
        "ss_num_train_items",
        "lora_adapter_metadata",
    }
)

#: Any of these sets of keys is written by sd-scripts alone. The commit is there since 2023-02-13;
#: before that the count of images is (musubi-tuner calls it otherwise); `--no_metadata` keeps
#: `ss_v2`, which musubi-tuner does not know.
_SIGNS = (
    frozenset({"ss_sd_scripts_commit_hash"}),
    frozenset({"ss_network_module", "ss_num_train_images"}),
    frozenset({"ss_network_module", "ss_v2"}),
)


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether sd-scripts trained this; asked behind those that use its names and say so."""
    if not FOREIGN_KEYS.isdisjoint(metadata):
        return False
    return any(sign <= metadata.keys() for sign in _SIGNS)


def read(metadata: Mapping[str, str]) -> Reading:
    """Every key of sd-scripts."""
    return kohya_keys.read(metadata, Trainer.KOHYA)
