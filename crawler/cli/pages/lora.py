"""The page of one LoRA: its training in sentences, then every setting, and what it was trained on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from crawler.answers.lora import LoraView
from crawler.answers.outcomes import REMEDIES
from crawler.answers.prose import sentences
from crawler.answers.text import count, day, instant, number, size
from crawler.cli.pages import layout
from crawler.cli.pages.settings import print_settings
from crawler.decode.problems import CONTRADICTED
from crawler.model import Outcome
from crawler.model.outcome import READ

#: Rows of each list; `--json` has all.
_MOST_TAGS, _MOST_SIZES, _MOST_FOLDERS, _MOST_PROBLEMS, _MOST_OTHERS = 20, 12, 12, 20, 30

#: Trigger words and site tags that are shown.
_MOST_WORDS = 20

#: Cells of the longest tag, and of the longest metadata key with the gap after it.
_TAG_CELLS, _KEY_CELLS = 36, 42


def print_lora(console: Console, view: LoraView) -> None:
    """Print the known facts about a LoRA."""
    layout.paragraph(console, view.title, style="bold")
    _print_origin(console, view)
    layout.blank(console)
    if view["outcome"] not in READ:
        _print_refusal(console, view)
        return
    prose = sentences(view.row)
    for text in prose:
        layout.paragraph(console, text)
    if view["outcome"] == Outcome.NO_METADATA:
        layout.paragraph(console, "The header contains no training metadata.")
    elif not prose:
        layout.paragraph(console, "The header contains little training metadata.")
    print_settings(console, view)
    for problem in view.problems:
        if problem.code == CONTRADICTED:
            text = f"! {problem.detail}"
            layout.paragraph(console, text, indent=layout.INDENT, hanging=2, style="yellow")
    folders = [(str(each.get("name") or "(no name)"), _folder(each)) for each in view.directories]
    _print_list(console, "Folders", folders, _MOST_FOLDERS)
    _print_bars(console, "Image sizes, including repeats", _sizes(view), _MOST_SIZES)
    tags: Counter[str] = Counter()
    for counts in view.tags.values():
        tags.update(counts)
    _print_bars(console, f"Caption tags ({number(len(tags))})", tags, _MOST_TAGS)
    _print_problems(console, view)
    if isinstance(others := view["other_settings"], dict):
        rows = sorted((str(name), str(value)) for name, value in others.items())
        _print_list(console, f"Other metadata ({number(len(rows))})", rows, _MOST_OTHERS)


def _print_origin(console: Console, view: LoraView) -> None:
    if url := view["page_url"]:
        layout.paragraph(console, url)
    creator, published, autov2 = view["creator"], view["published_at"], view["autov2"]
    file_id, length = view["file_id"], view["size_bytes"]
    model = (
        view["base_model"],
        view["model_type"],
        creator and f"by {creator}",
        published and f"published {day(published)}",
        None if view["downloads"] is None else count(view["downloads"], "download"),
        None if view["likes"] is None else count(view["likes"], "like"),
    )
    file = (
        None if file_id is None else f"file {file_id}",
        view["file_name"],
        None if length is None else size(length),
        autov2 and f"AutoV2 {autov2}",
    )
    for parts in (model, file):
        if text := " · ".join(filter(None, parts)):
            layout.paragraph(console, text)
    for name, label in (("trained_words", "trigger words"), ("model_tags", "site tags")):
        if words := view[name]:
            text = ", ".join(str(word) for word in words[:_MOST_WORDS])
            if (more := len(words) - _MOST_WORDS) > 0:
                text += f" and {number(more)} more"
            layout.paragraph(console, f"{label}: {text}", hanging=layout.INDENT)
    if gone := view["gone_at"]:
        place = "on this machine" if view["site"] == "local" else "listed by the site"
        layout.paragraph(console, f"no longer {place} since {day(gone)}", style="yellow")


def _print_refusal(console: Console, view: LoraView) -> None:
    """Print why there is no header, and for a file from the site what can be done."""
    outcome = str(view["outcome"])
    reason = f": {view['reason']}" if view["reason"] else ""
    layout.paragraph(console, f"{outcome}{reason}", hanging=layout.INDENT, style="yellow")
    if until := view["early_access_until"]:
        layout.paragraph(console, f"Early access ends on {instant(until)} UTC.")
    if due := view["next_try_at"]:
        layout.paragraph(console, f"The next try is after {instant(due)} UTC.")
    if view["file_id"] is not None and view["site"] != "local":
        remedy = REMEDIES[outcome]
        layout.paragraph(console, f"{remedy[0].upper()}{remedy[1:]}.")


def _folder(directory: Mapping[str, Any]) -> str:
    amounts = ((directory.get("image_count"), "image"), (directory.get("repeats"), "repeat"))
    parts = [count(amount, noun) for amount, noun in amounts if amount is not None]
    if directory.get("is_reg"):
        parts.append("for regularisation")
    if words := directory.get("class_tokens"):
        parts.append(f"class “{words}”")
    return ", ".join(parts) or "nothing else known"


def _sizes(view: LoraView) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for dataset in view.datasets:
        for bucket in dataset.get("buckets") or ():
            match bucket:
                case {"resolution": [int(width), int(height)], "count": int(amount)}:
                    sizes[f"{width} × {height}"] += amount  # noqa: RUF001 - the sign for sizes
    return sizes


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
