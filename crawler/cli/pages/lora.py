"""The whole page of one LoRA, from its title to what nobody has a name for."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import count, instant, number, size
from crawler.cli.output.table import print_line
from crawler.cli.pages import layout
from crawler.cli.pages.lora_view import Sheet
from crawler.cli.pages.prose import sentences
from crawler.cli.pages.settings import print_settings
from crawler.decode.problems import CONTRADICTED
from crawler.model import Outcome
from crawler.model.outcome import READ

#: What the outcome means and what can be done, for every outcome without a header.
_ADVICE = {
    Outcome.PENDING: "Its header was not read yet; `lora-crawl sync` goes on with what is pending.",
    Outcome.NOT_SAFETENSORS: "Only safetensors files say in front how they were trained.",
    Outcome.BAD_HEADER: "A program that loads LoRAs would refuse the file too; "
    "the bytes that were read are kept.",
    Outcome.LOGIN_REQUIRED: "The site gives this file to known users only: "
    "`lora-crawl login` keeps an API key.",
    Outcome.EARLY_ACCESS: "Until early access ends the file is for those who paid for it.",
    Outcome.DOWNLOADS_DISABLED: "Its creator allows no downloads, so nothing can be read.",
    Outcome.FORBIDDEN: "This API key has no access to the file.",
    Outcome.NOT_FOUND: "The site lists the file and does not have it; "
    "`lora-crawl sync --retry-failed` asks again.",
    Outcome.ARCHIVED: "The site has put the file away.",
    Outcome.FAILED: "`lora-crawl sync --retry-failed` asks again.",
}


def advice(outcome: str | None, *, local: bool) -> str:
    """One or two sentences for a person; empty for a file that was read.

    Args:
        outcome: As in the column of that name.
        local: The file was named by its path or URL: no `sync` will ever come to it.
    """
    if outcome is None or outcome not in {each.value for each in _ADVICE}:
        return ""
    if local and outcome not in {Outcome.NOT_SAFETENSORS, Outcome.LOGIN_REQUIRED}:
        return ""
    return _ADVICE[Outcome(outcome)]


#: Rows of each list; what is left out is counted below it, and is in `--json`.
_MOST_TAGS, _MOST_SIZES, _MOST_FOLDERS = 20, 12, 12

#: Cells of the longest tag that is shown whole.
_TAG_CELLS = 36


def print_images(console: Console, sheet: Sheet) -> None:
    """The folders, the sizes by bucket, and the tags by frequency, as far as they are known."""
    _print_folders(console, sheet)
    _print_sizes(console, sheet)
    _print_tags(console, sheet)


def _print_folders(console: Console, sheet: Sheet) -> None:
    if not sheet.directories:
        return
    layout.heading(console, "Folders")
    for directory in sheet.directories[:_MOST_FOLDERS]:
        layout.setting(console, str(directory.get("name") or "(no name)"), _folder(directory))
    _print_more(console, len(sheet.directories) - _MOST_FOLDERS, "folder")


def _folder(directory: Mapping[str, Any]) -> str:
    images, repeats = directory.get("image_count"), directory.get("repeats")
    parts = []
    if images is not None:
        parts.append(count(images, "image"))
    if repeats is not None:
        parts.append(f"repeated {count(repeats, 'time')}" if repeats != 1 else "used once an epoch")
    if directory.get("is_reg"):
        parts.append("for regularisation")
    if words := directory.get("class_tokens"):
        parts.append(f"class “{words}”")
    return ", ".join(parts) or "nothing more is known"


def _print_sizes(console: Console, sheet: Sheet) -> None:
    sizes: Counter[str] = Counter()
    for dataset in sheet.datasets:
        for bucket in dataset.get("buckets") or ():
            match bucket:
                case {"resolution": [int(width), int(height)], "count": int(amount)}:
                    sizes[f"{width} × {height}"] += amount  # noqa: RUF001 -- the sign for sizes
    if not sizes:
        return
    layout.heading(console, "Sizes of the images, repeats included")
    rows = sorted(sizes.items(), key=lambda row: (-row[1], row[0]))
    layout.bars(console, rows[:_MOST_SIZES], name_cells=_TAG_CELLS)
    _print_more(console, len(rows) - _MOST_SIZES, "size")


def _print_tags(console: Console, sheet: Sheet) -> None:
    tags: Counter[str] = Counter()
    for counts in sheet.tags.values():
        tags.update(counts)
    if not tags:
        return
    layout.heading(console, f"Tags of the captions ({number(len(tags))})")
    rows = sorted(tags.items(), key=lambda row: (-row[1], row[0]))
    layout.bars(console, rows[:_MOST_TAGS], name_cells=_TAG_CELLS)
    _print_more(console, len(rows) - _MOST_TAGS, "tag")


def _print_more(console: Console, more: int, noun: str) -> None:
    if more > 0:
        layout.paragraph(
            console, f"and {count(more, f'more {noun}')}", indent=layout.INDENT, style="dim"
        )


#: Rows of the lists at the end of the page; the rest is counted, and is in `--json`.
_MOST_PROBLEMS, _MOST_OTHERS = 20, 30

#: Cells of the longest metadata key that is shown whole, and of the gap behind it.
_MOST_NAME_CELLS = 42

#: Trigger words and site tags shown on the page.
_MOST_WORDS = 20


def print_page(console: Console, sheet: Sheet) -> None:
    """Print everything that is worth a person's look, and only what is there."""
    layout.paragraph(console, sheet.title, style="bold")
    _print_origin(console, sheet)
    if sheet["outcome"] not in READ:
        _print_refusal(console, sheet)
        return
    layout.blank(console)
    told = sentences(sheet.row)
    for text in told:
        layout.paragraph(console, text)
    if sheet["outcome"] == Outcome.NO_METADATA:
        layout.paragraph(console, "The header says nothing of the training.")
    elif not told:
        layout.paragraph(console, "The header says little of the training.")
    print_settings(console, sheet)
    for problem in sheet.problems:
        if problem.code == CONTRADICTED:
            text = f"! {problem.detail}"
            layout.paragraph(console, text, indent=layout.INDENT, hanging=2, style="yellow")
    print_images(console, sheet)
    _print_problems(console, sheet)
    _print_others(console, sheet)


