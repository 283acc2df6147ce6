"""The page of a suggested recipe: the settings, the LoRAs behind them, and the alternatives."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crawler.answers.settings import bin_label, spoken_value
from crawler.answers.suggest import (
    COMBINATION_HEADS,
    Suggestion,
    preface,
    shown_settings,
    suggested,
    used_values,
    warning,
)
from crawler.answers.text import figure, number, rounded, share
from crawler.answers.visible import visible
from crawler.cli.output.table import Figure, dash, ellipsis, print_table
from crawler.cli.pages import layout
from crawler.insight.suggest.settings import Finding
from crawler.store.schema.fields import BY_NAME

#: Cells of a suggested value, and of the number of LoRAs behind it.
_CELLS = (21, 6)

#: Cells in front of a suggested value.
_NAMES = layout.INDENT + layout.NAME_CELLS

#: Cells of the name of a bar.
_BAR_NAME = 20


def print_advice(console: Console, made: Suggestion) -> None:
    """Print the page."""
    advice = made.advice
    layout.paragraph(console, f"Starting recipe for {made.title}", style="bold")
    layout.blank(console)
    for text in preface(made.coverage, advice):
        layout.paragraph(console, text)
    if not advice.loras:
        return
    if text := warning(advice):
        layout.paragraph(console, text, style="bold")
    head = f"{'suggested':<{_CELLS[0]}}{'LoRAs':<{_CELLS[1]}}values by weight"
    for group, findings in shown_settings(advice):
        layout.heading(console, group, head, at=_NAMES)
        head = ""
        for finding in findings:
            _print_finding(console, finding)
    for finding in advice.findings.values():
        if finding.setting.title and finding.histogram:
            _print_rates(console, finding)
    if advice.combinations:
        layout.heading(console, "Most common combinations by weight")
        print_table(
            console,
            COMBINATION_HEADS,
            [(Figure(share(one.share)), one.count, *one.value) for one in advice.combinations],
        )
    layout.heading(console, "Examples (open with lora-crawl show)")
    examples = [
        (one.file_id, Figure(rounded(monthly)), one.model_name, one.creator)
        for one, monthly in advice.examples
    ]
    print_table(console, ("file_id", "likes a month", "model", "creator"), examples)


def _print_finding(console: Console, finding: Finding) -> None:
    name = finding.setting.name
    shown = visible(suggested(finding)) if finding.chosen is not None else dash(console)
    if cell_len(shown) >= _CELLS[0]:
        # A name of a file is of use only as a whole: the numbers follow on a line of their own.
        layout.setting(console, name, shown)
        name, shown = "", ""
    layout.columns(
        console,
        name,
        Text(shown, style="dim" if finding.chosen is None else "bold"),
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
    return _fitting(console, used_values(finding))


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
