"""A field in many files, for a person: a sentence and a histogram, or a table of groups."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from crawler.cli.output.cells import cell, count, duration, number, rounded, share
from crawler.cli.output.table import has_blocks, print_table
from crawler.cli.pages import layout
from crawler.insight.distribution import Bin, Part, Summary
from crawler.query.fields import Field, Kind
from crawler.store.stats.value_counts import Population

#: Cells of the name of a bar; a longer one is cut.
_NAME_CELLS = 32

#: Commonest values told of each group.
_TOLD = 3

#: A sparkline's cells from nothing to the tallest bar, where block characters can be shown and not.
_BLOCKS, _PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"

#: From here on a figure of a table has no digits behind its point.
_WHOLE = 100

_SECONDS_PER_MINUTE = 60

#: Names of what `_coverage` gives, behind the group.
_COVERAGE = ("files", "no metadata", "have it")


def print_population(console: Console, among: Sequence[Population]) -> None:
    """How many files all figures are of, and how many of them cannot say anything."""
    files, read, silent = (
        sum(getattr(one, name) for one in among) for name in ("files", "read", "no_metadata")
    )
    text = f"{count(files, 'file')}, each counted once; the headers of {number(read)} were read"
    if read:
        text += f", and {number(silent)} of these ({share(silent / read)}) say nothing of their training"
    layout.paragraph(console, f"{text}.")


def print_summary(console: Console, summary: Summary, by: str | None) -> None:
    """One field of all files, or side by side in groups.

    Args:
        console: Where it is printed.
        summary: With one part where nothing is grouped.
        by: The name of the groups.
    """
    name = summary.field.name
    layout.heading(console, name, summary.field.meaning, at=len(name) + layout.INDENT)
    if by is None:
        for part in summary.parts:
            _print_part(console, summary.field, part)
    elif summary.scale is not None:
        _print_numbers(console, summary, by)
    else:
        _print_values(console, summary, by)


def _print_part(console: Console, field: Field, part: Part) -> None:
    share_of = part.count / part.population.files
    sentence = f"{count(part.count, 'file has', 'files have')} it ({share(share_of)})"
    if part.spread is not None:
        spread = part.spread
        sentence += f": median {_told(field, spread.median)}"
        if spread.minimum != spread.maximum:
            middle = f"{_told(field, spread.quartile1)} to {_told(field, spread.quartile3)}"
            ends = f"{_told(field, spread.minimum)} to {_told(field, spread.maximum)}"
            sentence += f", middle half {middle}, all from {ends}"
    elif part.distinct > len(part.values):
        sentence += f", with {number(part.distinct)} different values; the commonest"
    layout.paragraph(console, sentence, indent=layout.INDENT)
    rows = [(bin_label(field, one), one.count) for one in part.bins]
    rows = rows or [(_named(value), amount) for value, amount in part.values]
    layout.bars(console, rows, name_cells=_NAME_CELLS)


def _print_numbers(console: Console, summary: Summary, by: str) -> None:
    field = summary.field
    minutes = field.unit == "s"
    names = (by, *_COVERAGE, "25 %", "median", "75 %", "histogram")
    rows = []
    for part in summary.parts:
        spread = part.spread
        quartiles = (
            (None, None, None)
            if spread is None
            else (spread.quartile1, spread.median, spread.quartile3)
        )
        told = [
            None if value is None else _short(value / _SECONDS_PER_MINUTE if minutes else value)
            for value in quartiles
        ]
        drawn = _sparkline(part.bins, plain=not has_blocks(console))
        rows.append((*_coverage(part), *told, drawn))
    if minutes:
        layout.paragraph(console, "in minutes", indent=layout.INDENT, style="dim")
    print_table(console, names, rows)
    bars = max((part.bins for part in summary.parts), key=len, default=())
    if len(bars) > 1:
        ends = f"first {bin_label(field, bars[0])}, last {bin_label(field, bars[-1])}"
        layout.paragraph(console, f"cells of the histogram: {ends}", style="dim")


def _print_values(console: Console, summary: Summary, by: str) -> None:
    timely = summary.field.kind is Kind.TIME
    names = (by, *_COVERAGE, "span" if timely else "commonest")
    rows = []
    for part in summary.parts:
        if timely:
            told = (
                " to ".join(dict.fromkeys([part.values[0][0], part.values[-1][0]]))
                if part.values
                else None
            )
        else:
            told = ", ".join(
                f"{_named(value)} {share(amount / part.count)}"
                for value, amount in part.values[:_TOLD]
            )
        rows.append((*_coverage(part), told or None))
    print_table(console, names, rows)


def _coverage(part: Part) -> tuple[str | None, int, int, int]:
    """The group, its files, those that say nothing of their training, those that have the field."""
    population = part.population
    return population.group, population.files, population.no_metadata, part.count


def bin_label(field: Field, one: Bin) -> str:
    """What belongs to a bar, in words."""
    if one.low is None:
        return f"under {_told(field, one.high)}"
    if one.high is None:
        return f"{_told(field, one.low)} and more"
    if one.low == one.high:
        return _told(field, one.low)
    return f"{_told(field, one.low)} to {_told(field, one.high)}"


def _told(field: Field, value: float | None) -> str:
    if value is None:
        return ""
    return duration(value) if field.unit == "s" and value >= 1 else rounded(value, 4)


def _short(value: float) -> float:
    """A figure of a table: four digits say enough, and a large or whole number needs no point."""
    whole = round(value)
    return whole if value == whole or abs(value) >= _WHOLE else float(f"{value:.4g}")


def _named(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(value)


def _sparkline(bars: Sequence[Bin], *, plain: bool) -> str:
    """A cell for each bar, anything more than nothing visible."""
    steps = _PLAIN if plain else _BLOCKS
    tallest = max((one.count for one in bars), default=0)
    highest = len(steps) - 1
    return "".join(
        steps[-(-one.count * highest // tallest)] if tallest else steps[0] for one in bars
    )
