"""How the settings changed, by month of publication."""

from collections.abc import Callable, Sequence

from crawler.answers.settings import statistic
from crawler.answers.text import listed
from crawler.insight.distribution import Part, Spread, Summary
from crawler.query.fields import SECONDS
from crawler.store.connect.database import Connection
from crawler.web.charts import Chart, Series, lines
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
from crawler.web.findings.shares import Shares
from crawler.web.findings.told import TEXTS, Told

#: The settings that are followed.
_FIELDS = ("network_dim", RATE, "image_count", "resolution", "images_seen", "training_seconds")

#: Most lines of a chart.
_MOST_LINES = 6

#: A line has at least so many months.
_FEWEST_MONTHS = 3

_SECONDS_PER_HOUR = 3_600

_MONTH = "month of publication"


def months(_: Connection, among: Among, told: Told) -> Section:
    """Medians of the settings, and shares of base models and optimizers, by month."""
    title = "How settings changed"
    names = [str(one.group) for one in told.by_month.among if one.group is not None]
    followed = [
        (told.months[name], chart) for name in _FIELDS if (chart := _medians(told.months[name]))
    ]
    if not followed:
        nothing = (
            f"Fewer than {_FEWEST_MONTHS} months have {FEWEST} files that state their settings."
        )
        return Section(key="months", title=title, paragraphs=(nothing,))
    shares = [
        _shares(f"months-{name}", f"Shares of {plural} by month", names, told.shares[name])
        for name, plural in TEXTS.items()
    ]
    period = (
        f"By the month in which a version was published, {names[0]} to {names[-1]}. A month with fewer"
        f" than {FEWEST} files has no median."
    )
    return Section(
        key="months",
        title=title,
        paragraphs=(period, _changes([summary for summary, _ in followed])),
        charts=(*(chart for _, chart in followed), *shares),
        commands=(
            among.command("stats", *_FIELDS, "--by", "month"),
            among.command("stats", *TEXTS, "--by", "month"),
        ),
    )


def _known(summary: Summary) -> list[tuple[str, Part, Spread]]:
    """The months with enough files."""
    return [
        (str(part.population.group), part, part.spread)
        for part in summary.parts
        if part.population.group is not None and part.spread and part.count >= FEWEST
    ]


def _medians(summary: Summary) -> Chart | None:
    known = {month: spread for month, _, spread in _known(summary)}
    if len(known) < _FEWEST_MONTHS:
        return None
    field = summary.field
    parts = [part for part in summary.parts if part.population.group is not None]
    names = [str(part.population.group) for part in parts]
    is_time = field.unit == SECONDS
    scale = _SECONDS_PER_HOUR if is_time else 1
    unit = "hours" if is_time else "px" if field.unit == "px" else ""

    def values(which: Callable[[Spread], float]) -> list[float | None]:
        return [which(known[name]) / scale if name in known else None for name in names]

    median = Series(
        "median",
        values(lambda spread: spread.median),
        low=values(lambda spread: spread.quartile1),
        high=values(lambda spread: spread.quartile3),
    )
    return lines(
        f"months-{field.name}",
        f"Median {called(field)} by month",
        behind(sum(part.count for part in parts)),
        names,
        [median],
        name=_MONTH,
        y=Axis(called(field), unit, log=field.name == RATE),
        counts=[part.count for part in parts],
        note="The band is the IQR",
    )


def _changes(followed: Sequence[Summary]) -> str:
    """What the first and the last month with enough files differ in."""
    changed, same = [], []
    for summary in followed:
        (first, _, before), *_, (last, _, after) = _known(summary)
        name, field = called(summary.field), summary.field
        low, high = sorted((before.median, after.median))
        if low > 0 and high / low >= ALIKE:
            values = statistic(field, before.median), statistic(field, after.median)
            changed.append(f"{name} from {values[0]} ({first}) to {values[1]} ({last})")
        else:
            same.append(f"{name} at {statistic(field, after.median)}")
    sentences = []
    if changed:
        sentences.append(f"Medians that changed: {listed(changed)}.")
    if same:
        sentences.append(f"About the same: {listed(same)}.")
    return " ".join(sentences)


def _shares(key: str, title: str, names: Sequence[str], found: Shares) -> Chart:
    totals = [found.totals.get(name, 0) for name in names]
    return lines(
        key,
        title,
        behind(sum(totals)),
        names,
        [
            Series(value, [found.of(name, value) for name in names])
            for value in found.most(names, _MOST_LINES)
        ],
        name=_MONTH,
        y=Axis("share of files", is_share=True),
        counts=totals,
    )
