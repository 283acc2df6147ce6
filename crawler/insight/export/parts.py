"""What a recipe for sd-scripts is made of: options, tables, and notes on what they rest on."""

from dataclasses import dataclass
from enum import StrEnum

#: What begins so is no value: it must be replaced before the recipe can be used. The same word
#: everywhere, so that one search finds them all.
PLACEHOLDER = "REPLACE_ME"

#: What sd-scripts takes for an option: everything that TOML writes, but no table.
Value = str | bool | int | float | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


class Kind(StrEnum):
    """What a note says of a setting."""

    MISSING = "not recoverable"
    ASSUMED = "assumed"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report.

    Attributes:
        subject: The option of sd-scripts concerned, or what it is about in a word or two.
        text: In words; may quote the file.
    """

    kind: Kind
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Option:
    """One line of TOML.

    Attributes:
        remark: Stands behind the value as a comment; may be empty.
    """

    name: str
    value: Value
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Options of config.toml that belong together.

    Attributes:
        title: Stands above them as a comment; sd-scripts knows no sections.
    """

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """One `[[datasets]]` of dataset.toml, with at least one `[[datasets.subsets]]`."""

    options: tuple[Option, ...]
    subsets: tuple[tuple[Option, ...], ...]


@dataclass(frozen=True, slots=True)
class Export:
    """A recipe, ready to be written.

    Attributes:
        script: The script of sd-scripts that trains this kind of LoRA; empty where it has none.
        config: What belongs into config.toml.
        datasets: What belongs into dataset.toml; at least one.
        notes: What is missing, assumed or contradictory, in this order.
    """

    script: str
    config: tuple[Section, ...]
    datasets: tuple[DatasetTable, ...]
    notes: tuple[Note, ...]


def placeholder(name: str) -> str:
    """A path that must be replaced, ending in the only part of it that is known."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{PLACEHOLDER}/{last}" if last else PLACEHOLDER
