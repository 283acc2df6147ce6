"""LoRAs side by side: what they are, and in which settings they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from crawler.answers.lora import LoraView
from crawler.answers.settings import HEADINGS, spoken
from crawler.answers.text import cell, count, is_number, listed, number
from crawler.answers.visible import visible
from crawler.insight.diff import PARTS, Compared, Side, compare, differences, identity
from crawler.model.outcome import READ

#: Tags that are named of those that only one LoRA has; the JSON has all.
_MOST_TAGS = 12

#: The groups in the order of the page.
_GROUPS = ("", *HEADINGS, PARTS)


@dataclass(frozen=True, slots=True)
class Comparison:
    """LoRAs side by side.

    Attributes:
        titles: What they are called.
        names: What identifies each.
        every: All settings that any of them has.
        differing: Those that differ, without what tells runs apart.
        unread: For each whose header was not read, its number and why.
    """

    titles: tuple[str, ...]
    names: tuple[Compared, ...]
    every: tuple[Compared, ...]
    differing: tuple[Compared, ...]
    unread: tuple[tuple[int, str], ...]

    @property
    def hides_some(self) -> bool:
        """Whether any of them differs in something that `differing` leaves out."""
        return len(self.differing) < sum(one.differs for one in self.every)


def comparison(views: Sequence[LoraView]) -> Comparison:
    """Two or more LoRAs side by side."""
    sides = [
        Side(row=view.row, datasets=view.datasets, directories=view.directories, tags=view.tags)
        for view in views
    ]
    every = compare(sides)
    return Comparison(
        titles=tuple(view.title for view in views),
        names=identity(sides),
        every=every,
        differing=differences(every),
        unread=tuple(
            (at, f"{view['outcome']}: {view['reason']}" if view["reason"] else str(view["outcome"]))
            for at, view in enumerate(views)
            if view["outcome"] not in READ
        ),
    )


def in_groups(
    names: Sequence[Compared], settings: Sequence[Compared]
) -> Iterator[tuple[str, list[Compared]]]:
    """What identifies the LoRAs under an empty heading, then the settings group by group."""
    ordered = sorted((*names, *settings), key=lambda one: _GROUPS.index(one.group))
    for group, found in groupby(ordered, lambda one: one.group):
        yield HEADINGS.get(group) or group.capitalize(), list(found)


def shown(one: Compared, value: Any) -> str:
    """A value as text; empty for one that is not known."""
    if value is None:
        return ""
    return visible(_part(value) if one.group == PARTS else spoken(one.name, value))


def _part(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return number(value)
    if not isinstance(value, Mapping):
        return cell(value)
    if not value:
        return "none"
    named = [f"{tag} {number(amount)}" for tag, amount in list(value.items())[:_MOST_TAGS]]
    if len(value) <= _MOST_TAGS:
        return ", ".join(named)
    return listed([", ".join(named), count(len(value) - _MOST_TAGS, "more", "more")])
