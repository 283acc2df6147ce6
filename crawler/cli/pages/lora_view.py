"""What a page shows, whether it comes from a database or from a file just read."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from crawler.cli.reference import Reading
from crawler.model import Decoded, Outcome, Problem
from crawler.store.read.loras import FieldStats, LoraPage
from crawler.store.schema.fields import FIELDS

#: The columns of `loras` that a header alone can fill, in their public order.
HEADER_FIELDS = tuple(each for each in FIELDS if each.group != "what it is")


@dataclass(frozen=True, slots=True)
class Usual:
    """What LoRAs of one base model have in one field.

    Attributes:
        count: How many have it.
        percentiles: As in `field_stats`; empty when they are not known.
    """

    count: int
    quartile1: float
    median: float
    quartile3: float
    percentiles: Sequence[float] = ()

    def rank(self, value: float) -> int | None:
        """How many of a hundred have less, and half of those that have the same; None if unknown."""
        if not self.percentiles:
            return None
        less, not_more = bisect_left(self.percentiles, value), bisect_right(self.percentiles, value)
        return round(50 * (less + not_more) / len(self.percentiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One LoRA.

    Attributes:
        title: What stands above the page.
        row: Columns of `loras` by name; those that are missing are unknown, like None.
        datasets: Rows of the table of that name, by column.
        directories: The same.
        tags: Directory name -> tag -> count.
        usual: By field, of the LoRAs of `compared_with`; empty without a database.
        compared_with: A base model as the site names it.
        compared_files: How many files of it there are, whatever they say.
    """

    title: str
    row: Mapping[str, Any]
    datasets: Sequence[Mapping[str, Any]] = ()
    directories: Sequence[Mapping[str, Any]] = ()
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    usual: Mapping[str, Usual] = field(default_factory=dict)
    compared_with: str = ""
    compared_files: int = 0

    def __getitem__(self, name: str) -> Any:
        """The column of that name, None when it is unknown."""
        return self.row.get(name)


def columns_of(decoded: Decoded | None) -> dict[str, Any]:
    """Every column that a header can fill, by name and in public order; all None without a header."""
    values: dict[str, Any] = {}
    for each in HEADER_FIELDS:
        part = None
        if decoded is not None:
            part = decoded.weights if each.group == "tensors" else decoded.recipe
        values[each.name] = getattr(part, each.name, None)
    return values


def sheet_of(
    title: str, decoded: Decoded | None, *, outcome: Outcome, reason: str, **known: object
) -> Sheet:
    """The page of a header that was just read.

    Args:
        title: How the file was named.
        decoded: None when there is no sound header.
        outcome: How reading it ended.
        reason: The same in words.
        known: Further columns, such as `size_bytes`.
    """
    row = {**known, "outcome": outcome.value, "reason": reason, **columns_of(decoded)}
    if decoded is None:
        return Sheet(title=title, row=row)
    return Sheet(
        title=title,
        row=row,
        datasets=[asdict(each) for each in decoded.datasets],
        directories=[asdict(each) for each in decoded.directories],
        tags=decoded.tags,
        problems=decoded.problems,
    )


def page_of(reading: Reading) -> Sheet:
    """The page of a file that was just read."""
    known = {"size_bytes": reading.file_bytes}
    return sheet_of(
        reading.input, reading.decoded, outcome=reading.outcome, reason=reading.reason, **known
    )


def inspected(reading: Reading) -> dict[str, Any]:
    """One input of `inspect`: the same keys whatever became of it."""
    sheet = page_of(reading)
    return {
        **_ending(reading),
        **columns_of(reading.decoded),
        **_parts(sheet),
        "metadata": metadata_of(reading),
    }


def inspected_raw(reading: Reading) -> dict[str, Any]:
    """One input of `inspect --raw`: only what the file says itself."""
    return {**_ending(reading), "metadata": metadata_of(reading)}


def shown(sheet: Sheet) -> dict[str, Any]:
    """A page of `show`: every column of `loras` by its name, what belongs to it, what others have."""
    return {
        **sheet.row,
        **_parts(sheet),
        "compared_with": sheet.compared_with or None,
        "medians": {name: _beside(sheet[name], usual) for name, usual in sheet.usual.items()},
    }


def _beside(value: float | None, usual: Usual) -> dict[str, float | None]:
    return {
        "count": usual.count,
        "quartile1": usual.quartile1,
        "median": usual.median,
        "quartile3": usual.quartile3,
        "percentile": None if value is None else usual.rank(value),
    }


def metadata_of(reading: Reading) -> dict[str, str] | None:
    """The metadata as stored, sorted by key; None when there is none."""
    if reading.decoded is None or reading.decoded.header.metadata is None:
        return None
    return dict(sorted(reading.decoded.header.metadata.items()))


def _ending(reading: Reading) -> dict[str, str | None]:
    """What became of it; without a reason that is null, as in `loras`."""
    return {
        "input": reading.input,
        "outcome": reading.outcome.value,
        "reason": reading.reason or None,
    }


def _parts(sheet: Sheet) -> dict[str, Any]:
    return {
        "datasets": [dict(each) for each in sheet.datasets],
        "directories": [dict(each) for each in sheet.directories],
        "tags": {name: dict(counts) for name, counts in sheet.tags.items()},
        "problems": [asdict(problem) for problem in sheet.problems],
    }


#: A median of fewer LoRAs than these says nothing about what is usual.
_FEWEST = 5


def sheet_of_page(page: LoraPage) -> Sheet:
    """What is stored of one file, ready to be shown.

    Its numbers are compared with those of its base model, or with all where that is too rare.
    """
    row = page.row
    names = [row["model_name"] or row["file_name"] or f"file {row['file_id']}"]
    if row["version_name"]:
        names.append(row["version_name"])
    stats, compared_with = page.base_model_stats, row["base_model"] or ""
    if not (usual := _usual(stats)):
        stats, compared_with = page.all_stats, "all"
        usual = _usual(stats)
    return Sheet(
        title=" · ".join(names),
        row=row,
        datasets=page.datasets,
        directories=page.directories,
        tags=_tags(page),
        problems=[
            Problem(problem["code"], problem["field"], problem["detail"])
            for problem in page.problems
        ],
        usual=usual,
        compared_with=compared_with if usual else "",
        compared_files=stats["file_id"].count if usual else 0,
    )


def _tags(page: LoraPage) -> dict[str, dict[str, int]]:
    """By the name of the directory; directories of one name are counted together."""
    names = {each["number"]: each["name"] for each in page.directories}
    tags: dict[str, dict[str, int]] = {}
    for number, counts in page.tags.items():
        of_directory = tags.setdefault(names.get(number, "(not listed)"), {})
        for tag, count in counts:
            of_directory[tag] = of_directory.get(tag, 0) + count
    return tags


def _usual(stats: Mapping[str, FieldStats]) -> dict[str, Usual]:
    usual = {}
    for name, found in stats.items():
        quartiles = (found.quartile1, found.median, found.quartile3)
        match quartiles:
            case (float() as low, float() as middle, float() as high) if found.count >= _FEWEST:
                usual[name] = Usual(found.count, low, middle, high, found.percentiles or ())
    return usual
