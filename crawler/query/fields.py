"""A queryable name."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The types of values, as `fields` shows them.

    NUMBER is a 64-bit float, TIME an instant in UTC, LIST a JSON array of texts or numbers,
    OBJECT a JSON object.
    """

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "true/false"
    TIME = "time"
    LIST = "list"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Field:
    """One column of `loras`.

    Attributes:
        group: The heading under which `fields` lists it.
        meaning: One sentence without a full stop.
        unit: `px`, `s`, `bytes` …, empty where there is none.
        default: What sd-scripts takes when it is told nothing; empty where nothing is to be said.
        usual: What people train with; empty where nothing is usual.
        keys: Those of the metadata that feed it, each behind the trainers that write it
            (`kohya: ss_network_dim`); empty for what no key says.
    """

    name: str
    kind: Kind
    group: str
    meaning: str
    unit: str = ""
    default: str = ""
    usual: str = ""
    keys: tuple[str, ...] = ()


#: No column: the caption tags stand in a table of their own, and only `has()` asks for them.
TAGS = Field("tags", Kind.LIST, "data", "caption tags, only in has(tags, '1girl')")
