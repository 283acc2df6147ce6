"""docs/fields.md is made from the registry. `python -m tests.docs.fields_page` writes it again."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from crawler.query.fields import SHORT_NAMES, Field
from crawler.store.schema.fields import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"

_HEAD = """# Fields

Every column of `loras`. These are all the names that `query` knows.
`lora-crawl fields` prints the same list, with the share of rows that have a value.
A missing value is NULL: the file does not contain it, or contains something that cannot be stored.
In the second case a row in `problems` gives the reason.

Some have a short name that `query` takes too: {short_names}.

*Default* is what sd-scripts uses if the option is not given; *usual* is what people train with.
*Keys* are the metadata keys that the column is read from, after the trainers that write them.
Other trainers write some keys of `kohya` too: `musubi-tuner`, `traintrain` and merge tools many of them.
In a key, a dot leads into its JSON, `[]` into each item of a list, `*` into each folder or layer.
A column without keys comes from the site or the tensors, or is computed from other columns.
"""


def text() -> str:
    """The text that docs/fields.md must have."""
    short_names = [f"`{short}` for `{name}`" for short, name in SHORT_NAMES.items()]
    parts = [_HEAD.format(short_names=", ".join(short_names))]
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
