"""Choose the settings of a starting recipe from well-liked LoRAs of one kind, and write it as files.

The weight of a LoRA is its likes per month, so that its age does not matter. A setting gets the value
with the largest weight, or the weighted median. Dependent settings are chosen together: learning rates
come from LoRAs with the chosen optimizer. The chosen settings are then exported as if a single file had
them all: the export decides where each option goes, which options a script accepts, and where a
placeholder is needed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.errors import UsageError
from crawler.insight.distribution import Bin, bins, scale
from crawler.insight.export.draft import DatasetTable, Export, Option
from crawler.insight.export.recipe import export
from crawler.insight.suggest.settings import (
    CHARTED,
    COMBINED,
    EXCLUSIVE,
    MAX_VALUES,
    ONLY_FOR,
    REQUIRED,
    SETTINGS,
    Advice,
    Example,
    Finding,
    Setting,
)
from crawler.insight.suggest.votes import Votes
from crawler.model import Dataset, Decoded, Directory, Header, Outcome, Recipe, Weights
from crawler.model.catalogue import likes_per_month
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.examples import Column, Examples

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


#: A weight of 1, in likes per month. Weights are whole numbers of it.
_UNIT = 1e-6

#: The largest weight, in likes per month, which no LoRA has: a million of them can be added up.
_MOST_LIKED = 2_000_000


def advise(examples: Examples, now: datetime) -> Advice:
    """The starting recipe.

    Args:
        examples: One for each LoRA, with COLUMNS.
        now: Aware; likes are counted up to this time.
    """
    monthly = np.array(
        [
            _monthly(likes, published, now)
            for likes, published in zip(examples.likes, examples.published_at, strict=True)
        ]
    )
    is_weighted = bool(monthly.any())
    kept = np.flatnonzero(monthly) if is_weighted else np.arange(len(monthly))
    # The largest weight first.
    kept = kept[np.lexsort((np.array(examples.file_ids, np.int64)[kept], -monthly[kept]))]
    liked = monthly[kept] if is_weighted else np.ones(len(kept))
    columns = {
        name: replace(column, codes=column.codes[kept]) for name, column in examples.columns.items()
    }
    creators = [examples.creators[at] for at in kept.tolist()]
    names = list(dict.fromkeys(creators))
    number_of = {name: number for number, name in enumerate(names)}
    own = np.array([number_of[name] for name in creators], np.int32)
    weights = np.maximum(np.rint(np.minimum(liked, _MOST_LIKED) / _UNIT), 1).astype(np.int64)
    votes = Votes(weights, {**columns, "creator": Column(names, own)})
    findings: dict[str, Finding] = {}
    for setting in SETTINGS:
        finding = _find(setting, votes, findings)
        if finding is not None:
            findings[setting.name] = finding
    findings = _compatible(findings)
    top = votes.values("creator", np.arange(len(kept)))
    firsts = np.sort(np.unique(own, return_index=True)[1])[:MAX_VALUES].tolist()
    return Advice(
        loras=len(kept),
        creators=len(names),
        weightless=len(monthly) - len(kept),
        is_weighted=is_weighted,
        half=_half(weights),
        top_creator=(top[0].value, top[0].share) if top else None,
        findings=findings,
        combinations=tuple(votes.combinations(COMBINED, REQUIRED)),
        examples=tuple(
            (
                Example(examples.file_ids[at], examples.model_names[at], examples.creators[at]),
                likes,
            )
            for at, likes in zip(kept[firsts].tolist(), liked[firsts].tolist(), strict=True)
        ),
    )


def _monthly(likes: int | None, published: datetime | None, now: datetime) -> float:
    """Likes per month; 0 where they are unknown."""
    age = None if published is None else now - published
    return max(likes_per_month(likes, age) or 0.0, 0.0)


def _find(setting: Setting, votes: Votes, findings: Mapping[str, Finding]) -> Finding | None:
    """The values of a setting; None if no LoRA has it, or if the recipe turns it off."""
    everyone = among = np.arange(len(votes.weights))
    given = []
    for name in setting.given:
        above = findings.get(name)
        if above is None and not len(votes.having(name, everyone)):
            continue  # no LoRA has it, so it cannot decide
        if above is None or above.chosen is None or above.chosen is False:
            return None
        given.append((name, above.chosen))
        among = votes.agreeing(name, above.chosen, among)
    having = votes.having(setting.name, among)
    if not len(having):
        return None
    values = votes.values(setting.name, having)
    share = votes.weight(having) / votes.weight(among)
    quartiles = votes.quartiles(setting.name, having) if setting.is_measure else None
    chosen = values[0].value if quartiles is None else quartiles[1]
    column = votes.columns[setting.name]
    histogram: tuple[Bin, ...] = ()
    if setting.name in CHARTED:
        numbers = np.sort(np.array(column.values, float)[column.codes[having]])
        histogram = bins(numbers, scale(numbers, BY_NAME[setting.name]))
    return Finding(
        setting=setting,
        given=tuple(given),
        among=len(among),
        count=len(having),
        share=share,
        chosen=None if setting.is_optional and share < _MOST else chosen,
        values=tuple(values),
        quartiles=quartiles,
        histogram=histogram,
    )


def _compatible(findings: Mapping[str, Finding]) -> dict[str, Finding]:
    """The findings without what excludes another setting, or means nothing for the architecture.

    Of two settings that exclude each other the one is kept that more LoRAs set, by weight.
    """
    excluded = {}
    on = {name: one for name, one in findings.items() if one.chosen not in (None, False, 0)}
    for pair in EXCLUSIVE:
        if all(name in on for name in pair):
            loser, winner = sorted(pair, key=lambda name: on[name].share)
            excluded[loser] = f"not together with {winner}"
    base = findings["architecture"].chosen if "architecture" in findings else None
    for name, only in ONLY_FOR.items():
        if name in findings and base not in (None, only):
            excluded[name] = f"no use for {base}"
    return {
        name: replace(one, chosen=None, excluded=excluded[name]) if name in excluded else one
        for name, one in findings.items()
        if not any(given in excluded for given in one.setting.given)
    }


def _half(weights: npt.NDArray[np.int64]) -> int:
    """How many weights, counted from the first, add up to half of the sum."""
    reached = np.cumsum(weights)
    return int(np.searchsorted(reached * 2, reached[-1])) + 1 if len(reached) else 0


def recipe_of(advice: Advice, images: int | None, evidence: Callable[[Finding], str]) -> Export:
    """The recipe, with a remark on each option about its evidence.

    Args:
        advice: Must have a network module or a learning rate.
        images: The number of training images; None for any.
        evidence: What a chosen value rests on, in words.

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
        epochs=made.epochs or advice.chosen("num_epochs"),
        config=tuple(
            replace(section, options=_remarked(section.options, advice, evidence))
            for section in made.config
        ),
        datasets=tuple(
            DatasetTable(
                _remarked(table.options, advice, evidence),
                tuple(_remarked(subset, advice, evidence) for subset in table.subsets),
            )
            for table in made.datasets
        ),
    )


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


def _remarked(
    options: Iterable[Option], advice: Advice, evidence: Callable[[Finding], str]
) -> tuple[Option, ...]:
    """The options, with the evidence added to each remark."""
    found = []
    for option in options:
        finding = advice.findings.get(_SETTINGS.get(option.name, option.name))
        said = [option.remark, "" if finding is None else evidence(finding)]
        found.append(replace(option, remark="; ".join(text for text in said if text)))
    return tuple(found)
