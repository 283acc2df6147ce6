"""Paths on the user's disk. They are private, so columns hold only their last part."""

import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean

#: Starts that only paths have: a drive, a share, the root, home, `.` or `..`, a file URL.
_LOCAL = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|/|~[\\/]|\.{1,2}[\\/]|file:/+)[^\\/]")

#: A repository on the Hugging Face Hub, `owner/name`; with the suffix of a file it is a path.
_HUB = re.compile(r"[\w.-]{1,96}/(?!.*\.(?:safetensors|ckpt|pt|bin|gguf)$)[\w.-]{1,96}")


def is_local(text: str) -> bool:
    """Whether the text is certainly a path."""
    return _LOCAL.match(text) is not None


def base_name(path: str) -> str:
    """The last part of a path on any system; the whole text when it has no folders."""
    return re.split(r"[\\/]", path.rstrip("\\/ "))[-1]


def model_name(value: object) -> str | None:
    """The name of a model: a Hub id as it is, or the last part of a path.

    Raises:
        UnreadableError: `not_text` or `too_long`.
    """
    text = clean.string(value)
    if text is None or (_HUB.fullmatch(text) and not is_local(text)):
        return text
    return base_name(text) or None


def without_folders(value: Any, names: frozenset[str]) -> Any:
    """The same JSON value, with every path in it cut to its last part.

    Args:
        value: Nested at most `clean.MAX_DEPTH` deep, as `held` returns it.
        names: Fields whose text is always a path.
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
