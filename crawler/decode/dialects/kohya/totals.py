"""The columns of a file that are told by its datasets, folders and tags together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import take
from crawler.model import Dataset, Directory, Problem

#: Columns that a dataset and the file share.
SHARED_COLUMNS = (
    "resolution_width",
    "resolution_height",
    "batch_size",
    "enable_bucket",
    "bucket_no_upscale",
    "min_bucket_reso",
    "max_bucket_reso",
)
#: Settings of a subset that are columns of the file, with their readers.
_SUBSET_COLUMNS = {
    "shuffle_caption": clean.boolean,
    "keep_tokens": clean.integer,
    "flip_aug": clean.boolean,
    "color_aug": clean.boolean,
    "random_crop": clean.boolean,
}


def columns(
    datasets: Sequence[Dataset],
    directories: Sequence[Directory],
    tags: Mapping[str, Mapping[str, int]],
    problems: list[Problem],
) -> Mapping[str, Any]:
    """Columns of `Recipe` by name. No tag at all means that none were counted, not that there are 0."""
    values: dict[str, Any] = {"image_count": _image_count(directories)}
    if datasets:
        values |= _main_columns(datasets, directories, problems)
    values["tag_count"] = len(set().union(*tags.values())) or None
    return values


def _image_count(directories: Iterable[Directory]) -> int | None:
    """Distinct training images.

    A folder of the same name and size in several datasets is one folder trained at several
    resolutions (sd-scripts counts its tags once for the same reason).
    """
    counts: dict[tuple[str, int], dict[int | None, int]] = {}
    for one in directories:
        if one.image_count is not None and not one.is_reg:
            by_dataset = counts.setdefault((one.name, one.image_count), {})
            by_dataset[one.dataset_number] = by_dataset.get(one.dataset_number, 0) + 1
    if not counts:
        return None
    total = sum(size * max(times.values()) for (_, size), times in counts.items())
    return total if total <= clean.MAX_INTEGER else None


def _main_columns(
    datasets: Iterable[Dataset], directories: Iterable[Directory], problems: list[Problem]
) -> Mapping[str, Any]:
    """What the dataset with most images says, and in it the subset with most images."""
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
