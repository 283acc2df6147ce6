"""The page of the LoRAs that are most like one."""

from rich.console import Console

from crawler.answers.similar import Likeness, in_words
from crawler.answers.text import count, share
from crawler.cli.pages import layout


def print_similar(console: Console, made: Likeness) -> None:
    """Print each LoRA, and below it how its settings differ, or which tags both have."""
    layout.paragraph(console, f"Most like {made.view.title}", style="bold")
    for one in made.found:
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
        layout.paragraph(console, in_words(made.view, one), indent=6, style="dim")
