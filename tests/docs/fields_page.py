"""docs/fields.md is made from the registry: `python -m tests.docs.fields_page` writes it anew."""

from itertools import groupby
from pathlib import Path

from crawler.store.fields import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"

_HEAD = """# Fields

Every column of `loras`, which is every name that `query` knows.
`lora-crawl fields` prints the same with the share of rows that have it.
A missing value is NULL: the file does not say it, or says what cannot be held.
In the second case a row in `problems` tells why.
"""


def text() -> str:
    """The page as it must stand in docs/."""
    parts = [_HEAD]
    for group, fields in groupby(FIELDS, key=lambda field: field.group):
        rows = [
            f"| `{field.name}` | {field.kind.value} | {field.unit} | {field.meaning} |"
            for field in fields
        ]
        parts.append(
            f"\n## {group.capitalize()}\n\n| name | type | unit | meaning |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
