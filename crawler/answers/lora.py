"""The data behind the page and the JSON of one LoRA, from the database or from a file."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from crawler.answers.reading import Reading
from crawler.model import Decoded, Problem
from crawler.store.connect.database import Connection
from crawler.store.read.loras import FieldStats, LoraPage, find_file, lora
from crawler.store.schema.fields import FIELDS
from crawler.store.stats.field_stats import Age

#: The columns of `loras` that a header can fill, in their public order.
HEADER_FIELDS = tuple(each for each in FIELDS if each.group != "what it is")

#: Statistics of fewer LoRAs than this are not shown.
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Usual:
    """The values of one field among the `count` LoRAs of a base model that have one.

    Attributes:
        percentiles: As in `field_stats`; empty when unknown.
    """

    count: int
    quartile1: float
    median: float
    quartile3: float
    percentiles: Sequence[float] = ()

    def rank(self, value: float | Decimal) -> int | None:
        """The percentile rank from 0 to 100, where equal values count half; None if unknown."""
        if not self.percentiles:
            return None
        less, not_more = bisect_left(self.percentiles, value), bisect_right(self.percentiles, value)
        return round(50 * (less + not_more) / len(self.percentiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraView:
    """One LoRA.

    Attributes:
        title: The heading of its page.
        row: Columns of `loras` by name; a missing one is unknown, like None.
        datasets: Rows of the table `datasets`, by column.
        directories: Rows of the table `directories`, by column.
        tags: Directory name -> tag -> count.
        usual: By field, among the LoRAs of `compared_with`; empty without a database.
        compared_with: A base model as the site names it, or `all`.
        compared_files: The files of that base model.
        usual_age: How old these statistics are; None without them.
        told_by: The field that told the base model of a file that the site does not know; else empty.
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
    usual_age: Age | None = None
    told_by: str = ""

    def __getitem__(self, name: str) -> Any:
        """The column of this name, None when unknown."""
        return self.row.get(name)


def view_of_file(reading: Reading) -> LoraView:
    """A file whose header was just read."""
    row = {
        "size_bytes": reading.file_bytes,
        "outcome": reading.outcome.value,
        "reason": reading.reason,
        **_columns(reading.decoded),
    }
    view = LoraView(title=reading.input, row=row)
    if (decoded := reading.decoded) is None:
        return view
    return replace(
        view,
        datasets=[asdict(each) for each in decoded.datasets],
        directories=[asdict(each) for each in decoded.directories],
        tags=decoded.tags,
        problems=decoded.problems,
    )


def stored_lora(connection: Connection, ref: str) -> LoraView:
    """The stored LoRA that a reference names, compared with files of its base model.

    Raises:
        UsageError: The reference matches nothing, or several files.
    """
    return view_of_row(lora(connection, find_file(connection, ref)))


def view_of_row(page: LoraPage) -> LoraView:
    """A stored file, compared with files of its base model, or with all files if those are too few."""
    row = page.row
    names = [row["model_name"] or row["file_name"] or f"file {row['file_id']}"]
    if row["version_name"]:
        names.append(row["version_name"])
    view = LoraView(
        title=" · ".join(names),
        row=row,
        datasets=page.datasets,
        directories=page.directories,
        tags=_tags(page),
        problems=[Problem(each["code"], each["field"], each["detail"]) for each in page.problems],
    )
    statistics = page.base_model_stats, page.all_stats, page.stats_age
    return compared(view, row["base_model"] or "", statistics)


def compared(
    view: LoraView,
    base_model: str,
    statistics: tuple[Mapping[str, FieldStats], Mapping[str, FieldStats], Age | None],
) -> LoraView:
    """The LoRA beside others of its base model, or beside all if those are too few."""
    stats, every, made = statistics
    if not (usual := _usual(stats)):
        stats, base_model = every, "all"
        usual = _usual(stats)
    if not usual:
        return view
    return replace(
        view,
        usual=usual,
        compared_with=base_model,
        compared_files=stats["file_id"].count,
        usual_age=made,
    )


def image_sizes(view: LoraView) -> Counter[str]:
    """The sizes of the images, repeats included, such as `832 × 1216`."""  # noqa: RUF002 - the sign for sizes
    sizes: Counter[str] = Counter()
    for dataset in view.datasets:
        for bucket in dataset.get("buckets") or ():
            match bucket:
                case {"resolution": [int(width), int(height)], "count": int(amount)}:
                    sizes[f"{width} × {height}"] += amount  # noqa: RUF001 - the sign for sizes
    return sizes


def caption_tags(view: LoraView) -> Counter[str]:
    """The caption tags of all folders."""
    tags: Counter[str] = Counter()
    for counts in view.tags.values():
        tags.update(counts)
    return tags


def folders(view: LoraView) -> list[tuple[str, Mapping[str, Any]]]:
    """The training folders by their names."""
    return [(str(each.get("name") or "(no name)"), each) for each in view.directories]


def as_data(view: LoraView) -> dict[str, Any]:
    """The JSON of `show`: every column of `loras`, its datasets, folders and tags, and statistics."""
    return {
        **view.row,
        **_parts(view),
        "compared_with": view.compared_with or None,
        "compared_at": view.usual_age and view.usual_age.made_at,
        "medians": {
            name: {
                "count": usual.count,
                "quartile1": usual.quartile1,
                "median": usual.median,
                "quartile3": usual.quartile3,
                "percentile": None if view[name] is None else usual.rank(view[name]),
            }
            for name, usual in view.usual.items()
        },
    }


def inspected(reading: Reading, *, raw: bool) -> dict[str, Any]:
    """The JSON of one input of `inspect`, with the same keys for every outcome.

    Args:
        reading: The input.
        raw: Only the outcome and the metadata as stored.
    """
    ending = {
        "input": reading.input,
        "outcome": reading.outcome.value,
        "reason": reading.reason or None,
    }
    if raw:
        return {**ending, "metadata": reading.metadata}
    return {
        **ending,
        **_columns(reading.decoded),
        **_parts(view_of_file(reading)),
        "metadata": reading.metadata,
    }


def _columns(decoded: Decoded | None) -> dict[str, Any]:
    """The columns that a header can fill, in public order; all None without a header."""
    weights, recipe = (decoded.weights, decoded.recipe) if decoded else (None, None)
    return {
        each.name: getattr(weights if each.group == "tensors" else recipe, each.name, None)
        for each in HEADER_FIELDS
    }


def _parts(view: LoraView) -> dict[str, Any]:
    return {
        "datasets": [dict(each) for each in view.datasets],
        "directories": [dict(each) for each in view.directories],
        "tags": {name: dict(counts) for name, counts in view.tags.items()},
        "problems": [asdict(problem) for problem in view.problems],
    }


def _tags(page: LoraPage) -> Mapping[str, Mapping[str, int]]:
    """Tags by the name of their directory; directories of one name are counted together."""
    names = {each["number"]: each["name"] for each in page.directories}
    tags: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for number, counts in page.tags.items():
        tags[names.get(number, "(not listed)")].update(dict(counts))
    return tags


def _usual(stats: Mapping[str, FieldStats]) -> dict[str, Usual]:
    usual = {}
    for name, found in stats.items():
        match (found.quartile1, found.median, found.quartile3):
            case (float() as low, float() as middle, float() as high) if found.count >= _FEWEST:
                usual[name] = Usual(found.count, low, middle, high, found.percentiles or ())
    return usual
