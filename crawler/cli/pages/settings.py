"""The settings of one LoRA, group by group, only what is there."""

from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.cli.output.cells import cell, in_short, is_number, listed, number, rounded, second
from crawler.cli.output.safe import visible
from crawler.cli.pages import layout
from crawler.cli.pages.lora_view import HEADER_FIELDS, Sheet, Usual
from crawler.query.fields import Field

#: Headings of the groups of `loras`, in the order of the page.
HEADINGS = {
    "trainer": "Trainer",
    "network": "Network",
    "rates": "Learning rates and optimizer",
    "length": "Length",
    "data": "Images",
    "loss and noise": "Loss and noise",
    "machine": "Machine and base model",
    "time": "Time",
    "effort": "Effort",
    "tensors": "What the tensors say",
}

#: Units that a number alone does not suggest.
_UNITS_SHOWN = {"px", "s", "MP"}

#: Numbers that count nothing: no thousands, no median.
IDENTIFIERS = {"seed"}

#: Quotients and clock times, whose last digits mean nothing; so do those of the group `effort`.
_MEASURED = {"mean_repeats", "resolution", "training_seconds"}

#: Shown by the page in another way.
_ELSEWHERE = {"other_settings", "text_encoder_lrs"}

#: What says nothing new when it equals another setting.
_TOLD_BY = {
    "effective_unet_lr": "unet_lr",
    "effective_text_encoder_lr": "text_encoder_lr",
    "resolution_width": "resolution",
    "resolution_height": "resolution",
    "tensor_rank_min": "tensor_rank",
    "tensor_rank_max": "tensor_rank",
}

#: What stands beside the numbers, said once, with the base model and how many files tell anything.
_BESIDE = (
    "Beside a number: its percentile among the LoRAs that tell it, their median and middle half"
    " ({}: at most {} of {} files)."
)

#: Cells of a value that has something beside it, and of what others have.
_CELLS = (14, 34)

#: Cells of a value where there are no others.
_ALONE = (20, 0)

#: Medians from here on are told in short: they would not fit their cells.
_IN_SHORT = 1e6

#: From this width on, in cells, the meaning of every setting stands beside it.
_ROOM_FOR_MEANINGS = 130


def print_settings(console: Console, sheet: Sheet) -> None:
    """Every group that has something to show; beside a number what others of the base model have."""
    compared = [sheet.usual[each.name] for each in HEADER_FIELDS if each.name in sheet.usual]
    if compared:
        layout.blank(console)
        telling = max(usual.count for usual in compared)
        text = _BESIDE.format(sheet.compared_with, number(telling), number(sheet.compared_files))
        layout.paragraph(console, text, style="dim")
    said = bool(compared)
    for group, text in HEADINGS.items():
        filled = [each for each in HEADER_FIELDS if each.group == group and _is_shown(each, sheet)]
        if not filled:
            continue
        remark = ""
        if said and any(each.name in sheet.usual for each in filled):
            remark = _usual_cells("pct", "median", "middle half")
            said = False
        layout.heading(console, text, remark, at=layout.INDENT + layout.NAME_CELLS + _CELLS[0])
        for each in filled:
            _print_setting(console, each, sheet)


def _is_shown(each: Field, sheet: Sheet) -> bool:
    value = sheet[each.name]
    if value is None or each.name in _ELSEWHERE:
        return each.name == "text_encoder_lrs" and value is not None and len(value) > 1
    told_by = _TOLD_BY.get(each.name)
    return told_by is None or value != sheet[told_by]


def _print_setting(console: Console, each: Field, sheet: Sheet) -> None:
    value = told(each, sheet[each.name])
    usual = sheet.usual.get(each.name) if each.name not in IDENTIFIERS else None
    cells = _CELLS if sheet.usual else _ALONE
    room = min(cells[0] if usual else sum(cells), console.width - layout.INDENT - layout.NAME_CELLS)
    if cell_len(visible(value)) >= room:
        layout.setting(console, each.name, value)
        return
    meaning = each.meaning if console.width >= _ROOM_FOR_MEANINGS else ""
    layout.columns(
        console,
        each.name,
        Text(visible(value), style=_style(sheet[each.name], usual)),
        Text(_usually(usual, sheet[each.name]), style="dim"),
        Text(meaning, style="dim"),
        cells=cells,
    )


def told(each: Field, value: Any) -> str:
    """A value for a person: thousands separated, yes or no, an object as `name value`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value) and each.name not in IDENTIFIERS:
        measured = each.group == "effort" or each.name in _MEASURED
        shown = rounded(value, 4) if measured else number(value)
        return f"{shown} {each.unit}" if each.unit in _UNITS_SHOWN else shown
    match value:
        case datetime():
            return second(value)
        case dict():
            return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
        case list() | tuple():
            return listed([_plain(item) for item in value])
        case _:
            return cell(value)


def _plain(value: Any) -> str:
    return number(value) if is_number(value) else cell(value) or "null"


def _usually(usual: Usual | None, value: Any) -> str:
    if usual is None:
        return ""
    rank = usual.rank(value) if is_number(value) else None
    half = f"{in_short(usual.quartile1)} to {in_short(usual.quartile3)}"
    return _usual_cells(
        "" if rank is None else str(rank),
        rounded(usual.median, 4) if abs(usual.median) < _IN_SHORT else in_short(usual.median),
        "" if usual.quartile1 == usual.quartile3 else half,
    )


def _usual_cells(rank: str, median: str, half: str) -> str:
    return f"{rank:>3}   {median:<8}  {half}".rstrip()


def _style(value: Any, usual: Usual | None) -> str:
    """A number outside the middle half of its kind stands out."""
    if usual is None or not is_number(value):
        return ""
    return "" if usual.quartile1 <= value <= usual.quartile3 else "yellow"
