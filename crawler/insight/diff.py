"""Two LoRAs side by side, setting by setting."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crawler.store.schema.fields import FIELDS

Row = Mapping[str, Any]

#: What tells which LoRA is meant; compared with nothing.
IDENTITY = (
    "file_id",
    "model_name",
    "version_name",
    "creator",
    "base_model",
    "file_name",
    "outcome",
)

#: The group of the columns that come from the site, none of which is a setting.
_FROM_THE_SITE = "what it is"

#: The group of what stands in other tables.
PARTS = "folders and tags"

#: Columns of `datasets` that are compared where a run had several of them.
_OF_DATASET = (
    "resolution_width",
    "resolution_height",
    "batch_size",
    "num_train_images",
    "enable_bucket",
    "bucket_no_upscale",
    "min_bucket_reso",
    "max_bucket_reso",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two.

    Attributes:
        row: Columns of `loras` by name; those that are missing are unknown, like None.
        datasets: Rows of the table of that name, by column.
        directories: The same.
        tags: Directory name -> tag -> count.
    """

    row: Row
    datasets: Sequence[Row] = ()
    directories: Sequence[Row] = ()
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One setting of both.

    Attributes:
        group: As in the registry of fields, or PARTS; empty for IDENTITY.
        name: A column, or a part of one after a dot: `network_args.conv_dim`.
        a: Of the first; None when it does not say.
        b: Of the second.
    """

    group: str
    name: str
    a: Any
    b: Any

    @property
    def differs(self) -> bool:
        """Whether the two are not the same; 1 and 1.0 are."""
        return isinstance(self.a, bool) != isinstance(self.b, bool) or bool(self.a != self.b)


def identity(a: Side, b: Side) -> tuple[Pair, ...]:
    """Which two LoRAs they are, as far as either is known."""
    pairs = (Pair("", name, a.row.get(name), b.row.get(name)) for name in IDENTITY)
    return tuple(pair for pair in pairs if pair.a is not None or pair.b is not None)


def compare(a: Side, b: Side) -> tuple[Pair, ...]:
    """Every setting that either has, in the order of the columns, then folders and tags.

    Objects are compared entry by entry, so that one argument that differs does not hide the others.
    """
    pairs = (*_columns(a.row, b.row), *_datasets(a, b), *_directories(a, b), *_tags(a, b))
    return tuple(pair for pair in pairs if pair.a is not None or pair.b is not None)


def _columns(a: Row, b: Row) -> Iterator[Pair]:
    for each in FIELDS:
        if each.group == _FROM_THE_SITE:
            continue
        one, other = _plain(a.get(each.name)), _plain(b.get(each.name))
        if isinstance(one, dict) or isinstance(other, dict):
            for key in _keys(one or {}, other or {}):
                name = f"{each.name}.{key}"
                yield Pair(each.group, name, (one or {}).get(key), (other or {}).get(key))
        else:
            yield Pair(each.group, each.name, one, other)


def _datasets(a: Side, b: Side) -> Iterator[Pair]:
    """Each dataset by its number; a single one is told by the columns of its file."""
    if max(len(a.datasets), len(b.datasets)) > 1:
        yield Pair(PARTS, "datasets", len(a.datasets), len(b.datasets))
        for number in range(max(len(a.datasets), len(b.datasets))):
            one, other = (
                side.datasets[number] if number < len(side.datasets) else {} for side in (a, b)
            )
            for name in _OF_DATASET:
                yield Pair(PARTS, f"datasets.{number}.{name}", one.get(name), other.get(name))
    yield Pair(PARTS, "buckets", _buckets(a), _buckets(b))


def _buckets(side: Side) -> int | None:
    """How many sizes the images were grouped into."""
    counts = [len(one["buckets"]) for one in side.datasets if one.get("buckets") is not None]
    return sum(counts) if counts else None


def _directories(a: Side, b: Side) -> Iterator[Pair]:
    """Each folder by its name: how often its images were used, and how many they are."""
    one, other = _folders(a), _folders(b)
    for name in _keys(one, other):
        yield Pair(PARTS, f"directories.{name}", one.get(name), other.get(name))


def _folders(side: Side) -> dict[str, str]:
    folders: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for each in side.directories:
        name = str(each.get("name") or "")
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name} ({seen[name]})"
        repeats, images = (
            "?" if (value := each.get(column)) is None else value
            for column in ("repeats", "image_count")
        )
        kind = " for regularisation" if each.get("is_reg") else ""
        folders[key] = f"{repeats} x {images} images{kind}"
    return folders


def _tags(a: Side, b: Side) -> Iterator[Pair]:
    """How many tags both have, and those that only one has, the most frequent first."""
    one, other = _counts(a), _counts(b)
    if one is None or other is None:
        yield Pair(PARTS, "tags_only_here", one, other)
        return
    shared = len(one.keys() & other.keys())
    yield Pair(PARTS, "tags_shared", shared, shared)
    only = {tag: count for tag, count in one.items() if tag not in other}
    yield Pair(
        PARTS, "tags_only_here", only, {tag: n for tag, n in other.items() if tag not in one}
    )


def _counts(side: Side) -> dict[str, int] | None:
    """Tag -> count over all folders; None when none were counted."""
    counts: Counter[str] = Counter()
    for tags in side.tags.values():
        counts.update(tags)
    return dict(counts.most_common()) if counts else None


def _keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys of both, those of the first in its order, then what only the second has."""
    return list(dict.fromkeys((*one, *other)))


def _plain(value: Any) -> Any:
    """The same value whether it comes from a database or from a file."""
    match value:
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case tuple() | list():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
    return value
