"""The whole page of one LoRA, from its title to what nobody has a name for."""

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from crawler.cli.output.table import print_line
from crawler.cli.output.words import count, instant, number, size
from crawler.cli.pages import layout
from crawler.cli.pages.images import print_images
from crawler.cli.pages.lora_view import Sheet
from crawler.cli.pages.prose import sentences
from crawler.cli.pages.refusal import advice
from crawler.cli.pages.settings import print_settings
from crawler.decode.problems import CONTRADICTED
from crawler.model import Outcome

#: Rows of the lists at the end of the page; the rest is counted, and is in `--json`.
_MOST_PROBLEMS, _MOST_OTHERS = 20, 30

#: Cells of the longest metadata key that is shown whole, and of the gap behind it.
_MOST_NAME_CELLS = 42

#: Trigger words and site tags shown on the page.
_MOST_WORDS = 20

_READ = {Outcome.DECODED.value, Outcome.NO_METADATA.value}


def print_page(console: Console, sheet: Sheet) -> None:
    """Print everything that is worth a person's look, and only what is there."""
    layout.paragraph(console, sheet.title, style="bold")
    _print_origin(console, sheet)
    if sheet["outcome"] not in _READ:
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
