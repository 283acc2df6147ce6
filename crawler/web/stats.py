"""Statistics: the charts of the report, and fields by the groups of another one, for a condition."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from crawler.answers.asked import without_copies
from crawler.answers.conditions import arguments, tree_of
from crawler.answers.remarks import why_empty
from crawler.answers.settings import HEADINGS
from crawler.answers.stats import (
    MAIN_GROUPED,
    MONTH,
    Statistics,
    asked_stats,
    common,
    group_text,
    statistics,
)
from crawler.answers.text import count, number, share
from crawler.errors import UsageError
from crawler.insight.distribution import Groups, Summary
from crawler.query.fields import Kind
from crawler.store.schema.fields import FIELDS
from crawler.web.charts import Chart, Quartiles, Spreads, spreads
from crawler.web.figure import Axis
from crawler.web.findings.coverage import coverage
from crawler.web.findings.creators import creators
from crawler.web.findings.liked import liked
from crawler.web.findings.months import months
from crawler.web.findings.section import Among, Section, behind
from crawler.web.findings.settings import settings
from crawler.web.findings.told import Told, shares_by_month, told_by_all, told_together
from crawler.web.html import chart_styles
from crawler.web.limits import MAX_FIELDS
from crawler.web.page import Asked, Html

#: The sections of the report, each a page of its own: all of them take longer than a reader waits.
_SECTIONS = {
    "coverage": ("Coverage", coverage),
    "settings": ("Settings", settings),
    "months": ("By month", months),
    "liked": ("Well liked", liked),
    "creators": ("Creators", creators),
}

#: What a section gets that needs nothing of what all files say.
_NOTHING = Told(Groups(None, ()), {}, {}, {})

#: The page on which a reader chooses the groups.
_GROUPS = "groups"

#: Most groups of a text, and most common values of each.
_MOST_GROUPS, _MOST_COMMON = 20, 3

#: From this ratio of the largest to the smallest median on, an axis is logarithmic.
_LOGARITHMIC = 30


def page(asked: Asked) -> Html:
    """One section of the report for the files of a condition, or the groups of a field."""
    q, by = asked.condition(), asked.text("by").strip()
    chosen = asked.text("show") or (_GROUPS if by else next(iter(_SECTIONS)))
    if chosen not in {*_SECTIONS, _GROUPS}:
        raise UsageError(f"show takes {', '.join(_SECTIONS)} or {_GROUPS}, not {chosen!r}")
    tree = tree_of(q)
    selected, copies = without_copies(asked.connection, tree, copies=False)
    names = [*((key, name) for key, (name, _) in _SECTIONS.items()), (_GROUPS, "By any field")]
    fields = [name.strip() for text in asked.texts("field") for name in text.split(",")]
    values: dict[str, Any] = {
        "q": q,
        "show": chosen,
        "tabs": [
            {"name": name, "address": _address(q, key), "is_on": key == chosen}
            for key, name in names
        ],
        "by": by,
        "fields": ", ".join(filter(None, fields)),
        "usual": ", ".join(MAIN_GROUPED),
        "choices": _choices(by),
        "copies": f"{count(copies, 'scanned copy', 'scanned copies')} left out." if copies else "",
        "why": why_empty(asked.connection, tree),
        "tables": [],
        "remark": "",
        "chart_styles": chart_styles(),
    }
    title = f"Statistics: {dict(names)[chosen]}" + (f" of {q}" if q else "")
    among = Among(selected, tuple(arguments(q)))
    if chosen == _GROUPS:
        section = Section(key=_GROUPS, title="Groups of a field", paragraphs=())
        if by:
            section, values["tables"], values["remark"] = _grouped(asked, among, by, fields)
    else:
        section = _section(asked, among, chosen)
    return Html("stats.html", title, values | {"section": section})


def _section(asked: Asked, among: Among, chosen: str) -> Section:
    def make() -> Section:
        return _SECTIONS[chosen][1](asked.connection, among, _told(asked, among, chosen))

    key = (chosen, repr(among.tree), among.where)
    return asked.kept.get(asked.connection, key, make)


def _grouped(
    asked: Asked, among: Among, by: str, fields: Sequence[str]
) -> tuple[Section, list[dict[str, Any]], str]:
    """The section of a grouping, its tables of texts, and what it leaves out."""
    wanted = asked_stats([*filter(None, fields)], by, most=_MOST_GROUPS)
    if len(wanted.fields) > MAX_FIELDS:
        raise UsageError(f"{len(wanted.fields)} fields are given; {MAX_FIELDS} are allowed")
    found = statistics(asked.connection, wanted, among.tree)
    name = wanted.name or ""
    charts, tables = [], []
    for one in found.summaries:
        if one.scale is None:
            tables.append(_table(found, one, name))
        elif (chart := _chart(found, one, name)) is not None:
            charts.append(chart)
        else:
            tables.append({"key": "", "title": one.field.name, "head": (), "rows": []})
    files = sum(one.files for one in found.groups.among) + found.groups.files
    words = (one.name for one in wanted.fields)
    section = Section(
        key=_GROUPS,
        title=f"By {name}",
        paragraphs=(f"{count(files, 'file')} in {count(len(found.groups.among), 'group')}.",),
        charts=tuple(charts),
        commands=(among.command("stats", *words, "--by", name),),
    )
    return section, tables, found.remark()


def _chart(found: Statistics, one: Summary, name: str) -> Chart | None:
    """A number in each group; None if no group has one."""
    grouping, field = found.groups.by, one.field
    if grouping is None:
        return None
    groups = [
        Quartiles(
            group_text(grouping, part.population) or "none",
            part.count,
            part.spread.quartile1,
            part.spread.median,
            part.spread.quartile3,
        )
        for part in one.parts
        if part.spread is not None
    ]
    if not groups:
        return None
    medians = [group.median for group in groups]
    is_log = min(medians) > 0 and max(medians) / min(medians) >= _LOGARITHMIC
    return spreads(
        f"by-{field.name}",
        f"{field.name} by {name}",
        behind(sum(group.files for group in groups)),
        [Spreads(field.name, groups)],
        name=name,
        x=Axis(field.name, field.unit, log=is_log),
        note="Median and IQR",
        wide=len(found.asked.fields) == 1,
    )


def _table(found: Statistics, one: Summary, name: str) -> dict[str, Any]:
    grouping, field = found.groups.by, one.field
    rows = [
        (
            group_text(grouping, part.population) or "none",
            number(part.population.files),
            f"{number(part.count)} ({share(part.count / part.population.files)})",
            common(field, part, _MOST_COMMON),
        )
        for part in one.parts
        if grouping is not None
    ]
    last = "range" if field.kind is Kind.TIME else "most common"
    return {
        "key": f"by-{field.name}",
        "title": f"{field.name} by {name}",
        "head": (name, "files", "with a value", last),
        "rows": rows,
    }


def _choices(by: str) -> Iterator[dict[str, Any]]:
    """What files can be grouped by, under headings."""
    groups: dict[str, list[dict[str, Any]]] = {"Time of publication": [_choice(MONTH, by)]}
    for field in FIELDS:
        if field.kind not in {Kind.LIST, Kind.OBJECT}:
            title = HEADINGS.get(field.group, "What it is")
            groups.setdefault(title, []).append(_choice(field.name, by))
    if by and all(not one["is_on"] for some in groups.values() for one in some):
        groups["As asked"] = [_choice(by, by)]
    for title, some in groups.items():
        yield {"title": title, "choices": some}


def _choice(name: str, by: str) -> dict[str, Any]:
    return {"name": name, "is_on": name == by}


def _address(q: str, show: str) -> str:
    given = {"q": q, "show": show}
    return f"/stats?{urlencode({name: value for name, value in given.items() if value})}"


def _told(asked: Asked, among: Among, chosen: str) -> Told:
    """What a section needs of what all files say. Each part is kept, for another try and another section."""
    connection, key = asked.connection, repr(among.tree)
    keep = partial(asked.kept.get, connection)
    if chosen == "months":
        return keep(("told", key), lambda: told_by_all(connection, among))
    told = _NOTHING
    if chosen in {"settings", "liked"}:
        told = replace(told, whole=keep(("whole", key), lambda: told_together(connection, among)))
    if chosen == "liked":
        shares = keep(("shares", key), lambda: shares_by_month(connection, among))
        told = replace(told, shares=shares)
    return told
