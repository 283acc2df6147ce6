"""What sd-scripts writes about the images, in both of its layouts."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from crawler.sandbox.chance import happens
from crawler.sandbox.runs import Folder, Run

_AR_ERROR_SCALE = 397  # any divisor will do: it makes a plausible mean_img_ar_error


def _bucket_info(run: Run) -> dict[str, Any] | None:
    if run.buckets is None:
        return None
    buckets = {
        str(number): {"resolution": [width, height], "count": count}
        for number, (width, height, count) in enumerate(run.buckets)
    }
    return {"buckets": buckets, "mean_img_ar_error": len(buckets) / _AR_ERROR_SCALE}


def _directories(folders: tuple[Folder, ...], *, is_reg: bool) -> dict[str, dict[str, int]]:
    return {
        folder.name: {"n_repeats": folder.repeats, "img_count": folder.images}
        for folder in folders
        if folder.is_reg is is_reg
    }


def _tag_frequency(run: Run) -> dict[str, Mapping[str, int]]:
    return {folder.name: folder.tags for folder in run.folders if not folder.is_reg}


def directory_keys(dice: Random, run: Run) -> dict[str, object]:
    """The keys of a run that was given folders: the old layout."""
    return {
        "ss_batch_size_per_device": run.batch_size,
        "ss_total_batch_size": run.batch_size * run.accumulation,
        "ss_resolution": (run.resolution, run.resolution),
        "ss_color_aug": False,
        "ss_flip_aug": happens(dice, 0.1),  # few mirror their images
        "ss_random_crop": False,
        "ss_shuffle_caption": happens(dice, 0.7),  # most shuffle tags
        "ss_enable_bucket": run.buckets is not None,
        "ss_bucket_no_upscale": happens(dice, 0.5),  # as many with as without
        "ss_min_bucket_reso": 256,
        "ss_max_bucket_reso": 2 * run.resolution,
        "ss_keep_tokens": dice.choice((0, 1)),
        "ss_dataset_dirs": json.dumps(_directories(run.folders, is_reg=False)),
        "ss_reg_dataset_dirs": json.dumps(_directories(run.folders, is_reg=True)),
        "ss_tag_frequency": json.dumps(_tag_frequency(run)),
        "ss_bucket_info": json.dumps(_bucket_info(run)),
    }


def config_keys(dice: Random, run: Run) -> dict[str, object]:
    """The keys of a run that was given a dataset file: the new layout."""
    frequency = _tag_frequency(run)
    shared = {
        "color_aug": False,
        "flip_aug": False,
        "random_crop": False,
        "shuffle_caption": happens(dice, 0.7),  # most shuffle tags
        "keep_tokens": dice.choice((0, 1)),
    }
    subsets = [
        {
            "img_count": folder.images,
            "num_repeats": folder.repeats,
            **shared,
            "image_dir": folder.name,
            "class_tokens": None,
            "is_reg": folder.is_reg,
        }
        for folder in run.folders
    ]
    dataset = {
        "is_dreambooth": True,
        "batch_size_per_device": run.batch_size,
        "num_train_images": run.train_images,
        "num_reg_images": run.reg_images,
        "resolution": [run.resolution, run.resolution],
        "enable_bucket": run.buckets is not None,
        "min_bucket_reso": 256 if run.buckets is not None else None,
        "max_bucket_reso": 2 * run.resolution if run.buckets is not None else None,
        "tag_frequency": frequency,
        "bucket_info": _bucket_info(run),
        "subsets": subsets,
    }
    return {
        "ss_datasets": json.dumps([dataset]),
        "ss_tag_frequency": json.dumps(frequency),
        "ss_dataset_dirs": json.dumps(_directories(run.folders, is_reg=False)),
    }
