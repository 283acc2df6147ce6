"""The page of the versions of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from crawler.answers.settings import spoken_value
from crawler.answers.text import day
from crawler.answers.versions import MAIN, Version
from crawler.answers.visible import visible
from crawler.cli.output.table import dash, has_blocks, said
from crawler.cli.pages import layout
from crawler.model.outcome import READ
from crawler.store.schema.fields import BY_NAME


def print_versions(console: Console, versions: Sequence[Version]) -> None:
    """Print each version, and what changed since the one before it that was read."""
    newest = versions[-1].row
    names = (newest["model_name"] or newest["file_name"], newest["creator"])
    layout.paragraph(console, " by ".join(filter(None, names)), style="bold")
    layout.paragraph(console, newest["page_url"] or "")
    for version in versions:
        row, changes = version.row, version.changes
        _print_version(console, row)
        if row["outcome"] not in READ:
            reason = f": {row['reason']}" if row["reason"] else ""
            text = f"{row['outcome']}{reason}"
            layout.paragraph(console, text, indent=layout.INDENT, style="yellow")
        elif changes is None:
            for name in MAIN:
                if row[name] is not None:
                    layout.setting(console, name, spoken_value(BY_NAME[name], row[name]))
        elif not changes:
            layout.paragraph(console, "no setting changed", indent=layout.INDENT, style="dim")
        for one in changes or ():
            before, now = (_shown(console, one.name, value) for value in one.values)
            arrow = "→" if has_blocks(console) else "->"
            layout.setting(console, one.name, f"{before} {arrow} {now}")


def _print_version(console: Console, row: Mapping[str, Any]) -> None:
    published = row["published_at"]
    parts = (
        row["version_name"] or f"version {row['version_id']}",
        None if published is None else day(published),
        row["base_model"],
        f"file {row['file_id']}",
    )
    layout.heading(console, " · ".join(filter(None, parts)))


def _shown(console: Console, name: str, value: Any) -> str:
    if value is None:
        return dash(console)
    field = BY_NAME.get(name)
    return visible(said(value, name) if field is None else spoken_value(field, value))
