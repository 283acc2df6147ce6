"""What a LoRA was trained on: folders, sizes and tags."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from crawler.cli.output.words import count, number
from crawler.cli.pages import layout
from crawler.cli.pages.lora_view import Sheet

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
    _print_rest(console, len(sheet.directories) - _MOST_FOLDERS, "folder")


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
    _print_rest(console, len(rows) - _MOST_SIZES, "size")


def _print_tags(console: Console, sheet: Sheet) -> None:
    tags: Counter[str] = Counter()
    for counts in sheet.tags.values():
        tags.update(counts)
    if not tags:
        return
    layout.heading(console, f"Tags of the captions ({number(len(tags))})")
    rows = sorted(tags.items(), key=lambda row: (-row[1], row[0]))
    layout.bars(console, rows[:_MOST_TAGS], name_cells=_TAG_CELLS)
    _print_rest(console, len(rows) - _MOST_TAGS, "tag")


def _print_rest(console: Console, more: int, noun: str) -> None:
    if more > 0:
        layout.paragraph(
            console, f"and {count(more, f'more {noun}')}", indent=layout.INDENT, style="dim"
        )
