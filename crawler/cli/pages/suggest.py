"""The page of a suggested recipe: the settings, the LoRAs behind them, and the alternatives."""

from collections.abc import Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.settings import spoken_value
from crawler.answers.text import count, figure, number, rounded, share
from crawler.answers.visible import visible
from crawler.cli.output.table import Figure, dash, ellipsis, print_table
from crawler.cli.pages import layout
from crawler.cli.pages.distribution import bin_label
from crawler.insight.suggest.settings import ENOUGH, Advice, Finding
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.examples import MOST_EXAMPLES, Coverage

#: Cells of a suggested value, and of the number of LoRAs behind it.
_CELLS = (21, 6)

#: Cells in front of a suggested value.
_NAMES = layout.INDENT + layout.NAME_CELLS

#: A creator with this share of the weight is named.
_LARGE_PART = 0.2

#: Cells of the name of a bar.
_BAR_NAME = 20


def print_advice(console: Console, title: str, coverage: Coverage, advice: Advice) -> None:
    """Print the page.

    Args:
        console: Where to print.
        title: The selected LoRAs, in words.
        coverage: How many there are, and how many report their training.
        advice: The suggestions; there may be no LoRA behind them.
    """
    layout.paragraph(console, f"Starting recipe for {title}", style="bold")
    layout.blank(console)
    for text in _preface(coverage, advice):
        layout.paragraph(console, text)
    if not advice.loras:
        return
    if not advice.is_enough:
        text = (
            f"Too few LoRAs to rely on: with fewer than {ENOUGH}, single ones decide. Look at the"
            " examples instead, or ask for more LoRAs."
        )
        layout.paragraph(console, text, style="bold")
    head = f"{'suggested':<{_CELLS[0]}}{'LoRAs':<{_CELLS[1]}}values by weight"
    shown = [finding for finding in advice.findings.values() if finding.setting.title]
    for group, findings in groupby(shown, key=lambda finding: finding.setting.title):
        layout.heading(console, group, head, at=_NAMES)
        head = ""
        for finding in findings:
            _print_finding(console, finding)
    for finding in shown:
        if finding.histogram:
            _print_rates(console, finding)
    if advice.combinations:
        layout.heading(console, "Most common combinations by weight")
        heads = ("weight", "LoRAs", "optimizer", "schedule", "dim", "alpha", "unet_lr", "te_lr")
        print_table(
            console,
            heads,
            [(Figure(share(one.share)), one.count, *one.value) for one in advice.combinations],
        )
    layout.heading(console, "Examples (open with lora-crawl show)")
    examples = [
        (one.file_id, Figure(rounded(monthly)), one.model_name, one.creator)
        for one, monthly in advice.examples
    ]
    print_table(console, ("file_id", "likes a month", "model", "creator"), examples)


def _preface(coverage: Coverage, advice: Advice) -> Sequence[str]:
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
        " the suggested rank, and so on. Numbers have their weighted interquartile range (IQR)."
    )
    return [known, basis, conditions]


def _print_finding(console: Console, finding: Finding) -> None:
    name, chosen = finding.setting.name, finding.chosen
    if chosen is None:
        shown = dash(console)
    elif finding.quartiles is not None:
        shown = figure(chosen, BY_NAME[name], is_statistic=True)
    else:
        shown = visible(spoken_value(BY_NAME[name], chosen))
    if cell_len(shown) >= _CELLS[0]:
        # A name of a file is of use only as a whole: the numbers follow on a line of their own.
        layout.setting(console, name, shown)
        name, shown = "", ""
    layout.columns(
        console,
        name,
        Text(shown, style="dim" if chosen is None else "bold"),
        Text(number(finding.count)),
        Text(_beside(console, finding), style="dim"),
        cells=_CELLS,
    )


def _beside(console: Console, finding: Finding) -> str:
    """The used values that fit into the column. No number is cut."""
    field = BY_NAME[finding.setting.name]
    if finding.quartiles is not None:
        low, high = (figure(end, field, is_statistic=True) for end in finding.quartiles[::2])
        return f"IQR {low if low == high else layout.span(console, low, high)}"
    of = finding.share if finding.setting.is_optional else 1.0
    values = [f"{spoken_value(field, one.value)} {share(one.share * of)}" for one in finding.values]
    if finding.excluded:
        return _fitting(console, [finding.excluded, *values])
    if of < 1:
        return _fitting(console, [f"unset {share(1 - of)}", *values])
    if len(values) > 1:
        return _fitting(console, values)
    return "all the same" if finding.count > 1 else ""


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


def _fitting(console: Console, values: Sequence[str]) -> str:
    """The values that fit, at least one; an ellipsis replaces the others."""
    room = console.width - sum(_CELLS) - _NAMES
    text = ", ".join(values)
    for some in range(len(values) - 1, 0, -1):
        if cell_len(visible(text)) <= room:
            break
        text = ", ".join([*values[:some], ellipsis(console)])
    return text


def _print_rates(console: Console, finding: Finding) -> None:
    given = ", ".join(
        f"{each} {spoken_value(BY_NAME[each], value)}" for each, value in finding.given
    )
    field = BY_NAME[finding.setting.name]
    layout.heading(console, finding.setting.name, f"LoRAs with {given}", at=layout.NAME_CELLS)
    rows = [(bin_label(field, one), one.count) for one in finding.histogram]
    layout.bars(console, rows, name_cells=_BAR_NAME)
