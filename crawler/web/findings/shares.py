"""How often each text of a field occurs, in several groups."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crawler.query.fields import Field
from crawler.store.connect.database import Connection
from crawler.store.stats.value_counts import Grouping, most_frequent
from crawler.web.findings.section import FEWEST, Among

#: Most values of a group that are counted; others are too rare for a chart.
_MOST_VALUES = 100


@dataclass(frozen=True, slots=True)
class Shares:
    """How often each value of a field occurs.

    Attributes:
        counts: Group -> value -> files.
        totals: Group -> files with any value.
        is_whole: No value is too rare to be counted.
    """

    counts: Mapping[str | None, Mapping[str, int]]
    totals: Mapping[str | None, int]
    is_whole: bool

    def of(self, group: str | None, value: str) -> float | None:
        """The share of a value in a group; None in a group with too few files."""
        total = self.totals.get(group, 0)
        return self.counts[group].get(value, 0) / total if total >= FEWEST else None

    def together(self) -> "Shares":
        """The shares over all groups, as those of the one group None; only of whole ones."""
        sums: Counter[str] = Counter()
        for counts in self.counts.values():
            sums.update(dict(counts))
        return Shares({None: sums}, {None: sums.total()}, is_whole=self.is_whole)

    def most(self, groups: Iterable[str | None], amount: int) -> list[str]:
        """The most frequent values over some groups."""
        sums: Counter[str] = Counter()
        for group in groups:
            sums.update(dict(self.counts.get(group, {})))
        return sorted(sums, key=lambda value: (-sums[value], value))[:amount]


def read_shares(
    connection: Connection, among: Among, field: Field, by: Grouping | None = None
) -> Shares:
    """The shares of the most frequent values in each group; without `by` the one group is None."""
    counts: dict[str | None, dict[str, int]] = {}
    totals: dict[str | None, int] = {}
    is_whole = True
    for one in most_frequent(connection, field, among.tree, by, most=_MOST_VALUES):
        counts.setdefault(one.group, {})[one.value] = one.count
        totals[one.group] = one.total
        is_whole = is_whole and one.distinct <= _MOST_VALUES
    return Shares(counts, totals, is_whole)
