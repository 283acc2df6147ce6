"""What all files say by month, and over all months: a million files are not read twice for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.insight.distribution import Groups, Part, Summary, groups, summaries, with_wholes
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.value_counts import Grouping, Population
from crawler.web.findings.section import SETTINGS, Among
from crawler.web.findings.shares import Shares, read_shares

#: The texts whose shares are shown, with what a reader calls them.
TEXTS = {"base_model": "base models", "optimizer": "optimizers"}


@dataclass(frozen=True, slots=True)
class Told:
    """The figures that several sections use.

    Attributes:
        by_month: The months of publication.
        months: A field's name -> the field in each month.
        whole: A field's name -> the field over all files.
        shares: The name of one of TEXTS -> its shares in each month.
    """

    by_month: Groups
    months: Mapping[str, Summary]
    whole: Mapping[str, Part]
    shares: Mapping[str, Shares]


def told_by_all(connection: Connection, among: Among) -> Told:
    """What the files say of SETTINGS and TEXTS."""
    by_month = groups(connection, among.tree, BY_NAME["published_at"])
    fields = [BY_NAME[name] for name in SETTINGS]
    months, whole = {}, {}
    for summary, part in with_wholes(connection, fields, among.tree, by_month):
        months[summary.field.name], whole[summary.field.name] = summary, part
    return Told(by_month, months, whole, shares_by_month(connection, among))


def told_together(connection: Connection, among: Among) -> Mapping[str, Part]:
    """What the files say of SETTINGS over all months, for a page that shows nothing by month."""
    whole = groups(connection, among.tree, None)
    if not whole.among:
        return {name: Part(Population(None, 0, 0, 0), 0) for name in SETTINGS}
    found = summaries(connection, [BY_NAME[name] for name in SETTINGS], among.tree, whole)
    return {one.field.name: part for one in found for part in one.parts}


def shares_by_month(connection: Connection, among: Among) -> Mapping[str, Shares]:
    """The shares of TEXTS in each month."""
    month = Grouping(BY_NAME["published_at"])
    return {name: read_shares(connection, among, BY_NAME[name], month) for name in TEXTS}
