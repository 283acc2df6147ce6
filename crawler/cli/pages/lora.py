"""The page of one LoRA."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console

from crawler.cli.output.cells import count, instant, number, size
from crawler.cli.output.outcomes import REMEDIES
from crawler.cli.pages import layout
from crawler.cli.pages.lora_view import LoraView
from crawler.cli.pages.prose import sentences
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
    _print_folders(console, view)
    _print_sizes(console, view)
    _print_tags(console, view)
    _print_problems(console, view)
    _print_others(console, view)


def _print_origin(console: Console, view: LoraView) -> None:
    if url := view["page_url"]:
        layout.paragraph(console, url)
    for parts in (_model(view), _file(view)):
        if parts:
            layout.paragraph(console, " · ".join(parts))
    for name, label in (("trained_words", "trigger words"), ("model_tags", "site tags")):
        if words := view[name]:
            text = ", ".join(str(word) for word in words[:_MOST_WORDS])
            if (more := len(words) - _MOST_WORDS) > 0:
                text += f" and {number(more)} more"
            layout.paragraph(console, f"{label}: {text}", hanging=layout.INDENT)
    if gone := view["gone_at"]:
        place = "on this machine" if view["site"] == "local" else "listed by the site"
        layout.paragraph(console, f"no longer {place} since {_day(gone)}", style="yellow")


def _model(view: LoraView) -> list[str]:
    parts = [str(view[name]) for name in ("base_model", "model_type") if view[name]]
    if creator := view["creator"]:
        parts.append(f"by {creator}")
    if published := view["published_at"]:
        parts.append(f"published {_day(published)}")
    if (downloads := view["downloads"]) is not None:
        parts.append(count(downloads, "download"))
    if (likes := view["likes"]) is not None:
        parts.append(count(likes, "like"))
    return parts


def _file(view: LoraView) -> list[str]:
    parts = []
    if (file_id := view["file_id"]) is not None:
        parts.append(f"file {file_id}")
    if name := view["file_name"]:
        parts.append(str(name))
    if (length := view["size_bytes"]) is not None:
        parts.append(size(length))
    if autov2 := view["autov2"]:
        parts.append(f"AutoV2 {autov2}")
    return parts


def _day(moment: Any) -> str:
    return instant(moment)[:10] if isinstance(moment, datetime) else str(moment)


def _print_refusal(console: Console, view: LoraView) -> None:
    """Print why there is no header, and what to do. A sync never reads a local file or a URL."""
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


def _print_folders(console: Console, view: LoraView) -> None:
    rows = [(str(each.get("name") or "(no name)"), _folder(each)) for each in view.directories]
    _print_settings(console, "Folders", rows, _MOST_FOLDERS)


def _folder(directory: Mapping[str, Any]) -> str:
    images, repeats = directory.get("image_count"), directory.get("repeats")
    parts = []
    if images is not None:
        parts.append(count(images, "image"))
    if repeats is not None:
        parts.append(count(repeats, "repeat"))
    if directory.get("is_reg"):
        parts.append("for regularisation")
    if words := directory.get("class_tokens"):
        parts.append(f"class “{words}”")
    return ", ".join(parts) or "nothing else known"


def _print_sizes(console: Console, view: LoraView) -> None:
    sizes: Counter[str] = Counter()
    for dataset in view.datasets:
        for bucket in dataset.get("buckets") or ():
            match bucket:
                case {"resolution": [int(width), int(height)], "count": int(amount)}:
                    sizes[f"{width} × {height}"] += amount  # noqa: RUF001 - the sign for sizes
    _print_bars(console, "Image sizes, including repeats", sizes, _MOST_SIZES)


def _print_tags(console: Console, view: LoraView) -> None:
    tags: Counter[str] = Counter()
    for counts in view.tags.values():
        tags.update(counts)
    _print_bars(console, f"Caption tags ({number(len(tags))})", tags, _MOST_TAGS)


def _print_problems(console: Console, view: LoraView) -> None:
    problems = [problem for problem in view.problems if problem.code != CONTRADICTED]
    if not problems:
        return
    layout.heading(console, f"Problems ({number(len(problems))})")
    for problem in problems[:_MOST_PROBLEMS]:
        text = f"{problem.field}: {problem.detail} ({problem.code})"
        layout.paragraph(console, text, indent=layout.INDENT, hanging=layout.INDENT)
    _print_more(console, len(problems) - _MOST_PROBLEMS)


def _print_others(console: Console, view: LoraView) -> None:
    others = view["other_settings"]
    if isinstance(others, dict):
        rows = sorted((str(name), str(value)) for name, value in others.items())
        _print_settings(console, f"Other metadata ({number(len(rows))})", rows, _MOST_OTHERS)


def _print_settings(
    console: Console, heading: str, rows: Sequence[tuple[str, str]], most: int
) -> None:
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
