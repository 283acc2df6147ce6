"""The data of a run: datasets with their buckets, folders and tags, and the columns they fill.

A run without `--dataset_config` writes flat keys, among them `ss_dataset_dirs`,
`ss_reg_dataset_dirs` and `ss_bucket_info`. With it, `ss_datasets` holds everything; the
`ss_dataset_dirs` beside it is a summary without the regularisation folders and is not counted again.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec

from crawler.decode import clean, embedded_json
from crawler.decode.dialect_result import DialectResult, held, note, take
from crawler.decode.embedded_json import an_object, object_or_empty, read_clean_json, read_key
from crawler.decode.problems import OUT_OF_RANGE, TOO_LONG, WRONG_SHAPE, UnreadableError
from crawler.model import Dataset, Directory, Problem
from crawler.model.int64 import MAX_INT64

#: Columns that a dataset and the file share.
SHARED_COLUMNS = (
    *("resolution_width", "resolution_height", "batch_size"),
    *("enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso"),
)

#: Settings of a subset that are columns of the file.
_SUBSET_COLUMNS = {
    "shuffle_caption": clean.boolean,
    "keep_tokens": clean.integer,
    "flip_aug": clean.boolean,
    "color_aug": clean.boolean,
    "random_crop": clean.boolean,
}

#: Fields of a dataset in `ss_datasets` that are attributes of `Dataset` by the same name.
_DATASET_READERS = {
    "num_train_images": clean.integer,
    "num_reg_images": clean.integer,
    "enable_bucket": clean.boolean,
    "bucket_no_upscale": clean.boolean,
    "min_bucket_reso": clean.integer,
    "max_bucket_reso": clean.integer,
}

#: Fields that do not stay among the settings of a dataset or a subset.
_DATASET_READ = frozenset(
    {*_DATASET_READERS, "batch_size_per_device", "resolution", "bucket_info", "tag_frequency", "subsets"}
)  # fmt: skip
_SUBSET_READ = frozenset({"num_repeats", "n_repeats", "img_count", "is_reg", "class_tokens"})

_TAGS = "ss_tag_frequency"
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)]
_TAG_COUNTS = msgspec.json.Decoder(dict[str, dict[str, _Count]])


def read(metadata: Mapping[str, str], flat: Mapping[str, Any]) -> DialectResult:
    """Read everything about the data. `flat` are the columns that flat keys have filled already."""
    problems: list[Problem] = []
    used: set[str] = set()
    items = read_key(
        "ss_datasets", metadata, embedded_json.datasets, "datasets", problems=problems, used=used
    )
    if items:
        datasets, directories = _configured_run(items, problems)
        used |= metadata.keys() & {"ss_dataset_dirs", "ss_reg_dataset_dirs"}
    else:
        datasets, directories = _flat_run(metadata, flat, problems, used)
    tags = _read_tags(metadata, items or (), problems, used)
    images = _image_count(directories)
    amount = sum(map(len, tags.values()))
    too_many = amount > embedded_json.MAX_TAGS
    if too_many:
        note(
            problems,
            TOO_LONG,
            "tags",
            f"{amount:,} tags; at most {embedded_json.MAX_TAGS:,} are kept",
        )
    if too_many or _is_made_up(tags, images):
        tags = {}
        used.discard(_TAGS)
    values = {"image_count": images}
    if datasets:
        values |= _main_columns(datasets, directories, problems)
    values["tag_count"] = len(set().union(*tags.values())) or None  # no tag: none were counted
    return DialectResult(
        values=values,
        datasets=datasets,
        directories=directories,
        tags=tags,
        problems=tuple(problems),
        used=frozenset(used),
    )


def sides(value: object) -> tuple[int, int]:
    """Width and height in px of `[512, 768]`, or of `512` or `[512]` for a square.

    Raises:
        UnreadableError: For anything else, and for sides below 1.
    """
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) not in {1, 2}:
        raise UnreadableError(
            WRONG_SHAPE, f"expected a width and a height, found {len(numbers)} numbers"
        )
    width, height = clean.integer(numbers[0]), clean.integer(numbers[-1])
    if width is None or height is None or width <= 0 or height <= 0:
        raise UnreadableError(OUT_OF_RANGE, "the sides of an image must be above 0")
    return width, height


def _flat_run(
    metadata: Mapping[str, str], flat: Mapping[str, Any], problems: list[Problem], used: set[str]
) -> tuple[tuple[Dataset, ...], tuple[Directory, ...]]:
    """At most one dataset, made of the flat keys, and its folders."""
    where = "datasets.buckets"
    info = read_key("ss_bucket_info", metadata, an_object, where, problems=problems, used=used)
    shared = {name: flat.get(name) for name in SHARED_COLUMNS}
    dataset = Dataset(
        number=0,
        **shared,
        num_train_images=flat.get("num_train_images"),
        num_reg_images=flat.get("num_reg_images"),
        **_buckets(info, problems),
    )
    has_dataset = info is not None or any(value is not None for value in shared.values())
    number = 0 if has_dataset else None
    directories: list[Directory] = []
    where = "directories"
    shape = partial(an_object, most=embedded_json.MAX_DIRECTORIES)
    for key, is_reg in (("ss_dataset_dirs", False), ("ss_reg_dataset_dirs", True)):
        folders = read_key(key, metadata, shape, where, problems=problems, used=used) or {}
        for name, value in folders.items():
            fields = {**object_or_empty(value, where, problems), "image_dir": name}
            directories.append(
                _directory({**fields, "is_reg": is_reg}, len(directories), number, problems)
            )
    return (dataset,) if has_dataset else (), tuple(directories)


def _configured_run(
    items: Iterable[Any], problems: list[Problem]
) -> tuple[tuple[Dataset, ...], tuple[Directory, ...]]:
    """The datasets of `ss_datasets` and their subsets."""
    datasets: list[Dataset] = []
    directories: list[Directory] = []
    for number, item in enumerate(items):
        datasets.append(_dataset(object_or_empty(item, "datasets", problems), number, problems))
        for subset in embedded_json.subsets(item):
            fields = object_or_empty(subset, "directories", problems)
            directories.append(_directory(fields, len(directories), number, problems))
    return tuple(datasets), tuple(directories)


def _dataset(item: Mapping[str, Any], number: int, problems: list[Problem]) -> Dataset:
    values: dict[str, Any] = {
        name: take(reader, item.get(name), f"datasets.{name}", problems)
        for name, reader in _DATASET_READERS.items()
    }
    size = item.get("batch_size_per_device")
    values["batch_size"] = take(clean.integer, size, "datasets.batch_size", problems)
    if item.get("resolution") is not None:
        both = take(sides, item["resolution"], "datasets.resolution", problems)
        values["resolution_width"], values["resolution_height"] = both or (None, None)
    settings = {name: value for name, value in item.items() if name not in _DATASET_READ}
    return Dataset(
        number=number,
        **values,
        **_buckets(item.get("bucket_info"), problems),
        settings=held(settings, "datasets.settings", problems) or None,
    )


def _buckets(info: object, problems: list[Problem]) -> dict[str, Any]:
    """`{"buckets": {"0": {"resolution": [w, h], "count": n}}, "mean_img_ar_error": x}`, or null."""
    if info is None:
        return {}
    where = "datasets.buckets"
    fields = object_or_empty(info, where, problems)
    error = fields.get("mean_img_ar_error")
    values: dict[str, Any] = {
        "mean_img_ar_error": take(clean.number, error, "datasets.mean_img_ar_error", problems)
    }
    if fields.get("buckets") is None:
        return values
    shape = partial(an_object, most=embedded_json.MAX_BUCKETS)
    listed = take(shape, fields["buckets"], where, problems)
    buckets: list[Mapping[str, Any]] = []
    for value in (listed or {}).values():
        bucket = object_or_empty(value, where, problems)
        both = take(sides, bucket.get("resolution"), where, problems)
        count = take(clean.integer, bucket.get("count"), where, problems)
        if both is not None:
            buckets.append({"resolution": list(both), "count": count})
    return values | {"buckets": None if listed is None else tuple(buckets)}


def _directory(
    fields: Mapping[str, Any], number: int, dataset_number: int | None, problems: list[Problem]
) -> Directory:
    """A subset. In fine-tuning it is named after its metadata file, like its tags."""
    named_by = "metadata_file" if fields.get("metadata_file") else "image_dir"
    name = fields.get(named_by)
    repeats = fields.get("n_repeats" if "n_repeats" in fields else "num_repeats")
    read = {named_by, *_SUBSET_READ}
    settings = {key: value for key, value in fields.items() if key not in read}
    tokens, count = fields.get("class_tokens"), fields.get("img_count")
    return Directory(
        number=number,
        dataset_number=dataset_number,
        name=clean.text(name) if isinstance(name, str) else "",
        class_tokens=take(clean.string, tokens, "directories.class_tokens", problems),
        repeats=take(clean.integer, repeats, "directories.repeats", problems),
        image_count=take(clean.integer, count, "directories.image_count", problems),
        is_reg=take(clean.boolean, fields.get("is_reg"), "directories.is_reg", problems),
        settings=held(settings, "directories.settings", problems) or None,
    )


def _read_tags(
    metadata: Mapping[str, str], items: Iterable[Any], problems: list[Problem], used: set[str]
) -> Mapping[str, Mapping[str, int]]:
    """The tags of `ss_tag_frequency`, or else those of the datasets: folder -> tag -> count.

    A folder that several datasets name counts once, as in the summary that sd-scripts writes.
    """
    if clean_counts := read_clean_json(metadata.get(_TAGS, ""), _TAG_COUNTS):
        used.add(_TAGS)
        return clean_counts
    whole = read_key(_TAGS, metadata, an_object, "tags", problems=problems, used=used)
    if whole is not None:
        return _counted(whole, problems)
    merged: dict[str, Mapping[str, int]] = {}
    for item in items:
        frequency = item.get("tag_frequency") if isinstance(item, dict) else None
        if isinstance(frequency, dict):
            for folder, counts in _counted(frequency, problems).items():
                merged.setdefault(folder, counts)
    return merged


def _is_made_up(tags: Mapping[str, Mapping[str, int]], images: int | None) -> bool:
    """Whether no caption was counted, but a trigger word or two was written for other tools.

    sd-scripts counts at least one tag for each image, so fewer ones than images are no counts.
    """
    counts = [count for folder in tags.values() for count in folder.values()]
    return set(counts) == {1} and len(counts) < (2 if images is None else images)


def _counted(frequency: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, int]]:
    """The valid counts. An invalid one is left out, with a problem."""
    counted: dict[str, dict[str, int]] = {}
    for folder, tags in frequency.items():
        counts = counted.setdefault(clean.text(folder), {})
        for tag, value in object_or_empty(tags, "tags", problems).items():
            count = take(_count, value, "tags", problems)
            if count is not None:
                counts[clean.text(tag)] = count
    return counted


def _count(value: object) -> int:
    count = clean.integer(value)
    if count is None or count < 0:
        raise UnreadableError(OUT_OF_RANGE, f"{clean.quote(value)} is not a count")
    return count


def _image_count(directories: Iterable[Directory]) -> int | None:
    """Distinct training images; None when no folder has a count, or beyond 64 bits.

    A folder of the same name and size in several datasets is one folder trained at several
    resolutions.
    """
    counts: dict[tuple[str, int], dict[int | None, int]] = {}
    for one in directories:
        if one.image_count is not None and not one.is_reg:
            by_dataset = counts.setdefault((one.name, one.image_count), {})
            by_dataset[one.dataset_number] = by_dataset.get(one.dataset_number, 0) + 1
    if not counts:
        return None
    total = sum(size * max(times.values()) for (_, size), times in counts.items())
    return total if total <= MAX_INT64 else None


def _main_columns(
    datasets: Sequence[Dataset], directories: Iterable[Directory], problems: list[Problem]
) -> dict[str, Any]:
    """Columns of the dataset with most images, and of its subset with most images."""
    subsets: dict[int | None, list[Directory]] = {}
    for directory in directories:
        if not directory.is_reg:
            subsets.setdefault(directory.dataset_number, []).append(directory)

    def images(dataset: Dataset) -> tuple[int, int]:
        distinct = sum(one.image_count or 0 for one in subsets.get(dataset.number, ()))
        return distinct, dataset.num_train_images or 0

    main = max(datasets, key=images)
    values = {name: getattr(main, name) for name in SHARED_COLUMNS}
    if of_main := subsets.get(main.number):
        settings = max(of_main, key=lambda one: one.image_count or 0).settings or {}
        for name, reader in _SUBSET_COLUMNS.items():
            values[name] = take(reader, settings.get(name), name, problems)
    return values
