"""A starting recipe from the settings of other LoRAs: what is asked, and the answer as data and in words."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from crawler.answers.asked import without_copies
from crawler.answers.settings import spoken_value
from crawler.answers.text import count, figure, listed, number, share
from crawler.errors import UsageError
from crawler.insight.suggest.advice import COLUMNS, advise
from crawler.insight.suggest.settings import COMBINED, ENOUGH, Advice, Finding
from crawler.query.fields import clipped
from crawler.query.near import nearest_values, offer
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats import examples
from crawler.store.stats.examples import MOST_EXAMPLES, Coverage, Selection

#: With a number of images N, data sets of N divided by this up to N times this count as similar: in
#: this range the number of steps varies less than between creators.
ALIKE = 2

#: Heads of the combinations: their weight, their number, and COMBINED.
COMBINATION_HEADS = (
    *("weight", "LoRAs", "optimizer", "schedule", "dim", "alpha", "unet_lr", "te_lr"),
)

#: A creator with this share of the weight is named.
_LARGE_PART = 0.2


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A starting recipe.

    Attributes:
        selection: The LoRAs that may be examples.
        coverage: How many there are, and how many report their training.
        advice: The suggestions; there may be no LoRA behind them.
        left_out: Number of scanned copies of the database that are left out.
    """

    selection: Selection
    coverage: Coverage
    advice: Advice
    left_out: int

    @property
    def title(self) -> str:
        """The selected LoRAs, in words."""
        selection = self.selection
        parts = [selection.base_model]
        if selection.images is not None:
            low, high = selection.images
            parts.append(f"{low:,} to {high:,} images")
        if selection.tag is not None:
            parts.append(f"tag {selection.tag}")
        if selection.creator is not None:
            parts.append(f"by {selection.creator}")
        if selection.min_likes:
            parts.append(f"{selection.min_likes:,} likes or more")
        return ", ".join(parts)


