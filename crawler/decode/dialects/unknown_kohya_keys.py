"""Files of an unknown trainer that have keys of sd-scripts."""

from collections.abc import Mapping

from crawler.decode.dialect_result import DialectResult
from crawler.decode.dialects.kohya import keys as kohya_keys


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether any key has the prefix of sd-scripts."""
    return any(key.startswith("ss_") for key in metadata)


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the known keys; the trainer stays None."""
    return kohya_keys.read(metadata, None)
