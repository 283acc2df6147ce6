"""Compare LoRAs setting by setting."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
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

#: Columns that tell runs apart and are no settings: ids, names, hashes and dates.
_OF_THE_RUN = frozenset(
    {
        *("session_id", "trainer_version", "output_name"),
        *("sd_model_hash", "sd_model_sha256", "training_started_at", "training_finished_at"),
    }
)

#: The same among the metadata without a column of its own, and what names the format or the base model:
#: older files have no such keys, and columns say the same. `modelspec.resolution` is no evidence either,
#: since sd-scripts writes a default.
_KEY_OF_THE_RUN = re.compile(
    r"hash|sha256|date|title|session|thumbnail|_at\b"
    r"|\.modelspec\.(?:sai_model_spec|architecture|implementation|resolution)"
    r"|\.(?:format|ot_branch|version)$",
    re.IGNORECASE,
)

#: Columns that repeat or follow from others; they are left out where one of those differs as well.
REPEATED = {
    "effective_unet_lr": ("unet_lr",),
    "effective_text_encoder_lr": ("text_encoder_lr",),
    "text_encoder_lrs": ("text_encoder_lr",),
    "optimizer_path": ("optimizer",),
    "max_train_steps": ("steps",),
    "batches_per_epoch": ("num_train_images",),
    "total_batch_size": ("batch_size",),
    "resolution_width": ("resolution",),
    "resolution_height": ("resolution",),
    "seconds_per_image": ("training_seconds", "images_seen"),
    "megapixels_seen": ("images_seen",),
    "alpha_ratio": ("network_alpha", "network_dim"),
    "network_scale": ("network_alpha", "network_dim"),
    "tensor_rank": ("network_dim",),
    "tensor_rank_min": ("network_dim",),
    "tensor_rank_max": ("network_dim",),
    "tensor_algo": ("network_algo",),
    "tensor_count": ("network_dim",),
    "parameter_count": ("network_dim",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the LoRAs.

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
class Compared:
    """One setting of all LoRAs.

    Attributes:
        group: The group of the field, or PARTS; empty for IDENTITY.
        name: A column, or an entry of one after a dot: `network_args.conv_dim`.
        values: One for each LoRA; None if it has none.
    """

    group: str
    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether any two values differ; 1 and 1.0 are the same."""
        first = self.values[0]
        return any(
            isinstance(first, bool) != isinstance(value, bool) or bool(first != value)
            for value in self.values[1:]
        )


def identity(sides: Sequence[Side]) -> tuple[Compared, ...]:
    """The IDENTITY columns that any LoRA has."""
    found = (Compared("", name, _column(sides, name)) for name in IDENTITY)
    return tuple(one for one in found if _is_known(one))


def compare(sides: Sequence[Side]) -> tuple[Compared, ...]:
    """Every setting that any LoRA has, in the order of the columns, then folders and tags.

    Objects are compared entry by entry.
    """
    found = (*_columns(sides), *_datasets(sides), *_directories(sides), *_tags(sides))
    return tuple(filter(_is_known, found))


def differences(compared: Sequence[Compared]) -> tuple[Compared, ...]:
    """The settings that differ, without what tells runs apart, and without repetitions.

    Left out are ids, hashes, dates and names of the run, and columns of REPEATED beside what they repeat.
    """
    differing = {one.name: one for one in compared if one.differs}
    return tuple(
        one
        for name, one in differing.items()
        if name not in _OF_THE_RUN
        and not name.startswith("effective_")
        and differing.keys().isdisjoint(REPEATED.get(name, ()))
        and not (name.startswith("other_settings.") and _KEY_OF_THE_RUN.search(name))
    )


def _is_known(one: Compared) -> bool:
    return any(value is not None for value in one.values)


def _column(sides: Sequence[Side], name: str) -> tuple[Any, ...]:
    return tuple(_plain(side.row.get(name)) for side in sides)


def _columns(sides: Sequence[Side]) -> Iterator[Compared]:
    for each in FIELDS:
        if each.group == _FROM_THE_SITE:
            continue
        values = _column(sides, each.name)
        if any(isinstance(value, dict) for value in values):
            objects = [value if isinstance(value, dict) else {} for value in values]
            for key in dict.fromkeys(key for one in objects for key in one):
                entries = tuple(one.get(key) for one in objects)
                yield Compared(each.group, f"{each.name}.{key}", entries)
        else:
            yield Compared(each.group, each.name, values)


def _datasets(sides: Sequence[Side]) -> Iterator[Compared]:
    """Each dataset by its number; a single one is already in the columns of its file."""
    counts = tuple(len(side.datasets) for side in sides)
    if max(counts) > 1:
        yield Compared(PARTS, "datasets", counts)
        for number in range(max(counts)):
            for name in _OF_DATASET:
                values = tuple(
                    side.datasets[number].get(name) if number < len(side.datasets) else None
                    for side in sides
                )
                yield Compared(PARTS, f"datasets.{number}.{name}", values)
    yield Compared(PARTS, "buckets", tuple(map(_buckets, sides)))


def _buckets(side: Side) -> int | None:
    """The number of image sizes (buckets) of all datasets; None where it is unknown."""
    counts = [len(one["buckets"]) for one in side.datasets if one.get("buckets") is not None]
    return sum(counts) if counts else None


def _directories(sides: Sequence[Side]) -> Iterator[Compared]:
    """Each folder by its name: repeats and number of images."""
    folders = [_folders(side) for side in sides]
    for name in dict.fromkeys(name for one in folders for name in one):
        yield Compared(PARTS, f"directories.{name}", tuple(one.get(name) for one in folders))


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


def _tags(sides: Sequence[Side]) -> Iterator[Compared]:
    """The number of tags that all have, and the tags that only one has, the most frequent first."""
    counts = [_counts(side) for side in sides]
    known = [one for one in counts if one is not None]
    if len(known) == len(counts):
        shared = len(set.intersection(*(set(one) for one in known)))
        yield Compared(PARTS, "tags_shared", (shared,) * len(sides))
    owners = Counter(tag for one in known for tag in one)
    only = (
        None if one is None else {tag: number for tag, number in one.items() if owners[tag] == 1}
        for one in counts
    )
    yield Compared(PARTS, "tags_only_here", tuple(only))


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