def suggestion(
    connection: Connection,
    *,
    base_model: str,
    images: int | None = None,
    tag: str | None = None,
    creator: str | None = None,
    min_likes: int = 0,
    copies: bool = False,
) -> Suggestion:
    """The starting recipe from the LoRAs of a base model.

    Args:
        connection: To read from.
        base_model: As the site names it, ignoring case.
        images: Only LoRAs trained on between N / ALIKE and N * ALIKE images.
        tag: Only LoRAs with this tag of the site.
        creator: Only LoRAs of this creator.
        min_likes: Only LoRAs with so many likes.
        copies: Keep scanned copies of files that a sync lists too.

    Raises:
        UsageError: The base model is unknown; the message lists the nearest ones.
    """
    condition, left_out = without_copies(connection, None, copies=copies)
    selection = Selection(
        base_model=_known(base_model, examples.base_models(connection)),
        images=None if images is None else (-(-images // ALIKE), images * ALIKE),
        tag=tag,
        creator=creator,
        min_likes=min_likes,
        condition=condition,
    )
    coverage = examples.coverage_of(connection, selection)
    found = examples.find_examples(connection, selection, COLUMNS)
    return Suggestion(selection, coverage, advise(found, datetime.now(UTC)), left_out)


def _known(name: str, base_models: Mapping[str, int]) -> str:
    """The base model of this name, ignoring case.

    Raises:
        UsageError: The name is unknown; the message lists the nearest ones.
    """
    if name in base_models:
        return name
    alike = {other.casefold(): other for other in base_models}
    if name.casefold() in alike:
        return alike[name.casefold()]
    if not base_models:
        raise UsageError("the database has no base models yet\nrun lora-crawl sync to fill it")
    commonest = sorted(base_models, key=lambda other: -base_models[other])
    some = f"the database has {listed(commonest[:5])}"
    near = offer(nearest_values(name, commonest))
    raise UsageError(f"no LoRA has the base model {clipped(name)}\n{near or some}")


def preface(coverage: Coverage, advice: Advice) -> list[str]:
    """What the suggestions rest on, a paragraph each."""
    if not coverage.loras:
        return ["The database has no such LoRA."]
    known = (
        f"{count(coverage.loras, 'LoRA')} with any number of images, {number(coverage.read)} of them"
        f" read, {number(coverage.telling)} with training metadata."
    )
    if not advice.loras:
        return [known, "None of them can serve as an example; there is no suggestion."]
    weight = (
        "weighted by likes per month" if advice.is_weighted else "unweighted, since none has likes"
    )
    basis = (
        f"Based on {count(advice.loras, 'LoRA')} by {count(advice.creators, 'creator')}, {weight}."
        " Each LoRA counts once, by a file of its newest version."
    )
    if advice.loras + advice.weightless >= MOST_EXAMPLES:
        basis += f" Only the {number(MOST_EXAMPLES)} with the most likes per month are counted."
    if advice.weightless:
        basis += f" {number(advice.weightless)} without likes or a date are left out."
    if advice.is_weighted and advice.loras > 1:
        verb = "carries" if advice.half == 1 else "carry"
        basis += f" {number(advice.half)} of them {verb} half the weight."
        name, part = advice.top_creator or (None, 0.0)
        if name is not None and part >= _LARGE_PART:
            basis += f" {name} alone has {share(part)} of it."
    conditions = (
        "Rates and schedule are those of LoRAs with the suggested optimizer, alpha that of LoRAs with"
        " the suggested rank, and so on. Numbers have their weighted interquartile range (IQR);"
        " each is a median of its own, so steps, epochs and images seen need not agree."
    )
    return [known, basis, conditions]


def warning(advice: Advice) -> str:
    """That there are too few LoRAs; empty if there are enough, or none."""
    if advice.is_enough or not advice.loras:
        return ""
    return (
        f"Too few LoRAs to rely on: with fewer than {ENOUGH}, single ones decide. Look at the examples"
        " instead, or ask for more LoRAs."
    )


def shown_settings(advice: Advice) -> Iterator[tuple[str, list[Finding]]]:
    """The suggestions under their headings."""
    shown = [finding for finding in advice.findings.values() if finding.setting.title]
    for title, some in groupby(shown, key=lambda finding: finding.setting.title):
        yield title, list(some)


def suggested(finding: Finding) -> str:
    """The suggested value as text; empty where most LoRAs leave the setting out."""
    field = BY_NAME[finding.setting.name]
    if finding.chosen is None:
        return ""
    if finding.quartiles is not None:
        return figure(finding.chosen, field, is_statistic=True)
    return spoken_value(field, finding.chosen)


def used_values(finding: Finding) -> list[str]:
    """The values in use, each with its share of the weight; for a setting with no quartiles."""
    field = BY_NAME[finding.setting.name]
    of = finding.share if finding.setting.is_optional else 1.0
    values = [f"{spoken_value(field, one.value)} {share(one.share * of)}" for one in finding.values]
    if finding.excluded:
        return [finding.excluded, *values]
    if of < 1:
        return [f"unset {share(1 - of)}", *values]
    if len(values) > 1:
        return values
    return ["all the same"] if finding.count > 1 else []


def evidence(finding: Finding) -> str:
    """What a chosen value rests on, in a few words for a configuration file."""
    field = BY_NAME[finding.setting.name]
    loras = count(finding.count, "LoRA")
    if finding.given:
        loras += f" with the same {' and '.join(name for name, _ in finding.given)}"
    if finding.quartiles is None:
        text = f"{share(finding.values[0].share)} of {loras}"
        if finding.setting.is_optional and finding.share < 1:
            text += f"; {share(1 - finding.share)} leave it unset"
        return text
    low, median, high = (figure(one, field, is_statistic=True) for one in finding.quartiles)
    return f"median {median} of {loras}" + ("" if low == high else f", IQR {low} to {high}")


def as_data(made: Suggestion) -> dict[str, Any]:
    """The JSON of `suggest`."""
    advice = made.advice
    selection = asdict(made.selection)
    del selection["condition"]
    return {
        **selection,
        "known": asdict(made.coverage),
        "loras": advice.loras,
        "creators": advice.creators,
        "without_weight": advice.weightless,
        "weighted": advice.is_weighted,
        "half_of_weight": advice.half,
        "enough": advice.is_enough,
        "settings": {name: _finding(one) for name, one in advice.findings.items()},
        "combinations": [
            {**dict(zip(COMBINED, one.value, strict=True)), "loras": one.count, "share": one.share}
            for one in advice.combinations
        ],
        "examples": [
            {
                "file_id": one.file_id,
                "model_name": one.model_name,
                "creator": one.creator,
                "likes_per_month": monthly,
            }
            for one, monthly in advice.examples
        ],
    }


def _finding(one: Finding) -> dict[str, Any]:
    quartile1, median, quartile3 = one.quartiles or (None, None, None)
    return {
        "suggested": one.chosen,
        "given": dict(one.given),
        "loras": one.count,
        "of_loras": one.among,
        "share": one.share,
        "excluded": one.excluded or None,
        "quartile1": quartile1,
        "median": median,
        "quartile3": quartile3,
        "values": [
            {"value": value.value, "loras": value.count, "share": value.share}
            for value in one.values
        ],
    }
