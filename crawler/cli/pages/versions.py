"""The page of the versions of a model."""

from collections.abc import Sequence

from rich.console import Console

from crawler.answers.diff import shown
from crawler.answers.prose import refusal
from crawler.answers.settings import spoken_value
from crawler.answers.versions import MAIN, Version
from crawler.cli.output.table import dash, has_blocks
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
        layout.heading(console, version.title)
        if row["outcome"] not in READ:
            why, *_ = refusal(row)
            layout.paragraph(console, why, indent=layout.INDENT, style="yellow")
        elif changes is None:
            for name in MAIN:
                if row[name] is not None:
                    layout.setting(console, name, spoken_value(BY_NAME[name], row[name]))
        elif not changes:
            layout.paragraph(console, "no setting changed", indent=layout.INDENT, style="dim")
        for one in changes or ():
            before, now = (shown(one, value) or dash(console) for value in one.values)
            arrow = "→" if has_blocks(console) else "->"
            layout.setting(console, one.name, f"{before} {arrow} {now}")
