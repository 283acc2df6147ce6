"""What a starting recipe is made of: values, and how many LoRAs they rest on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.insight.distribution import Bin
from crawler.insight.suggest.settings import Setting
from crawler.store.stats.examples import Witness

#: From so many LoRAs on a quartile has five of them on its far side; with fewer, single LoRAs
#: decide, and the page says so.
ENOUGH = 20

#: Values told of a setting, and the most combinations and examples: what can be compared at a glance.
MAX_VALUES = 5


@dataclass(frozen=True, slots=True)
class Weighted:
    """A value, or a combination of values, and what stands behind it.

    Attributes:
        count: LoRAs with it.
        share: Their part of the weight of all that tell the setting, 0 to 1.
    """

    value: Any
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one setting.

    Attributes:
        given: The settings it depends on, with the values that were chosen for them.
        among: LoRAs that agree with `given`.
        count: Of these, LoRAs that tell this setting: what every figure here rests on.
        share: Their part of the weight, 0 to 1.
        chosen: For the recipe; None where most leave it out.
        values: The commonest first, at most MAX_VALUES.
        quartiles: By weight, of measures: values that are used, nothing in between; else None.
        histogram: LoRAs by ranges, of learning rates alone.
    """

    setting: Setting
    given: tuple[tuple[str, Any], ...]
    among: int
    count: int
    share: float
    chosen: Any
    values: tuple[Weighted, ...]
    quartiles: tuple[Any, Any, Any] | None
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A LoRA worth opening; `monthly` is its likes a month."""

    witness: Witness
    monthly: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A starting recipe and its grounds.

    Attributes:
        loras: LoRAs that it rests on.
        creators: How many people made them.
        weightless: LoRAs that were left out: nobody liked them, or they have no date.
        is_weighted: False where no LoRA has likes: then all of them weigh the same.
        half: The fewest LoRAs that have half of the weight.
        top_creator: Whoever has most of the weight, and their part of it; None without LoRAs.
        findings: By setting; without those that the recipe has no use for.
        combinations: Whole ones, in the order of COMBINED; the weightiest first.
        examples: The most liked a month, one of each creator.
    """

    loras: int
    creators: int
    weightless: int
    is_weighted: bool
    half: int
    top_creator: tuple[str | None, float] | None
    findings: Mapping[str, Finding]
    combinations: tuple[Weighted, ...]
    examples: tuple[Example, ...]

    @property
    def is_enough(self) -> bool:
        """Whether it rests on ENOUGH LoRAs."""
        return self.loras >= ENOUGH

    def chosen(self, name: str) -> Any:
        """The value of a setting in the recipe, None where it has none."""
        finding = self.findings.get(name)
        return None if finding is None else finding.chosen
