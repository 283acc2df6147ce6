"""The report: one HTML file that needs no network and runs no script but its own."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from crawler import __version__
from crawler.answers.settings import spoken_value, statistic
from crawler.answers.text import day, instant, is_number
from crawler.answers.visible import cut
from crawler.query.fields import SECONDS, Field, Kind
from crawler.store.connect.database import Connection
from crawler.store.read.search import Search, search
from crawler.store.schema.fields import BY_NAME
from crawler.web.findings.coverage import coverage
from crawler.web.findings.creators import creators
from crawler.web.findings.liked import liked
from crawler.web.findings.months import months
from crawler.web.findings.section import Among, Section
from crawler.web.findings.settings import settings
from crawler.web.findings.told import told_by_all
from crawler.web.html import asset, environment, page_link, plotly_script, plotly_styles

#: The sections, in their order.
SECTIONS = (coverage, settings, months, liked, creators)

#: Rows of the table; more make the file and the browser slow.
MAX_ROWS = 2_000

#: Characters of a text in the table.
LONGEST_CELL = 80

#: The columns of the table: a field and its head.
COLUMNS = {
    "model_name": "LoRA",
    "creator": "creator",
    "base_model": "base model",
    "trainer": "trainer",
    "network_dim": "rank",
    "network_alpha": "alpha",
    "optimizer": "optimizer",
    "effective_unet_lr": "learning rate",
    "image_count": "images",
    "resolution": "resolution",
    "steps": "steps",
    "images_seen": "images seen",
    "training_seconds": "training time",
    "likes": "likes",
    "published_at": "published",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in the table.

    Attributes:
        text: As it is shown.
        key: What a number is sorted by; None for a text.
        link: The address of its page; may be empty.
    """

    text: str
    key: float | None = None
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report tells.

    Attributes:
        title: Its heading.
        made_at: The current time.
        condition: As it was written; empty for all files.
        sections: In order.
        rows: The most liked files with training metadata, at most MAX_ROWS.
        total: The number of files with training metadata.
    """

    title: str
    made_at: datetime
    condition: tuple[str, ...]
    sections: Sequence[Section]
    rows: Sequence[tuple[Cell, ...]]
    total: int


def report(
    connection: Connection,
    among: Among,
    *,
    title: str,
    now: datetime,
    going: Callable[[float], object] = lambda _: None,
) -> Report:
    """The report about some files.

    Args:
        connection: To read from.
        among: The files.
        title: The heading.
        now: The current time.
        going: Called after each part of the work with the share that is done.
    """
    works = len(SECTIONS) + 2
    told = told_by_all(connection, among)
    going(1 / works)
    sections = []
    for at, section in enumerate(SECTIONS, start=2):
        sections.append(section(connection, among, told))
        going(at / works)
    trained = among.narrowed("outcome = 'decoded'").tree
    with search(connection, Search(tree=trained, count=True)) as found:
        ((total,),) = found.rows
    asked = Search(
        tree=trained,
        columns=(*COLUMNS, "page_url"),
        sort=(("likes", True),),
        limit=MAX_ROWS,
    )
    with search(connection, asked) as found:
        rows = [_row(row) for row in found.rows]
    return Report(
        title=title,
        made_at=now,
        condition=among.where,
        sections=sections,
        rows=rows,
        total=total,
    )


def page(of: Report) -> str:
    """The report as HTML."""
    plotly = plotly_script()
    scripts = [plotly, asset("charts.js"), asset("report.js")]
    style = asset("style.css")
    allowed = " ".join(map(_hash, scripts))
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    heads = [
        (head, BY_NAME[name].kind in {Kind.INTEGER, Kind.NUMBER}) for name, head in COLUMNS.items()
    ]
    return (
        environment()
        .get_template("report.html")
        .render(
            report=of,
            policy=policy,
            style=Markup(style),  # noqa: S704 - files of this package
            scripts=[Markup(script) for script in scripts],  # noqa: S704
            styles=plotly_styles(plotly),
            heads=heads,
            made_at=instant(of.made_at),
            version=__version__,
        )
    )


def _row(row: Sequence[Any]) -> tuple[Cell, ...]:
    *values, address = row
    cells = []
    for name, value in zip(COLUMNS, values, strict=True):
        text = "" if value is None else _text(BY_NAME[name], value)
        key = float(value) if is_number(value) else None
        cells.append(Cell(text, key, page_link(address) if name == "model_name" else ""))
    return tuple(cells)


def _text(field: Field, value: Any) -> str:
    if isinstance(value, datetime):
        return day(value)
    if isinstance(value, str):
        return cut(value, LONGEST_CELL)
    return statistic(field, value) if field.unit == SECONDS else spoken_value(field, value)


def _hash(text: str) -> str:
    """The source expression of a Content-Security-Policy for an inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
