"""The settings that LoRAs are trained with."""

from crawler.answers.settings import bin_label, ends, statistic
from crawler.answers.text import count, figure, listed, number, rounded, share
from crawler.answers.visible import cut
from crawler.insight.distribution import Groups, Part, Summary, groups, summaries
from crawler.query.fields import SECONDS, Field
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.web.charts import Chart, Quartiles, Series, Spreads, bars, histogram, spreads
from crawler.web.figure import Axis
from crawler.web.findings.section import (
    LONGEST_NAME,
    RATE,
    SETTINGS,
    Among,
    Section,
    behind,
    called,
    without_data,
)
from crawler.web.findings.told import Told

#: Most optimizers of a chart.
_MOST_OPTIMIZERS = 8

#: Units of seconds and of large numbers at the edges of bars.
_CLOCK = ((86_400, " d"), (3_600, " h"), (60, " min"), (1, " s"))
_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def settings(connection: Connection, among: Among, told: Told) -> Section:
    """A histogram for each setting, and the rates of each optimizer."""
    title = "Settings"
    known = [name for name in SETTINGS if name != RATE and told.whole[name].count]
    optimizers = groups(connection, among.tree, BY_NAME["optimizer"], most=_MOST_OPTIMIZERS)
    named = [one for one in optimizers.among if one.group is not None]
    if not known and not named:
        return without_data("settings", title)
    paragraphs = []
    if medians := [
        f"{SETTINGS[name]} {statistic(BY_NAME[name], spread.median)}"
        for name in known
        if (spread := told.whole[name].spread)
    ]:
        paragraphs.append(
            f"The medians: {listed(medians)}. Each is over the files that state the setting; every chart"
            " tells how many those are."
        )
    charts = [_histogram(BY_NAME[name], told.whole[name]) for name in known]
    if named:
        total = sum(one.files for one in named) + optimizers.files
        paragraphs.append(
            f"The most common optimizer is {cut(named[0].group, LONGEST_NAME)}, with"
            f" {share(named[0].files / total)} of the {count(total, 'file')} that name one."
        )
        charts.append(_optimizers(optimizers, total))
        (rates,) = summaries(connection, [BY_NAME[RATE]], among.tree, optimizers)
        charts += _rates(rates)
    return Section(
        key="settings",
        title=title,
        paragraphs=tuple(paragraphs),
        charts=tuple(charts),
        commands=(
            among.command("stats", *SETTINGS, "optimizer"),
            among.command("stats", RATE, "--by", "optimizer"),
        ),
    )


def _histogram(field: Field, part: Part) -> Chart:
    name = called(field)
    note = ""
    if spread := part.spread:
        low, high = ends(field, spread.quartile1, spread.quartile3)
        note = f"Median {statistic(field, spread.median)}, IQR {low} to {high}"
        if spread.minimum == spread.maximum:
            note = "All the same"
    return histogram(
        f"settings-{field.name}",
        f"{name[0].upper()}{name[1:]}",
        behind(part.count),
        Axis(name, field.unit if field.unit == "px" else ""),
        [
            (bin_label(field, one), "" if one.low is None else _edge(field, one.low), one.count)
            for one in part.bins
        ],
        exact=all(one.low == one.high for one in part.bins),
        note=note,
    )


def _edge(field: Field, value: float) -> str:
    """A value below an axis, as short as possible."""
    units = _CLOCK if field.unit == SECONDS else () if field.unit == "px" else _LARGE
    for size, unit in units:
        if abs(value) >= size:
            return f"{rounded(value / size)}{unit}"
    return figure(value, field) if field.unit == "px" else rounded(value)


def _optimizers(optimizers: Groups, total: int) -> Chart:
    named = [one for one in optimizers.among if one.group is not None]
    names = [str(one.group) for one in named]
    files = [one.files for one in named]
    if optimizers.left_out:
        names.append(f"{number(optimizers.left_out)} more")
        files.append(optimizers.files)
    return bars(
        "settings-optimizer",
        "Optimizers",
        behind(total),
        names,
        [Series("files", files)],
        name="optimizer",
        x=Axis("files"),
    )


def _rates(rates: Summary) -> list[Chart]:
    found = [
        Quartiles(
            str(part.population.group),
            part.count,
            part.spread.quartile1,
            part.spread.median,
            part.spread.quartile3,
        )
        for part in rates.parts
        # A logarithmic axis has no 0.
        if part.population.group is not None and part.spread and part.spread.median > 0
    ]
    if not found:
        return []
    return [
        spreads(
            "settings-rates",
            "Learning rate of the image model, by optimizer",
            behind(sum(one.files for one in found)),
            [Spreads("learning rate", found)],
            name="optimizer",
            x=Axis("learning rate", log=True),
            note="Median and IQR",
        )
    ]
