"""Tools that merge, split or resize LoRAs, where nothing is left of the trainer's own keys."""

from collections.abc import Mapping

from crawler.decode.dialects import kohya_keys
from crawler.decode.dialects.kohya import FOREIGN_KEYS
from crawler.decode.dialects.kohya_network import RESIZED
from crawler.decode.reading import Reading

TRAINER = "merge-tool"


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the file names its sources, or is a resized one without a word about the training."""
    if "modelspec.merged_from" in metadata:
        return True
    comment = metadata.get("ss_training_comment", "")
    return FOREIGN_KEYS.isdisjoint(metadata) and RESIZED.match(comment) is not None


def read(metadata: Mapping[str, str]) -> Reading:
    """The few keys that such tools write under sd-scripts' names."""
    return kohya_keys.read(metadata, TRAINER)
