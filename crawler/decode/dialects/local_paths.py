"""Paths on the disk of whoever trained: private, so no column holds more than their last part."""

import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean

#: How a path begins that can only be one: a drive, a share, a root, the home, here, above.
_LOCAL = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|/|~[\\/]|\.{1,2}[\\/]|file:/+)[^\\/]")

#: A repository of the Hugging Face Hub, `owner/name`; with a file's ending it is a path.
_HUB = re.compile(r"[\w.-]{1,96}/(?!.*\.(?:safetensors|ckpt|pt|bin|gguf)$)[\w.-]{1,96}")


def is_local(text: str) -> bool:
    """Whether the text is a path beyond doubt."""
    return _LOCAL.match(text) is not None


def base_name(path: str) -> str:
    """The last part of a path of any system; the text itself when it has no folders."""
    return re.split(r"[\\/]", path.rstrip("\\/ "))[-1]


def model_name(value: object) -> str | None:
    """A model's name as sd-scripts would write it: a Hub id as it is, of a path the last part.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    text = clean.string(value)
    if text is None or (_HUB.fullmatch(text) and not is_local(text)):
        return text
    return base_name(text) or None


def without_folders(value: Any, names: frozenset[str]) -> Any:
    """The same JSON value with only the last part of every path in it.

    Args:
        value: Not nested deeper than `clean.MAX_DEPTH`, as `reading.held` gives it.
        names: Fields whose text is a path however it begins.
    """
    if isinstance(value, Mapping):
        return {
            key: base_name(item)
            if key in names and isinstance(item, str)
            else without_folders(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_folders(item, names) for item in value]
    return base_name(value) if isinstance(value, str) and is_local(value) else value
