"""A recipe as text: two TOML files and a report.

tomlkit writes strings in double quotes on one line, so that a caller may escape any character in
them. Comments hold no character that TOML forbids there.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

import tomlkit
from tomlkit.container import Container
from tomlkit.items import Item, Table

from crawler.insight.export.parts import PLACEHOLDER, Export, Option

#: Width of the report, in characters.
_WIDTH = 79

#: Characters that TOML forbids in a comment; line ends are among them.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f]")

#: Longest list on one line, in characters of its items.
_ONE_LINE = 60


def config_text(recipe: Export, source: str) -> str:
    """config.toml, headed by the training command.

    Args:
        recipe: The recipe to write.
        source: What it was made from, in words; may quote the file.
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
    return tomlkit.dumps(document)


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
    return tomlkit.dumps(document)


def report_text(recipe: Export) -> str:
    """The notes under a heading for each kind: missing, assumed, contradictory."""
    return "".join(f"{line}\n" for line in _report(recipe))


def comment(text: str) -> str:
    r"""The text on one line, fit for a comment, with escapes such as `\u000a`."""
    return _FORBIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _report(recipe: Export) -> Iterator[str]:
    for number, (kind, notes) in enumerate(groupby(recipe.notes, lambda note: note.kind)):
        if number:
            yield ""
        yield kind.value
        for note in notes:
            yield from textwrap.wrap(
                comment(f"{note.subject}: {note.text}"),
                width=_WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            )


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
        table.append(option.name, item)