def _print_origin(console: Console, sheet: Sheet) -> None:
    if url := sheet["page_url"]:
        layout.paragraph(console, url)
    for parts in (_kind(sheet), _file(sheet)):
        if parts:
            layout.paragraph(console, " · ".join(parts))
    for name, label in (("trained_words", "trigger words"), ("model_tags", "site tags")):
        if words := sheet[name]:
            more = (
                f" and {number(len(words) - _MOST_WORDS)} more" if len(words) > _MOST_WORDS else ""
            )
            text = ", ".join(str(word) for word in words[:_MOST_WORDS])
            layout.paragraph(console, f"{label}: {text}{more}", hanging=layout.INDENT)
    if gone := sheet["gone_at"]:
        local = sheet["site"] == "local"
        missed = "not on this machine any more" if local else "not listed by the site any more"
        text = f"{missed} since {_day(gone)}"
        layout.paragraph(console, text, style="yellow")


def _kind(sheet: Sheet) -> list[str]:
    parts = [str(sheet[name]) for name in ("base_model", "model_type") if sheet[name]]
    if creator := sheet["creator"]:
        parts.append(f"by {creator}")
    if published := sheet["published_at"]:
        parts.append(f"published {_day(published)}")
    if (downloads := sheet["downloads"]) is not None:
        parts.append(count(downloads, "download"))
    if (likes := sheet["likes"]) is not None:
        parts.append(count(likes, "like"))
    return parts


def _file(sheet: Sheet) -> list[str]:
    parts = []
    if (file_id := sheet["file_id"]) is not None:
        parts.append(f"file {file_id}")
    if name := sheet["file_name"]:
        parts.append(str(name))
    if (length := sheet["size_bytes"]) is not None:
        parts.append(size(length))
    if autov2 := sheet["autov2"]:
        parts.append(f"AutoV2 {autov2}")
    return parts


def _day(moment: Any) -> str:
    return instant(moment)[:10] if isinstance(moment, datetime) else str(moment)


def _print_refusal(console: Console, sheet: Sheet) -> None:
    layout.blank(console)
    outcome = str(sheet["outcome"])
    reason = f": {sheet['reason']}" if sheet["reason"] else ""
    layout.paragraph(console, f"{outcome}{reason}", hanging=layout.INDENT, style="yellow")
    if until := sheet["early_access_until"]:
        layout.paragraph(console, f"Early access ends on {instant(until)} UTC.")
    if due := sheet["next_try_at"]:
        layout.paragraph(console, f"Not asked for again before {instant(due)} UTC.")
    local = sheet["file_id"] is None or sheet["site"] == "local"
    if text := advice(outcome, local=local):
        layout.paragraph(console, text)


def _print_problems(console: Console, sheet: Sheet) -> None:
    unread = [problem for problem in sheet.problems if problem.code != CONTRADICTED]
    if not unread:
        return
    layout.heading(console, f"Problems ({number(len(unread))})")
    for problem in unread[:_MOST_PROBLEMS]:
        text = f"{problem.field}: {problem.detail} ({problem.code})"
        layout.paragraph(console, text, indent=layout.INDENT, hanging=layout.INDENT)
    _print_rest(console, len(unread) - _MOST_PROBLEMS)


def _print_others(console: Console, sheet: Sheet) -> None:
    others = sheet["other_settings"]
    if not isinstance(others, dict) or not others:
        return
    layout.heading(console, f"Further metadata ({number(len(others))})")
    rows = sorted((str(name), str(value)) for name, value in others.items())[:_MOST_OTHERS]
    longest = max(len(name) for name, _ in rows)
    cells = min(max(longest + layout.INDENT, layout.NAME_CELLS), _MOST_NAME_CELLS)
    for name, value in rows:
        layout.setting(console, name, value, name_cells=cells)
    _print_rest(console, len(others) - _MOST_OTHERS)


def _print_rest(console: Console, more: int) -> None:
    if more > 0:
        line = Text(f"{' ' * layout.INDENT}and {number(more)} more: --json has all", style="dim")
        print_line(console, line)
