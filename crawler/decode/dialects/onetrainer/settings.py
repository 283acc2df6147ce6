"""OneTrainer's settings while they are read, and which of them hold paths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crawler.decode.dialect_result import take
from crawler.decode.kohya_json import object_or_empty
from crawler.model import Problem

T = TypeVar("T")

#: Fields whose text is a path on the disk of whoever trained.
PATHS = frozenset({"path", "prompt_path", "model_name", "lora_model_name", "base_model_name"})


def given(value: Any) -> Any:
    """The same JSON value without what is null or empty, and without the versions of its parts.

    Args:
        value: Not nested deeper than `clean.MAX_DEPTH`, as `reading.held` gives it.
    """
    if isinstance(value, Mapping):
        inner = {name: given(item) for name, item in value.items() if name != "__version"}
        return {name: item for name, item in inner.items() if item not in (None, "", {}, [])}
    return [given(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration while it is read.

    Attributes:
        settings: As in the JSON.
        problems: Gets what cannot be held.
        told: Gets the names of settings that a column has taken.
    """

    settings: Mapping[str, Any]
    problems: list[Problem]
    told: set[str] = field(default_factory=set)

    def read(self, name: str, reader: Callable[[Any], T | None], column: str) -> T | None:
        """A setting for a column; None when it is missing, null or cannot be held."""
        before = len(self.problems)
        value = take(reader, self.settings.get(name), column, self.problems)
        if len(self.problems) == before:
            self.told.add(name)
        return value

    def part(self, name: str) -> Mapping[str, Any]:
        """The settings of a part of the model; empty when it is missing."""
        if self.settings.get(name) is None:
            return {}
        return object_or_empty(self.settings[name], f"ot_config.{name}", self.problems)
