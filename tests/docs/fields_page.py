"""docs/fields.md is made from the registry: `python -m tests.docs.fields_page` writes it anew."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from crawler.query.fields import Field
from crawler.store.schema.fields import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"

_HEAD = """# Fields

Every column of `loras`, which is every name that `query` knows.
`lora-crawl fields` prints the same with the share of rows that have it.
A missing value is NULL: the file does not say it, or says what cannot be held.
In the second case a row in `problems` tells why.

*Default* is what sd-scripts takes when it is told nothing, *usual* is what people train with.
*Keys* are those of the metadata that a column is read from, behind the trainers that write them.
Others borrow those of `kohya`: `musubi-tuner`, `traintrain` and `merge-tool` many, the rest a few.
In a key a dot leads into the JSON that it holds, `[]` into each item of a list, `*` into all there is.
A column without keys follows from others, or is told by the site or by the tensors.
"""


def text() -> str:
    """The page as it must stand in docs/."""
    parts = [_HEAD]
    for group, fields in groupby(FIELDS, key=lambda field: field.group):
        listed = list(fields)
        columns = [*_COLUMNS, *(_NOTED if any(map(_is_noted, listed)) else ())]
        rows = [
            [title for title, _ in columns],
            ["---"] * len(columns),
            *([cell(field) for _, cell in columns] for field in listed),
        ]
        lines = [f"| {' | '.join(row)} |\n" for row in rows]
        parts += [f"\n## {group.capitalize()}\n\n", *lines]
    return "".join(parts)


def _is_noted(field: Field) -> bool:
    return bool(field.default or field.usual or field.keys)


def _keys(field: Field) -> str:
    pairs = [key.split(": ") for key in field.keys]
    by_trainer = groupby(sorted(pairs, key=lambda pair: pair[0] != "kohya"), lambda pair: pair[0])
    return "; ".join(
        f"{trainers}: {', '.join(f'`{key}`' for _, key in some)}" for trainers, some in by_trainer
    )


_COLUMNS: tuple[tuple[str, Callable[[Field], str]], ...] = (
    ("name", lambda field: f"`{field.name}`"),
    ("type", lambda field: field.kind.value),
    ("unit", lambda field: field.unit),
    ("meaning", lambda field: field.meaning),
)
_NOTED: tuple[tuple[str, Callable[[Field], str]], ...] = (
    ("default", lambda field: field.default),
    ("usual", lambda field: field.usual),
    ("keys", _keys),
)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
