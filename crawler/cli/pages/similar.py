"""The page of the LoRAs that are most like one."""

from collections.abc import Sequence

from rich.console import Console

from crawler.answers.lora import LoraView
from crawler.answers.settings import spoken_value
from crawler.answers.text import count, share
from crawler.cli.pages import layout
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.similar import Similar, differing

#: Shared tags that are named; `--json` has all.
_MOST_TAGS = 12


def print_similar(console: Console, view: LoraView, found: Sequence[Similar]) -> None:
    """Print each LoRA, and below it how its settings differ, or which tags both have."""
    layout.paragraph(console, f"Most like {view.title}", style="bold")
    for one in found:
        row = one.row
        parts = (
            f"{row['model_name'] or row['file_name']}",
            row["creator"] and f"by {row['creator']}",
            row["base_model"],
            None if row["likes"] is None else count(row["likes"], "like"),
        )
        layout.blank(console)
        title = " · ".join(filter(None, parts))
        layout.paragraph(
            console, f"{share(one.similarity):>4}  {row['file_id']}  {title}", hanging=6
        )
        layout.paragraph(console, _remark(view, one), indent=6, style="dim")


def _remark(view: LoraView, one: Similar) -> str:
    if one.shared:
        some = ", ".join(one.shared[:_MOST_TAGS])
        more = len(one.shared) - _MOST_TAGS
        return f"both have {some}" + (f" and {count(more, 'more tag')}" if more > 0 else "")
    texts = (
        f"{name} {'unset' if (theirs := one.row[name]) is None else spoken_value(BY_NAME[name], theirs)}"
        for name in differing(view.row, one.row)
    )
    return ", ".join(texts) or "the same settings"
