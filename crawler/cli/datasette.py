"""The settings with which Datasette shows a database: descriptions, facets and canned queries.

The same file serves Datasette 0.65 as `--metadata`, and 1.0 as `--metadata` and `--config`.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

#: A question of docs/questions.md, and the first command below it.
_QUESTION = re.compile(r"^### (.+)\n\n```sh\nlora-crawl (.+)$", re.MULTILINE)

#: Columns with few values, whose counts help to find rows.
_FACETS = {
    "loras": ("base_model", "outcome", "trainer", "network_algo", "optimizer"),
    "models": ("type",),
    "versions": ("base_model",),
    "directories": ("is_reg",),
    "problems": ("code",),
    "lora_problems": ("code", "trainer"),
    "field_stats": ("base_model",),
}

#: The column that stands for a row where another table refers to it.
_LABELS = {"loras": "model_name", "models": "name", "versions": "name", "tags": "name"}

#: Tables that only the program uses.
_HIDDEN = ("alembic_version", "cursors", "walk_models")

#: Units that Datasette knows and shows well; it would show 1,024 px as 1.024 kpx.
_UNITS = {"bytes": "B"}


def datasette_yaml(database: str) -> str:
    """A datasette.yaml for the database that Datasette shows under this name."""
    settings = {
        "title": "lora-crawl",
        "description": "How LoRAs were trained, read from their headers",
        "databases": {json.dumps(database): {"tables": _tables(), "queries": _queries()}},
    }
    return "".join(f"{line}\n" for line in _lines(settings))


def _tables() -> dict[str, dict[str, Any]]:
    from crawler.store.schema.columns import commented
    from crawler.store.schema.views import notes

    tables: dict[str, dict[str, Any]] = {}
    for note in notes():
        name, column = note["table_name"], note["column_name"]
        if not column:
            tables[name] = {"description": note["meaning"], "columns": {}}
            if name in _FACETS:
                tables[name]["facets"] = list(_FACETS[name])
            if name in _LABELS:
                tables[name]["label_column"] = _LABELS[name]
            continue
        tables[name]["columns"][column] = commented(note["meaning"], note["unit"])
        if unit := _UNITS.get(note["unit"]):
            tables[name].setdefault("units", {})[column] = unit
    for name in _HIDDEN:
        tables.setdefault(name, {})["hidden"] = True
    return tables


def _queries() -> dict[str, dict[str, str]]:
    """The questions that one statement answers: those with the commands `query` and `sql`."""
    found = {}
    for title, line in _QUESTION.findall(_questions()):
        command, *words = shlex.split(line)
        if command in ("query", "sql"):
            statement = _statement(words) if command == "query" else words[0]
            name = "-".join(re.findall(r"\w+", title.lower()))
            found[name] = {"title": title, "sql": statement.removesuffix(";")}
    return found


def _questions() -> str:
    """docs/questions.md: inside the installed package, or beside it in a checkout."""
    package = files("crawler")
    inside = package / "questions.md"
    page = inside if inside.is_file() else package / ".." / "docs" / "questions.md"
    return page.read_text(encoding="utf-8")


def _statement(words: list[str]) -> str:
    """What `query --sql` with these words prints for SQLite."""
    from crawler.answers.asked import asked_by
    from crawler.cli.app import load
    from crawler.store.read.search import statement_on

    given = load("query").make_context("query", words).params
    names = ("expr", "columns", "sort", "limit", "offset", "count", "group_by")
    return statement_on("sqlite", asked_by(**{name: given[name] for name in names}))


def _lines(settings: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """YAML: blocks for mappings and long texts, JSON for everything else."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, str) and "\n" in value:
            yield f"{indent}{key}: |-"
            yield from (f"{indent}  {line.rstrip()}" for line in value.splitlines())
        else:
            yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"
