"""Compare two LoRAs setting by setting."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from crawler.store.schema.fields import FIELDS

Row = Mapping[str, Any]

#: Columns that identify a LoRA; they are shown but not compared.
IDENTITY = (
    *("file_id", "model_name", "version_name", "creator", "base_model", "file_name"),
    "outcome",
)

#: The group of the columns from the site; none of them is a setting.
_FROM_THE_SITE = "what it is"

#: The group of what is stored in other tables.
PARTS = "folders and tags"

#: Columns of `datasets` that are compared where a run had several datasets.
_OF_DATASET = (
    *("resolution_width", "resolution_height", "batch_size", "num_train_images"),
    *("enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two LoRAs.

    Attributes:
        row: Columns of `loras` by name; a missing one is unknown, like None.
        datasets: Rows of the table `datasets`, by column.
        directories: Rows of the table `directories`, by column.
        tags: Directory name -> tag -> count.
    """

    row: Row
    datasets: Sequence[Row] = ()
    directories: Sequence[Row] = ()
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One setting of both LoRAs.

    Attributes:
        group: The group of the field, or PARTS; empty for IDENTITY.
        name: A column, or an entry of one after a dot: `network_args.conv_dim`.
        a: The value of the first; None if it has none.
        b: The value of the second.
    """

    group: str
    name: str
    a: Any
    b: Any

    @property
    def differs(self) -> bool:
        """Whether the values differ; 1 and 1.0 are the same."""
        return isinstance(self.a, bool) != isinstance(self.b, bool) or bool(self.a != self.b)


def identity(a: Side, b: Side) -> tuple[Pair, ...]:
    """The IDENTITY columns that either LoRA has."""
    pairs = (Pair("", name, a.row.get(name), b.row.get(name)) for name in IDENTITY)
    return tuple(pair for pair in pairs if pair.a is not None or pair.b is not None)


def compare(a: Side, b: Side) -> tuple[Pair, ...]:
    """Every setting that either LoRA has, in the order of the columns, then folders and tags.

    Objects are compared entry by entry.
    """
    pairs = (*_columns(a.row, b.row), *_datasets(a, b), *_directories(a, b), *_tags(a, b))
    return tuple(pair for pair in pairs if pair.a is not None or pair.b is not None)


def _columns(a: Row, b: Row) -> Iterator[Pair]:
    for each in FIELDS:
        if each.group == _FROM_THE_SITE:
            continue
        one, other = _plain(a.get(each.name)), _plain(b.get(each.name))
        if isinstance(one, dict) or isinstance(other, dict):
            one, other = one or {}, other or {}
            for key in one | other:
                yield Pair(each.group, f"{each.name}.{key}", one.get(key), other.get(key))
        else:
            yield Pair(each.group, each.name, one, other)


def _datasets(a: Side, b: Side) -> Iterator[Pair]:
    """Each dataset by its number; a single one is already in the columns of its file."""
    if max(len(a.datasets), len(b.datasets)) > 1:
        yield Pair(PARTS, "datasets", len(a.datasets), len(b.datasets))
        empty: Row = {}
        both = zip_longest(a.datasets, b.datasets, fillvalue=empty)
        for number, (one, other) in enumerate(both):
            for name in _OF_DATASET:
                yield Pair(PARTS, f"datasets.{number}.{name}", one.get(name), other.get(name))
    yield Pair(PARTS, "buckets", _buckets(a), _buckets(b))


def _buckets(side: Side) -> int | None:
    """The number of image sizes (buckets) of all datasets; None where it is unknown."""
    counts = [len(one["buckets"]) for one in side.datasets if one.get("buckets") is not None]
    return sum(counts) if counts else None


def _directories(a: Side, b: Side) -> Iterator[Pair]:
    """Each folder by its name: repeats and number of images."""
    one, other = _folders(a), _folders(b)
    for name in one | other:
        yield Pair(PARTS, f"directories.{name}", one.get(name), other.get(name))


def _folders(side: Side) -> dict[str, str]:
    folders: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for each in side.directories:
        name = str(each.get("name") or "")
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name} ({seen[name]})"
        known = (each.get("repeats"), each.get("image_count"))
        repeats, images = ("?" if value is None else value for value in known)
        kind = " for regularisation" if each.get("is_reg") else ""
        folders[key] = f"{repeats} x {images} images{kind}"
    return folders


def _tags(a: Side, b: Side) -> Iterator[Pair]:
    """The number of common tags, and the tags of only one LoRA, the most frequent first."""
    one, other = _counts(a), _counts(b)
    if one is None or other is None:
        yield Pair(PARTS, "tags_only_here", one, other)
        return
    shared = len(one.keys() & other.keys())
    yield Pair(PARTS, "tags_shared", shared, shared)
    only_one = {tag: count for tag, count in one.items() if tag not in other}
    only_other = {tag: count for tag, count in other.items() if tag not in one}
    yield Pair(PARTS, "tags_only_here", only_one, only_other)


def _counts(side: Side) -> dict[str, int] | None:
    """Tag -> count over all folders, the most frequent first; None where there are no tags."""
    counts: Counter[str] = Counter()
    for tags in side.tags.values():
        counts.update(tags)
    return dict(counts.most_common()) if counts else None


def _plain(value: Any) -> Any:
    """The value as plain data, so that values from a database and from a file can be compared."""
    match value:
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case tuple() | list():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
    return value
