"""A recipe in the making (options, tables, notes), and its text as TOML and a report."""

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import Item, Table

from crawler.decode.problems import UnreadableError
from crawler.model import Decoded, Recipe, Weights

#: Prefix of values that must be replaced before the recipe can be used, so that one search finds all.
PLACEHOLDER = "REPLACE_ME"

#: The value of an option: whatever TOML can hold, except tables.
Value = str | bool | int | float | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]

#: Makes a value of a metadata text; raises UnreadableError.
Reader = Callable[[Any], Value | None]


class Kind(StrEnum):
    """The kinds of notes, in the order of the report."""

    NOT_CARRIED = "not carried over"
    MISSING = "not recoverable"
    ASSUMED = "assumed"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report.

    Attributes:
        subject: The option of sd-scripts, or a topic in a word or two.
        text: May quote the file.
        otherwise: What sd-scripts does without the option; empty when nothing follows.
    """

    kind: Kind
    subject: str
    text: str
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One line of TOML.

    Attributes:
        remark: A comment after the value; may be empty.
    """

    name: str
    value: Value
    remark: str = ""


#: Options by which sd-scripts imports a module and calls it, and the values that are safe to use: its own
#: networks, LyCORIS, and the classes of known packages. An optimizer without a package is one of torch.
_IMPORTED = MappingProxyType({
    "network_module": re.compile(
        r"networks\.[a-z]\w*|lycoris\.(?:locon_)?kohya|locon\.locon_kohya", re.ASCII
    ),
    "optimizer_type": re.compile(
        r"(?:(?:torch\.optim|bitsandbytes\.optim|transformers\.optimization|lion_pytorch|prodigyopt|"
        r"prodigyplus|dadaptation|schedulefree|came_pytorch|pytorch_optimizer|adv_optm|"
        r"LoraEasyCustomOptimizer)(?:\.\w+)*\.)?[A-Za-z]\w*", re.ASCII
    ),
})  # fmt: skip


def is_safe(option: Option) -> bool:
    """Whether the option imports no unknown module; others are written as comments."""
    known = _IMPORTED.get(option.name)
    return known is None or known.fullmatch(str(option.value)) is not None


@dataclass(frozen=True, slots=True)
class Section:
    """Related options of config.toml.

    Attributes:
        title: A comment above them; sd-scripts knows no sections.
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
    """A recipe that is ready to be written.

    Attributes:
        script: The script of sd-scripts that trains this kind of LoRA; empty if it has none.
        base: The base model as a value of `architecture`, or as the trainer names it.
        steps: Planned optimizer steps of the whole run; None when unknown.
        epochs: Planned epochs of the whole run; None when unknown.
        config: Sections of config.toml.
        datasets: Datasets of dataset.toml, at least one.
        notes: What is missing, assumed or contradictory, in this order.
    """

    script: str
    base: str
    steps: int | None
    epochs: int | None
    config: tuple[Section, ...]
    datasets: tuple[DatasetTable, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A recipe in the making: the decoded file, and the notes so far."""

    decoded: Decoded
    notes: list[Note] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        """The recipe from the metadata."""
        return self.decoded.recipe

    @property
    def weights(self) -> Weights:
        """The facts from the tensors."""
        return self.decoded.weights

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of the header, unchanged."""
        return self.decoded.header.metadata or {}

    def missing(self, subject: str, text: str, otherwise: str = "") -> None:
        """Note what cannot be recovered, and what sd-scripts does instead."""
        self.notes.append(Note(Kind.MISSING, subject, text, otherwise))

    def assumed(self, subject: str, text: str) -> None:
        """Note what is assumed; of several notes on a subject only the first one is kept."""
        self._note_once(Note(Kind.ASSUMED, subject, text))

    def conflict(self, subject: str, text: str) -> None:
        """Note what is left out or contradictory."""
        self.notes.append(Note(Kind.CONFLICT, subject, text))

    def conflict_once(self, subject: str, text: str) -> None:
        """Note a conflict that thousands of folders may share: only the first one is kept."""
        self._note_once(Note(Kind.CONFLICT, subject, text))

    def columns(self, *names: str) -> list[Option]:
        """Columns of `Recipe` that have a value, as options of the same name."""
        values = ((name, getattr(self.recipe, name)) for name in names)
        return [Option(name, value) for name, value in values if value is not None]

    def read(self, option: str, reader: Reader, raw: Any) -> list[Option]:
        """The option; none if the value is missing or unreadable. An unreadable value is noted."""
        try:
            value = reader(raw)
        except UnreadableError as error:
            self.conflict_once(option, f"left out: {error.detail}")
            return []
        return [] if value is None else [Option(option, value)]

    def _note_once(self, note: Note) -> None:
        if all((one.kind, one.subject) != (note.kind, note.subject) for one in self.notes):
            self.notes.append(note)


def placeholder(name: str) -> str:
    """A path that the user must replace. It ends in the last part of `name`, because only that is known."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{PLACEHOLDER}/{last}" if last else PLACEHOLDER


