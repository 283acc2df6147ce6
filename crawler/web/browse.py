"""The first page: a condition, the rows that match it, and what else their fields hold.

All of its state is in its address. What a click changes is another address, so links can be kept and sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from crawler.answers.asked import asked_by, without_copies
from crawler.answers.conditions import (
    arguments,
    before_another,
    command_line,
    equal_to,
    parts,
    tree_of,
    without_condition,
)
from crawler.answers.remarks import sparse, why_empty
from crawler.answers.rows import csv_lines, json_lines
from crawler.answers.settings import HEADINGS, spoken_value
from crawler.answers.text import cell, count, day, figure, is_number, number
from crawler.answers.visible import cut
from crawler.errors import QueryError, UsageError
from crawler.query.caret import caret
from crawler.query.fields import Field, Kind, named, spelled
from crawler.query.tree import Node, names
from crawler.store.read.pages import page as page_of
from crawler.store.read.search import DEFAULT_COLUMNS, Search
from crawler.store.schema.fields import BY_NAME, FIELDS
from crawler.store.stats.facets import Counted, Facet
from crawler.web.html import page_link
from crawler.web.limits import (
    MAX_CELLS,
    MAX_CHARACTERS,
    MAX_COLUMNS,
    MAX_EXPRESSION,
    MAX_ROWS,
    MAX_SORTS,
    USUAL_ROWS,
)
from crawler.web.page import Asked, Download, Html

#: Longest text of a cell and of a facet's value, in characters.
_CELL, _NAME = 80, 40

#: The headings of the facets; a field without one has its name.
_TITLES = {
    "base_model": "Base model",
    "trainer": "Trainer",
    "optimizer": "Optimizer",
    "network_algo": "Algorithm",
    "network_dim": "Rank",
    "creator": "Creator",
    "published_at": "Month of publication",
}

#: Conditions to try.
_EXAMPLES = ("network_dim:64..", "optimizer:Prodigy", "published_at:-90d", "has(tags, '1girl')")

#: Columns whose values lead to the page of the LoRA.
_LEADING = ("file_id", "model_name")


@dataclass(frozen=True, slots=True)
class View:
    """What is asked of the first page, as in its address.

    Attributes:
        q: The condition.
        sort: As `--sort` takes it.
        columns: As `--columns` takes it; empty for the usual ones.
        limit: Rows of a page.
        after: Where the page begins.
        copies: Whether scanned copies are shown too.
    """

    q: str = ""
    sort: str = ""
    columns: str = ""
    limit: int = USUAL_ROWS
    after: str = ""
    copies: bool = False

    def address(self, path: str = "/", **changes: Any) -> str:
        """The address of this view with some changes. A changed view begins with its first page."""
        view = replace(self, **{"after": "", **changes})
        given = {
            "q": view.q,
            "sort": view.sort,
            "columns": view.columns,
            "limit": "" if view.limit == USUAL_ROWS else view.limit,
            "copies": "yes" if view.copies else "",
            "after": view.after,
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{path}?{query}" if query else path

    @property
    def command(self) -> str:
        """The command that gives the same rows."""
        words = ["lora-crawl", "query", *arguments(self.q)]
        for option, value in (("--columns", self.columns), ("--sort", self.sort)):
            words += (
                [f"{option}={value}"] if value.startswith("-") else [option, value] * bool(value)
            )
        words += ["--limit", str(self.limit)] * (self.limit != USUAL_ROWS)
        return command_line([*words, *["--copies"] * self.copies])


def view_of(asked: Asked) -> View:
    """The view that a request names; raises UsageError for what it cannot be."""
    return View(
        q=asked.condition(),
        sort=asked.text("sort").strip(),
        columns=",".join(
            dict.fromkeys(",".join(asked.texts("columns")).replace(" ", "").split(","))
        ),
        limit=asked.whole("limit", USUAL_ROWS, least=1, most=MAX_ROWS),
        after=asked.text("after"),
        copies=asked.text("copies") == "yes",
    )


@dataclass(frozen=True, slots=True)
class Question:
    """A view as a search.

    Attributes:
        search: It leaves out scanned copies where they are not asked for.
        tree: The condition of the view.
        among: The condition that leaves out copies; None if nothing does.
        copies: The number of copies that are left out.
    """

    search: Search
    tree: Node | None
    among: Node | None
    copies: int


def question_of(asked: Asked, view: View, limit: int) -> Question:
    """The search of a view.

    Raises:
        QueryError: The condition or a name is not known.
        UsageError: There are too many names.
    """
    search = asked_by(
        arguments(view.q),
        columns=view.columns or None,
        sort=view.sort or None,
        limit=limit,
        offset=0,
        count=False,
        group_by=None,
    )
    for what, given, most in (
        ("columns", search.columns, MAX_COLUMNS),
        ("sort", search.sort, MAX_SORTS),
    ):
        if len(given) > most:
            raise UsageError(f"{what} has {len(given)} names; {most} are allowed")
    tree, copies = without_copies(asked.connection, search.tree, copies=view.copies)
    among = without_copies(asked.connection, None, copies=False)[0] if copies else None
    return Question(replace(search, tree=tree), search.tree, among, copies)


def counts_of(asked: Asked, question: Question) -> Counted | None:
    """The number of rows and the facets; None if that takes too long."""
    return asked.counting.counted(asked.connection, question.tree, question.among)


def page(asked: Asked) -> Html:
    """The rows that match a condition, with facets; or what is wrong with the condition."""
    view = view_of(asked)
    common = {
        "view": view,
        "usual_rows": USUAL_ROWS,
        "groups": _groups(view),
        "examples": [{"q": q, "link": view.address(q=q)} for q in _EXAMPLES],
        "error": None,
    }
    try:
        question = question_of(asked, view, view.limit)
    except QueryError as error:
        wrong = {"message": str(error), "place": caret(error), "hint": error.hint}
        return Html("browse.html", "Not understood", common | {"error": wrong}, 400)
    search, copies = question.search, question.copies
    counts = counts_of(asked, question)
    found = page_of(
        asked.connection,
        search,
        after=view.after,
        matches=None if counts is None else counts.total,
        characters=MAX_CHARACTERS,
    )
    remarks = [*sparse(asked.connection, search)]
    if not found.rows and not view.after:
        remarks = [*why_empty(asked.connection, search.tree), *remarks]
    if copies:
        remarks.append(f"{count(copies, 'scanned copy', 'scanned copies')} left out")
    return Html(
        "browse.html",
        view.q or "LoRAs",
        common
        | {
            "heads": [_head(name, view, search) for name in search.columns],
            "rows": [_row(row, search.columns) for row in found.rows],
            "total": None if counts is None else counts.total,
            "next": view.address(after=found.after) if found.after else "",
            "facets": _facets(view, search.tree, counts),
            "remarks": remarks,
            "copies": copies,
        },
    )


def csv(asked: Asked) -> Download:
    """The rows of a view as CSV, without what a spreadsheet would run."""
    names, rows = _all_rows(asked)
    return Download("loras.csv", "".join(csv_lines(names, rows, safe=True)), "text/csv")


def json(asked: Asked) -> Download:
    """The rows of a view as JSON."""
    names, rows = _all_rows(asked)
    return Download("loras.json", "".join(json_lines(names, rows)), "application/json")


def _all_rows(asked: Asked) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Every row of a view, up to MAX_CELLS."""
    view = view_of(asked)
    search = question_of(asked, view, 1).search
    search = replace(search, limit=max(MAX_CELLS // len(search.columns), 1))
    found = page_of(asked.connection, search, characters=MAX_CHARACTERS)
    return found.columns, [row[1:] for row in found.rows]


def _head(name: str, view: View, search: Search) -> dict[str, Any]:
    """The head of a column: a link that sorts by it, the largest first at the first click."""
    field = named(name, BY_NAME)
    sorted_by = dict(search.sort[:1])
    direction = None
    if name in sorted_by:
        direction = "descending" if sorted_by[name] else "ascending"
    can = field is not None and field.kind not in {Kind.LIST, Kind.OBJECT}
    first = (
        "-" if field is not None and field.kind in {Kind.INTEGER, Kind.NUMBER, Kind.TIME} else ""
    )
    again = {"descending": name, "ascending": f"-{name}", None: f"{first}{name}"}[direction]
    columns = view.columns or ",".join(search.columns)
    return {
        "name": spelled(name),
        "meaning": "" if field is None else field.meaning,
        "unit": "" if field is None else field.unit,
        "is_number": _is_amount(field),
        "sorted": direction,
        "link": view.address(sort=again, columns=columns) if can else "",
    }


def _is_amount(field: Field | None) -> bool:
    return field is not None and field.kind in {Kind.INTEGER, Kind.NUMBER}


def _row(row: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    file_id, *values = row
    leads = next((name for name in ("model_name", "file_id") if name in columns), columns[0])
    return [
        {
            "text": _shown(value, named(name, BY_NAME)),
            "is_number": is_number(value),
            "link": f"/loras/{file_id}" if name == leads or name in _LEADING else "",
            "page": page_link(value) if name == "page_url" else "",
        }
        for name, value in zip(columns, values, strict=True)
    ]


def _shown(value: Any, field: Field | None) -> str:
    if value is None:
        return ""
    if is_number(value):
        return figure(value, field)
    if isinstance(value, datetime):
        return day(value)
    if isinstance(value, str):
        return cut(value, _CELL)
    return cut(cell(value) if field is None else spoken_value(field, value), _CELL)


def _facets(view: View, tree: Node | None, counts: Counted | None) -> list[dict[str, Any]]:
    if counts is None:
        return []
    before, stated = before_another(view.q), parts(tree)
    asked = () if tree is None else names(tree)
    facets = [
        # Only a field that the condition names can have a value that it states.
        _facet(facet, view, before, stated if facet.field in asked else frozenset())
        for facet in counts.facets
    ]
    return [facet for facet in facets if facet["items"]]


def _facet(facet: Facet, view: View, before: str, stated: frozenset[str]) -> dict[str, Any]:
    values: list[tuple[str | int | None, int]] = [*facet.values]
    if facet.missing:
        values.append((None, facet.missing))
    largest = max((times for _, times in values), default=0)
    items = []
    for value, times in values:
        condition = equal_to(facet.field, value)
        is_on = bool(stated) and parts(tree_of(condition)) <= stated
        q = without_condition(view.q, condition) if is_on else before + condition
        items.append(
            {
                "name": "none" if value is None else cut(str(value), _NAME) or "(empty)",
                "is_missing": value is None,
                "count": number(times),
                "width": max(round(100 * times / largest), 1),
                "is_on": is_on,
                "link": "" if q is None or len(q) > MAX_EXPRESSION else view.address(q=q),
            }
        )
    return {
        "title": _TITLES[facet.field],
        "items": items,
        "more": facet.more,
        "some": f"{'latest' if facet.field == 'published_at' else 'top'} {len(facet.values)}",
        "is_on": any(item["is_on"] for item in items),
    }


def _groups(view: View) -> list[dict[str, Any]]:
    """The columns to choose from, in their groups."""
    chosen = set(view.columns.split(",") if view.columns else DEFAULT_COLUMNS)
    groups: dict[str, list[dict[str, Any]]] = {}
    for field in FIELDS:
        title = HEADINGS.get(field.group, "What it is")
        one = {"name": field.name, "meaning": field.meaning, "is_on": field.name in chosen}
        groups.setdefault(title, []).append(one)
    return [{"title": title, "fields": fields} for title, fields in groups.items()]
