"""Choose the settings of a starting recipe from well-liked LoRAs of one kind, and write it as files.

The weight of a LoRA is its likes per month, so that its age does not matter. A setting gets the value
with the largest weight, or the weighted median. Dependent settings are chosen together: learning rates
come from LoRAs with the chosen optimizer. The chosen settings are then exported as if a single file had
them all: the export decides where each option goes, which options a script accepts, and where a
placeholder is needed.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from crawler.errors import UsageError
from crawler.insight.distribution import bins, scale
from crawler.insight.export.draft import DatasetTable, Export, Kind, Option
from crawler.insight.export.recipe import export
from crawler.insight.suggest.settings import (
    CHARTED,
    COMBINED,
    MAX_VALUES,
    REQUIRED,
    SETTINGS,
    Advice,
    Finding,
    Setting,
    Weighted,
)
from crawler.model import Dataset, Decoded, Directory, Header, Outcome, Recipe, Weights
from crawler.store.stats.examples import Example

#: The mean length of a month.
MONTH = timedelta(days=365.25 / 12)

#: An optional setting is suggested if LoRAs with this share of the weight set it.
_MOST = 0.5

#: The columns whose values an example must have, in this order.
COLUMNS = tuple(setting.name for setting in SETTINGS)

#: Option of sd-scripts -> the setting behind it, where the names differ.
_SETTINGS = MappingProxyType(
    {
        "pretrained_model_name_or_path": "sd_model_name",
        "network_train_unet_only": "trains_text_encoder",
        "optimizer_type": "optimizer",
        "unet_lr": "effective_unet_lr",
        "text_encoder_lr": "effective_text_encoder_lr",
        "max_train_steps": "steps",
        "num_repeats": "mean_repeats",
        "debiased_estimation_loss": "debiased_estimation",
        "save_precision": "tensor_dtype",
    }
)


@dataclass(frozen=True, slots=True)
class _Votes:
    """The examples that count, the largest weight first, with their weights and values by column."""

    examples: Sequence[Example]
    weights: Sequence[float]
    columns: Mapping[str, Sequence[Any]]

    def weight(self, numbers: Iterable[int]) -> float:
        """The sum of the weights of these examples."""
        return sum(self.weights[number] for number in numbers)


def advise(examples: Sequence[Example], now: datetime) -> Advice:
    """The starting recipe.

    Args:
        examples: One for each LoRA, with the values of COLUMNS.
        now: Aware; likes are counted up to this time.
    """
    weights = [_monthly(example, now) for example in examples]
    is_weighted = any(weights)
    kept = [
        (weight or 1.0, example)
        for weight, example in zip(weights, examples, strict=True)
        if weight or not is_weighted
    ]
    kept.sort(key=lambda pair: (-pair[0], pair[1].file_id))
    votes = _Votes(
        examples=[example for _, example in kept],
        weights=[weight for weight, _ in kept],
        columns={name: [one.values[at] for _, one in kept] for at, name in enumerate(COLUMNS)},
    )
    findings: dict[str, Finding] = {}
    for setting in SETTINGS:
        finding = _find(setting, votes, findings)
        if finding is not None:
            findings[setting.name] = finding
    creators = _values([one.creator for one in votes.examples], votes, range(len(kept)))
    return Advice(
        loras=len(kept),
        creators=len(creators),
        weightless=len(weights) - len(kept),
        is_weighted=is_weighted,
        half=_half(votes.weights),
        top_creator=(creators[0].value, creators[0].share) if creators else None,
        findings=findings,
        combinations=_combinations(votes),
        examples=_examples(votes),
    )


def _monthly(example: Example, now: datetime) -> float:
    """Likes per month; 0 where they are unknown."""
    if not example.likes or example.likes < 0 or example.published_at is None:
        return 0.0
    # Likes of the first week do not predict a month.
    return example.likes / max((now - example.published_at) / MONTH, 1.0)


def _find(setting: Setting, votes: _Votes, findings: Mapping[str, Finding]) -> Finding | None:
    """The values of a setting; None if no LoRA has it, or if the recipe turns it off."""
    among: Sequence[int] = range(len(votes.weights))
    given = []
    for name in setting.given:
        above, column = findings.get(name), votes.columns[name]
        if above is None and all(value is None for value in column):
            continue  # no LoRA has it, so it cannot decide
        if above is None or above.chosen is None or above.chosen is False:
            return None
        given.append((name, above.chosen))
        among = [at for at in among if column[at] == above.chosen]
    column = votes.columns[setting.name]
    having = [at for at in among if column[at] is not None]
    if not having:
        return None
    values = _values(column, votes, having)
    share = votes.weight(having) / votes.weight(among)
    quartiles = _quartiles(column, votes, having) if setting.is_measure else None
    chosen = values[0].value if quartiles is None else quartiles[1]
    counted = Counter(column[at] for at in having) if setting.name in CHARTED else None
    return Finding(
        setting=setting,
        given=tuple(given),
        among=len(among),
        count=len(having),
        share=share,
        chosen=None if setting.is_optional and share < _MOST else chosen,
        values=tuple(values[:MAX_VALUES]),
        quartiles=quartiles,
        histogram=() if counted is None else bins(counted, scale(counted)),
    )


def _values(column: Sequence[Any], votes: _Votes, numbers: Iterable[int]) -> list[Weighted]:
    """Every value, the largest weight first; ties go to more LoRAs, then to the smaller value."""
    having: dict[Hashable, list[int]] = defaultdict(list)
    for at in numbers:
        value = column[at]
        # Objects cannot be keys; their text can.
        key = json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
        having[key].append(at)
    weights = {key: votes.weight(these) for key, these in having.items()}
    whole = sum(weights.values())
    order = sorted(having, key=lambda key: (-weights[key], -len(having[key]), *_place(key)))
    return [
        Weighted(column[having[key][0]], len(having[key]), weights[key] / whole) for key in order
    ]


def _place(key: Hashable) -> tuple[float, str]:
    """A sort key: numbers by size, everything else by its text."""
    return (key, "") if isinstance(key, int | float) else (0, str(key))


def _quartiles(
    column: Sequence[Any], votes: _Votes, numbers: Sequence[int]
) -> tuple[Any, Any, Any]:
    """The weighted quartiles: the smallest values at which the cumulative weight reaches 25%, 50% and 75%."""
    ordered = sorted((column[at], votes.weights[at]) for at in numbers)
    reached = list(accumulate(weight for _, weight in ordered))
    first, median, third = (
        ordered[bisect_left(reached, reached[-1] * quarter / 4)][0] for quarter in (1, 2, 3)
    )
    return first, median, third


def _half(weights: Sequence[float]) -> int:
    """How many weights, counted from the first, add up to half of the sum."""
    reached = list(accumulate(weights))
    return bisect_left(reached, reached[-1] / 2) + 1 if reached else 0


def _combinations(votes: _Votes) -> tuple[Weighted, ...]:
    """Combinations of values that LoRAs share; if there are none, those of single LoRAs."""
    combined = list(zip(*(votes.columns[name] for name in COMBINED), strict=True))
    required = [COMBINED.index(name) for name in REQUIRED]
    having = [
        at for at, one in enumerate(combined) if all(one[place] is not None for place in required)
    ]
    found = _values(combined, votes, having)
    shared = [one for one in found if one.count > 1]
    return tuple((shared or found)[:MAX_VALUES])


def _examples(votes: _Votes) -> tuple[tuple[Example, float], ...]:
    """The LoRAs with the largest weight, one for each creator."""
    firsts: dict[str | None, tuple[Example, float]] = {}
    for example, weight in zip(votes.examples, votes.weights, strict=True):
        firsts.setdefault(example.creator, (example, weight))
    return tuple(firsts.values())[:MAX_VALUES]


def recipe_of(advice: Advice, images: int | None) -> Export:
    """The recipe, with a remark on each option about its evidence, and notes on what is left out.

    Args:
        advice: Must have a network module or a learning rate.
        images: The number of training images; None for any.

    Raises:
        UsageError: The LoRAs have neither a network module nor a learning rate.
    """
    if advice.chosen("network_module") is None and advice.chosen("effective_unet_lr") is None:
        raise UsageError(
            "cannot make a recipe: none of these LoRAs states a network module or a learning rate"
        )
    made = export(_as_one_file(advice, images))
    return replace(
        made,
        config=tuple(
            replace(section, options=_remarked(section.options, advice)) for section in made.config
        ),
        datasets=tuple(
            DatasetTable(
                _remarked(table.options, advice),
                tuple(_remarked(subset, advice) for subset in table.subsets),
            )
            for table in made.datasets
        ),
        notes=tuple(note for note in made.notes if note.kind is Kind.CONFLICT),
    )


def _evidence(finding: Finding) -> str:
    """The evidence for a chosen value: how many LoRAs have it, in a few words."""
    loras = f"{finding.count:,} LoRAs" if finding.count > 1 else "1 LoRA"
    if finding.given:
        loras += f" with the same {' and '.join(name for name, _ in finding.given)}"
    if finding.quartiles is None:
        return f"{finding.values[0].share:.0%} of {loras}"
    low, median, high = finding.quartiles
    spread = "" if low == high else f", IQR {low:.4g} to {high:.4g}"
    return f"median {median:.4g} of {loras}{spread}"


def _as_one_file(advice: Advice, images: int | None) -> Decoded:
    """A file that has all chosen settings, with one folder of images."""
    text_encoder_lr, side = advice.chosen("effective_text_encoder_lr"), advice.chosen("resolution")
    repeats = advice.chosen("mean_repeats")
    own = {
        "unet_lr": advice.chosen("effective_unet_lr"),
        "text_encoder_lr": text_encoder_lr,
        "text_encoder_lrs": None if text_encoder_lr is None else (text_encoder_lr,),
        "resolution_width": None if side is None else round(side),
        "resolution_height": None if side is None else round(side),
        "num_epochs": None,  # the number of steps is the length
    }
    folder = Directory(
        number=0,
        dataset_number=0,
        name="images",
        repeats=None if repeats is None else max(round(repeats), 1),
        image_count=images,
    )
    return Decoded(
        header=Header(length=0, tensors={}, metadata=None),
        outcome=Outcome.DECODED,
        recipe=Recipe(**_settings_of(Recipe, advice) | own),
        weights=Weights(**_settings_of(Weights, advice)),
        datasets=(Dataset(number=0, **_settings_of(Dataset, advice)),),
        directories=(folder,),
        tags={},
    )


def _settings_of(noun: type[Recipe | Weights | Dataset], advice: Advice) -> dict[str, Any]:
    """The chosen settings that are attributes of this class."""
    return {each.name: advice.chosen(each.name) for each in fields(noun) if each.name in COLUMNS}


def _remarked(options: Iterable[Option], advice: Advice) -> tuple[Option, ...]:
    """The options, with the evidence added to each remark."""
    found = []
    for option in options:
        finding = advice.findings.get(_SETTINGS.get(option.name, option.name))
        said = [option.remark, "" if finding is None else _evidence(finding)]
        found.append(replace(option, remark="; ".join(text for text in said if text)))
    return tuple(found)