#: Width of the report, in characters.
_WIDTH = 79

#: Characters that TOML forbids in a comment; line ends are among them.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f]")

#: The last code point that `\\uNNNN` can write.
_LAST_PLANE_0 = 0xFFFF

#: Longest list on one line, in characters of its items.
_ONE_LINE = 60


def config_text(recipe: Export, source: str) -> str:
    """config.toml, headed by the training command.

    Args:
        recipe: The recipe to write.
        source: The source of the recipe, in words; may quote the file.
    """
    command = f"accelerate launch {recipe.script} --config_file config.toml"
    head = (
        f"Made by lora-crawl from {source}.",
        f"Train with sd-scripts: {command}"
        if recipe.script
        else "sd-scripts has no script for this base model.",
        f"Replace every value that starts with {PLACEHOLDER} first.",
    )
    document = tomlkit.document()
    for line in head:
        document.add(tomlkit.comment(comment(line)))
    for section in recipe.config:
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(comment(section.title)))
        _add(document, section.options)
    return escaped(tomlkit.dumps(document))


def dataset_text(recipe: Export) -> str:
    """dataset.toml."""
    document = tomlkit.document()
    listed = tomlkit.aot()
    for dataset in recipe.datasets:
        table = tomlkit.table()
        _add(table, dataset.options)
        subsets = tomlkit.aot()
        for options in dataset.subsets:
            subset = tomlkit.table()
            _add(subset, options)
            subsets.append(subset)
        table.append("subsets", subsets)
        listed.append(table)
    document.append("datasets", listed)
    return escaped(tomlkit.dumps(document))


def report_text(notes: Iterable[Note]) -> str:
    """The notes, which are sorted by their kind, under a heading for each kind."""
    sections = []
    for kind, some in groupby(notes, lambda note: note.kind):
        lines = [kind.value]
        for note in some:
            said = "; ".join(filter(None, (note.text, note.otherwise)))
            lines += textwrap.wrap(
                comment(f"{note.subject}: {said}"),
                width=_WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        sections.append("".join(f"{line}\n" for line in lines))
    return "\n".join(sections)


def escaped(text: str) -> str:
    r"""Lines of TOML or YAML in which every character that cannot be seen is escaped, like `\u202e`.

    Both write such escapes alike. The characters occur in quoted strings and in comments only.
    """
    return "".join(one if one.isprintable() or one == "\n" else _escape(one) for one in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _LAST_PLANE_0 else f"\\U{code:08x}"


def comment(text: str) -> str:
    r"""The text on one line, fit for a comment, with escapes such as `\u000a`."""
    return _FORBIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _add(table: Container | Table, options: Iterable[Option]) -> None:
    for option in options:
        value = option.value
        if isinstance(value, tuple):
            items = tomlkit.array()
            items.extend(value)
            item: Item = items.multiline(sum(len(str(one)) for one in value) > _ONE_LINE)
        else:
            item = tomlkit.item(value)
        if option.remark:
            item.comment(comment(option.remark))
        if is_safe(option):
            table.append(option.name, item)
        else:
            table.add(tomlkit.comment(comment(f"{option.name} = {item.as_string()}")))
