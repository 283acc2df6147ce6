"""The settings of a LoRA as text, and their order."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crawler.answers.lora import HEADER_FIELDS, LoraView, Usual
from crawler.answers.text import (
    cell,
    count,
    day,
    duration,
    figure,
    instant,
    is_number,
    listed,
    number,
)
from crawler.query.fields import Field
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.field_stats import Age

if TYPE_CHECKING:
    from crawler.insight.distribution import Bin

#: Headings of the groups of `loras`, in the order of the page.
HEADINGS = {
    "network": "Network",
    "rates": "Learning rates and optimizer",
    "length": "Length",
    "data": "Images",
    "loss and noise": "Loss and noise",
    "machine": "Machine and base model",
    "time": "Time",
    "effort": "Effort",
    "trainer": "Trainer",
    "tensors": "Tensors",
}

#: Units that the name of a field does not suggest.
UNITS_SHOWN = {"px", "s", "MP"}

#: Numbers that are no amounts: they have no median.
IDENTIFIERS = {"seed"}

#: Fields that add nothing when they equal another one.
SAME_AS = {
    "effective_unet_lr": "unet_lr",
    "effective_text_encoder_lr": "text_encoder_lr",
    "resolution_width": "resolution",
    "resolution_height": "resolution",
    "tensor_rank_min": "tensor_rank",
    "tensor_rank_max": "tensor_rank",
}


def as_of(age: Age | None) -> str:
    """The day of the statistics, and how many files have changed since."""
    if age is None or age.made_at is None:
        return ""
    since = f"; {count(age.changed, 'file')} changed since" if age.changed else ""
    return f", as of {day(age.made_at)}{since}"


def comparison(view: LoraView) -> str:
    """With what the numbers of a LoRA are compared; empty if with nothing."""
    reports = [view.usual[each.name].count for each in HEADER_FIELDS if each.name in view.usual]
    if not reports:
        return ""
    files = f"up to {number(max(reports))} of {number(view.compared_files)} files"
    text = (
        "percentile, median and interquartile range (IQR) among LoRAs that report the field"
        f" ({view.compared_with}: {files}{as_of(view.usual_age)})."
    )
    if view.told_by:
        text += f" {view.compared_with} is a guess, to judge by {view.told_by}."
    return text


def in_groups(view: LoraView) -> Iterator[tuple[str, list[Field]]]:
    """The headings of a page, each with the fields that it lists; without those that have none."""
    for group, heading in HEADINGS.items():
        filled = [each for each in HEADER_FIELDS if each.group == group and is_shown(each, view)]
        if filled:
            yield heading, filled


def usual_of(each: Field, view: LoraView) -> Usual | None:
    """With what the value of a field is compared; None if with nothing."""
    return None if each.name in IDENTIFIERS else view.usual.get(each.name)


def is_shown(each: Field, view: LoraView) -> bool:
    """Whether a page of this LoRA lists the field: it has a value, and one that no other field gives."""
    value = view[each.name]
    if value is None or each.name == "other_settings":  # which the page lists at its end
        return False
    if each.name == "text_encoder_lrs":  # the first one is text_encoder_lr
        return len(value) > 1
    return each.name not in SAME_AS or value != view[SAME_AS[each.name]]


def spoken(name: str, value: Any) -> str:
    """A value of a column as text, or of an entry of one: `network_args.conv_dim`."""
    if (known := BY_NAME.get(name)) is not None:
        return spoken_value(known, value)
    if isinstance(value, list | tuple):
        return ", ".join(spoken("", item) for item in value)
    return number(value) if is_number(value) else cell(value)


def spoken_value(each: Field, value: Any) -> str:
    """A value as text: a number with its unit, yes or no, an object as `name value`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        shown = figure(value, each)
        return f"{shown} {each.unit}" if each.unit in UNITS_SHOWN else shown
    match value:
        case datetime():
            return instant(value)
        case dict():
            return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
        case list() | tuple():
            return listed([_plain(item) for item in value])
        case _:
            return cell(value)


def statistic(each: Field, value: float | None) -> str:
    """A statistic with its unit, where the name of the field does not suggest it; empty for None."""
    if value is None:
        return ""
    if each.name == "training_seconds" and value >= 1:
        return duration(value)
    shown = figure(value, each, is_statistic=True)
    return f"{shown} {each.unit}" if each.unit in UNITS_SHOWN else shown


def ends(each: Field, low: float, high: float) -> tuple[str, str]:
    """The two numbers of a range; a unit that both have comes after the last one."""
    first, last = statistic(each, low), statistic(each, high)
    unit = last.partition(" ")[2]
    return first.removesuffix(f" {unit}") if unit else first, last


def bin_label(each: Field, one: "Bin") -> str:
    """The range of values of a bar, as text."""
    if one.low is None:
        return f"under {statistic(each, one.high)}"
    if one.high is None:
        return f"{statistic(each, one.low)} or more"
    if one.low == one.high:
        return statistic(each, one.low)
    return " to ".join(ends(each, one.low, one.high))


def _plain(value: Any) -> str:
    return number(value) if is_number(value) else cell(value) or "null"
