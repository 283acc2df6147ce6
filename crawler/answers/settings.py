"""The settings of a LoRA as text, and their order."""

from datetime import datetime
from typing import Any

from crawler.answers.lora import LoraView
from crawler.answers.text import cell, count, day, figure, instant, is_number, listed, number
from crawler.query.fields import Field
from crawler.store.stats.field_stats import Age

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


def is_shown(each: Field, view: LoraView) -> bool:
    """Whether a page of this LoRA lists the field: it has a value, and one that no other field gives."""
    value = view[each.name]
    if value is None or each.name == "other_settings":  # which the page lists at its end
        return False
    if each.name == "text_encoder_lrs":  # the first one is text_encoder_lr
        return len(value) > 1
    return each.name not in SAME_AS or value != view[SAME_AS[each.name]]


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


def _plain(value: Any) -> str:
    return number(value) if is_number(value) else cell(value) or "null"
