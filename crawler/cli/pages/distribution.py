"""Statistics of fields: a sentence and a histogram each, or a table of groups."""

from collections.abc import Sequence

from rich.console import Console

from crawler.answers.settings import UNITS_SHOWN, bin_label, ends, statistic
from crawler.answers.stats import common, group_text, value_text
from crawler.answers.text import (
    count,
    figure,
    number,
    rounded,
    share,
)
from crawler.cli.output.table import Figure, has_blocks, print_table
from crawler.cli.pages import layout
from crawler.insight.distribution import Bin, Groups, Part, Summary
from crawler.query.fields import Field, Kind
from crawler.store.stats.value_counts import Grouping

#: Cells of the name of a bar.
_NAME_CELLS = 32

#: Most common values that are shown of each group.
_MOST_COMMON = 3

#: The cells of a sparkline from 0 to the tallest bar, with block characters and without.
_BLOCKS, _PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"

#: With a median of so many seconds, a table tells minutes.
_MANY_SECONDS = 120

_SECONDS_PER_MINUTE = 60


def print_population(console: Console, found: Groups) -> None:
    """Print how many files the groups have, and how many contain no training metadata."""
    files, read, no_metadata = (
        sum(getattr(one, name) for one in found.among) for name in ("files", "read", "no_metadata")
    )
    text = f"{count(files, 'file')}, {count(read, 'header')} read"
    if read:
        text += f", {number(no_metadata)} ({share(no_metadata / read)}) of them without training metadata"
    layout.paragraph(console, text)


def print_summary(console: Console, summary: Summary, found: Groups, by: str | None) -> None:
    """Print the statistics of one field, of all files or of groups side by side.

    Args:
        console: Where to print.
        summary: One field; it has a single part without groups.
        found: The groups.
        by: What they are called; None without groups.
    """
    name = summary.field.name
    layout.heading(console, name, summary.field.meaning, at=len(name) + layout.INDENT)
    if by is None or found.by is None:
        for part in summary.parts:
            _print_part(console, summary.field, part)
    elif summary.scale is not None:
        _print_numbers(console, summary, found.by, by)
    else:
        _print_values(console, summary, found.by, by)


def _print_part(console: Console, field: Field, part: Part) -> None:
    sentence = f"{count(part.count, 'file')} ({share(part.count / part.population.files)})"
    if spread := part.spread:
        sentence += f": median {statistic(field, spread.median)}"
        if spread.minimum == spread.maximum:
            sentence += ", all the same"
        else:
            iqr = _span(console, field, spread.quartile1, spread.quartile3)
            whole = _span(console, field, spread.minimum, spread.maximum)
            sentence += f", IQR {iqr}, range {whole}"
    elif part.distinct > len(part.values):
        sentence += f": {number(part.distinct)} different values, the most common are"
    layout.paragraph(console, sentence, indent=layout.INDENT)
    rows = [(bin_label(field, one), one.count) for one in part.bins]
    rows = rows or [(value_text(value), amount) for value, amount in part.values]
    layout.bars(console, rows, name_cells=_NAME_CELLS)


def _print_numbers(console: Console, summary: Summary, grouping: Grouping, by: str) -> None:
    field, scale = summary.field, 1
    unit = field.unit if field.unit in UNITS_SHOWN else ""
    medians = [part.spread.median for part in summary.parts if part.spread]
    if unit == "s" and max(medians, default=0) >= _MANY_SECONDS:
        unit, scale = "minutes", _SECONDS_PER_MINUTE
    if unit:
        shown = "seconds" if unit == "s" else unit
        layout.paragraph(console, f"in {shown}", indent=layout.INDENT, style="dim")
    rows, heads = [], _heads(summary, by)
    for part in summary.parts:
        figures: list[Figure | None] = [None] * 3
        if spread := part.spread:
            quartiles = (spread.quartile1, spread.median, spread.quartile3)
            figures = [
                Figure(
                    figure(value, field, is_statistic=True)
                    if scale == 1
                    else rounded(value / scale)
                )
                for value in quartiles
            ]
        drawn = _sparkline(part.bins, plain=not has_blocks(console))
        rows.append((*_coverage(grouping, part)[: len(heads)], *figures, drawn))
    print_table(console, (*heads, "25%", "median", "75%", "histogram"), rows)
    bars = max((part.bins for part in summary.parts), key=len, default=())
    if len(bars) > 1:
        both = f"first {bin_label(field, bars[0])}, last {bin_label(field, bars[-1])}"
        layout.paragraph(console, f"histogram: {both}", style="dim")


def _print_values(console: Console, summary: Summary, grouping: Grouping, by: str) -> None:
    is_time = summary.field.kind is Kind.TIME
    rows, heads = [], _heads(summary, by)
    for part in summary.parts:
        shown = common(summary.field, part, _MOST_COMMON)
        rows.append((*_coverage(grouping, part)[: len(heads)], shown or None))
    print_table(console, (*heads, "range" if is_time else "most common"), rows)


def _heads(summary: Summary, by: str) -> Sequence[str]:
    """The heads of `_coverage`. Few groups of a setting have files without training metadata."""
    silent = any(
        part.population.no_metadata for part in summary.parts if part.population.group is not None
    )
    return (by, "files", "with value", *(["no metadata"] if silent else []))


def _coverage(by: Grouping, part: Part) -> Sequence[object]:
    """The group, and its numbers of files: all, with a value, without training metadata."""
    population = part.population
    group = group_text(by, population) or None
    if group is not None and by.field.kind in (Kind.INTEGER, Kind.NUMBER):
        group = Figure(group)
    filled = f"{number(part.count)} {share(part.count / population.files):>4}"
    return group, population.files, Figure(filled), population.no_metadata


def _span(console: Console, field: Field, low: float, high: float) -> str:
    return layout.span(console, *ends(field, low, high))


def _sparkline(bars: Sequence[Bin], *, plain: bool) -> str:
    """One cell for each bar; a bar above 0 is always visible."""
    steps = _PLAIN if plain else _BLOCKS
    tallest = max((one.count for one in bars), default=0) or 1
    return "".join(steps[-(-one.count * (len(steps) - 1) // tallest)] for one in bars)
