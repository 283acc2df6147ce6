"""The page of one LoRA: its training in sentences, then every setting, and what it was trained on."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from crawler.answers.lora import LoraView, caption_tags, folders, image_sizes
from crawler.answers.prose import folder, gone, origin, refusal, training, words
from crawler.answers.text import number
from crawler.cli.pages import layout
from crawler.cli.pages.settings import print_settings
from crawler.decode.problems import CONTRADICTED
from crawler.model.outcome import READ

#: Rows of each list; `--json` has all.
_MOST_TAGS, _MOST_SIZES, _MOST_FOLDERS, _MOST_PROBLEMS, _MOST_OTHERS = 20, 12, 12, 20, 30

#: Cells of the longest tag, and of the longest metadata key with the gap after it.
_TAG_CELLS, _KEY_CELLS = 36, 42


def print_lora(console: Console, view: LoraView) -> None:
    """Print the known facts about a LoRA."""
    layout.paragraph(console, view.title, style="bold")
    _print_origin(console, view)
    layout.blank(console)
    if view["outcome"] not in READ:
        why, *more = refusal(view.row)
        layout.paragraph(console, why, hanging=layout.INDENT, style="yellow")
        for text in more:
            layout.paragraph(console, text)
        return
    for text in training(view.row):
        layout.paragraph(console, text)
    print_settings(console, view)
    for problem in view.problems:
        if problem.code == CONTRADICTED:
            text = f"! {problem.detail}"
            layout.paragraph(console, text, indent=layout.INDENT, hanging=2, style="yellow")
    named = [(name, folder(each)) for name, each in folders(view)]
    _print_list(console, "Folders", named, _MOST_FOLDERS)
    _print_bars(console, "Image sizes, including repeats", image_sizes(view), _MOST_SIZES)
    tags = caption_tags(view)
    _print_bars(console, f"Caption tags ({number(len(tags))})", tags, _MOST_TAGS)
    _print_problems(console, view)
    if isinstance(others := view["other_settings"], dict):
        rows = sorted((str(name), str(value)) for name, value in others.items())
        _print_list(console, f"Other metadata ({number(len(rows))})", rows, _MOST_OTHERS)


def _print_origin(console: Console, view: LoraView) -> None:
    if url := view["page_url"]:
        layout.paragraph(console, url)
    for text in origin(view.row):
        layout.paragraph(console, text)
    for label, text in words(view.row).items():
        layout.paragraph(console, f"{label}: {text}", hanging=layout.INDENT)
    if text := gone(view.row):
        layout.paragraph(console, text, style="yellow")


def _print_problems(console: Console, view: LoraView) -> None:
    problems = [problem for problem in view.problems if problem.code != CONTRADICTED]
    if not problems:
        return
    layout.heading(console, f"Problems ({number(len(problems))})")
    for problem in problems[:_MOST_PROBLEMS]:
        text = f"{problem.field}: {problem.detail} ({problem.code})"
        layout.paragraph(console, text, indent=layout.INDENT, hanging=layout.INDENT)
    _print_more(console, len(problems) - _MOST_PROBLEMS)


def _print_list(console: Console, heading: str, rows: Sequence[tuple[str, str]], most: int) -> None:
    if not rows:
        return
    layout.heading(console, heading)
    longest = max(len(name) for name, _ in rows[:most])
    cells = min(max(longest + layout.INDENT, layout.NAME_CELLS), _KEY_CELLS)
    for name, value in rows[:most]:
        layout.setting(console, name, value, name_cells=cells)
    _print_more(console, len(rows) - most)


def _print_bars(console: Console, heading: str, counts: Mapping[str, int], most: int) -> None:
    if not counts:
        return
    layout.heading(console, heading)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    layout.bars(console, rows[:most], name_cells=_TAG_CELLS)
    _print_more(console, len(rows) - most)


def _print_more(console: Console, more: int) -> None:
    if more > 0:
        text = f"and {number(more)} more: --json has all"
        layout.paragraph(console, text, indent=layout.INDENT, style="dim")
