"""What the tenth with most likes per month does differently."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crawler.answers.settings import statistic
from crawler.answers.text import count, figure, listed, number
from crawler.insight.distribution import Part, groups, summaries
from crawler.query.fields import Field
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.numbers import percentiles
from crawler.store.stats.value_counts import numbers
from crawler.web.charts import COLOURS, GREY, Chart, Quartiles, Series, Spreads, bars, spreads
from crawler.web.figure import Axis
from crawler.web.findings.section import (
    ALIKE,
    FEWEST,
    RATE,
    Among,
    Section,
    behind,
    called,
)
from crawler.web.findings.shares import Shares, read_shares
from crawler.web.findings.told import TEXTS, Told

#: The settings that are compared.
_FIELDS = (
    *("network_dim", "alpha_ratio", RATE, "image_count", "resolution", "steps"),
    *("images_seen", "training_seconds"),
)

#: Most bars of a chart.
_MOST_BARS = 8

#: Ratios beyond these are not drawn: Prodigy's rates are ten thousand times those of others.
_ENDS = (0.1, 10.0)

#: Above this percentile are the most liked.
_PERCENTILE = 90

_TENTH = "most liked tenth"

_CAVEAT = (
    "Likes praise the subject, the pictures and the name of the creator as well as the training, and"
    " base models get different numbers of likes. So this shows what goes together with likes, not what"
    " causes them."
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A field among the well-liked and among all."""

    field: Field
    top: Part
    all: Part

    @property
    def medians(self) -> tuple[float, float]:
        """Of the well-liked, and of all."""
        one, other = self.top.spread, self.all.spread
        return (one.median if one else 0.0, other.median if other else 0.0)

    @property
    def ratio(self) -> float:
        """The median of the well-liked beside that of all; 1 where it has no meaning."""
        one, other = self.medians
        return one / other if min(one, other) > 0 else 1.0


def liked(connection: Connection, among: Among, told: Told) -> Section:
    """Medians and shares of the most liked tenth, beside those of all."""
    title = "What the well-liked do differently"
    field = BY_NAME["likes_per_month"]
    likes = numbers(connection, [field], among.tree, None)[field.name].get(None)
    if likes is None:
        nothing = "The likes of these files are not known."
        return Section(key="liked", title=title, paragraphs=(nothing,))
    ranks = percentiles(likes)
    if ranks[0] == (least := ranks[_PERCENTILE]):
        nothing = "Too many of these files have the same number of likes."
        return Section(key="liked", title=title, paragraphs=(nothing,))
    best = among.narrowed(f"likes_per_month >= {least!r}")
    whole = groups(connection, best.tree, None)
    fields = [BY_NAME[name] for name in _FIELDS]
    top = {
        summary.field.name: part
        for summary in summaries(connection, fields, best.tree, whole)
        for part in summary.parts
    }
    pairs = [
        _Pair(BY_NAME[name], top[name], told.whole[name])
        for name in _FIELDS
        if min(top[name].count, told.whole[name].count) >= FEWEST
    ]
    files = whole.among[0].files
    first = (
        f"The most liked tenth has at least {figure(least, field, is_statistic=True)} likes per month:"
        f" {number(files)} of the {count(len(likes), 'file')} whose likes are known."
    )
    charts = [_settings(pairs, files)] if pairs else []
    for name, plural in TEXTS.items():
        every = told.shares[name].together()
        if not every.is_whole:
            every = read_shares(connection, among, BY_NAME[name])
        charts += _shares(read_shares(connection, best, BY_NAME[name]), every, name, plural)
    return Section(
        key="liked",
        title=title,
        paragraphs=(" ".join((first, *_differences(pairs))), _CAVEAT),
        charts=tuple(charts),
        commands=(
            best.command("stats", *_FIELDS, *TEXTS),
            among.command("stats", *_FIELDS, *TEXTS),
        ),
    )


def _differences(pairs: Sequence[_Pair]) -> list[str]:
    ordered = sorted(pairs, key=lambda pair: -abs(math.log(pair.ratio)))
    different = [pair for pair in ordered if abs(math.log(pair.ratio)) >= math.log(ALIKE)]
    alike = [called(pair.field) for pair in pairs if pair not in different]
    sentences = []
    if different:
        told = [
            f"{called(pair.field)} {statistic(pair.field, pair.medians[0])} instead of"
            f" {statistic(pair.field, pair.medians[1])}"
            for pair in different
        ]
        sentences.append(f"Their medians instead of those of all: {listed(told)}.")
    if alike:
        sentences.append(f"About the same: {listed(alike)}.")
    return sentences


def _settings(pairs: Sequence[_Pair], files: int) -> Chart:
    drawn = [pair for pair in pairs if min(pair.medians) > 0]

    def relative(name: str, which: Callable[[_Pair], Part], colour: str) -> Spreads:
        found = []
        for pair in drawn:
            part, beside = which(pair), pair.medians[1]
            if spread := part.spread:
                three = (spread.quartile1, spread.median, spread.quartile3)
                scaled = (value / beside for value in three)
                found.append(Quartiles(called(pair.field), part.count, *scaled))
        return Spreads(name, found, colour)

    chart = spreads(
        "liked-settings",
        "Settings of the most liked tenth beside all, relative to the median of all",
        f"{behind(files)} in the {_TENTH}",
        [
            relative(_TENTH, lambda pair: pair.top, COLOURS[0]),
            relative("all", lambda pair: pair.all, GREY),
        ],
        name="setting",
        x=Axis("value / median of all", log=True, ends=_ENDS),
        note="Median and IQR; 1 is the median of all. A line may go on beyond the drawing",
        wide=True,
    )
    rows = []
    for pair in pairs:
        for name, part in ((_TENTH, pair.top), ("all", pair.all)):
            if spread := part.spread:
                three = (spread.quartile1, spread.median, spread.quartile3)
                shown = (statistic(pair.field, value) for value in three)
                rows.append((called(pair.field), name, number(part.count), *shown))
    head = ("setting", "among", "files", "25%", "median", "75%")
    return replace(chart, head=head, rows=tuple(rows))


def _shares(top: Shares, every: Shares, name: str, plural: str) -> list[Chart]:
    if min(top.totals.get(None, 0), every.totals.get(None, 0)) < FEWEST:
        return []
    names = every.most([None], _MOST_BARS)
    return [
        bars(
            f"liked-{name}",
            f"Shares of {plural}, {_TENTH} beside all",
            f"{behind(top.totals[None])} in the {_TENTH}, {number(every.totals[None])} in all",
            names,
            [
                Series(_TENTH, [top.of(None, value) for value in names]),
                Series("all", [every.of(None, value) for value in names], colour=GREY),
            ],
            name=name.replace("_", " "),
            x=Axis("share of files", is_share=True),
        )
    ]
