"""Files of unknown origin that borrow sd-scripts' names: typed alike, the trainer left open."""

from collections.abc import Mapping

from crawler.decode.dialect_result import Reading
from crawler.decode.dialects.kohya import keys as kohya_keys


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether any key begins the way those of sd-scripts do."""
    return any(key.startswith("ss_") for key in metadata)


def read(metadata: Mapping[str, str]) -> Reading:
    """What the known keys say, without a trainer."""
    return kohya_keys.read(metadata, None)
