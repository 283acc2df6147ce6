"""Values derived from a recipe: how much was trained, for how long, how strongly."""

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from crawler.decode.dialect_result import problem
from crawler.decode.problems import IMPOSSIBLE_TIME, OUT_OF_RANGE
from crawler.model import Dataset, Problem
from crawler.model.int64 import INT64

#: Longest training that is believed; a longer one means a wrong clock.
MAX_TRAINING = timedelta(days=30)


def derive(
    values: Mapping[str, Any], datasets: Iterable[Dataset]
) -> tuple[Mapping[str, Any], tuple[Problem, ...]]:
    """The derived attributes of `Recipe`: effective rates, steps, training time, the group effort.

    `values` are the attributes that the metadata gives; `datasets` are needed for their batch sizes. A
    derived value that is None although its inputs are known has a problem.
    """
    problems: list[Problem] = []
    derived: dict[str, Any] = {
        "effective_unet_lr": _first(values, "unet_lr", "learning_rate"),
        "effective_text_encoder_lr": _first(values, "text_encoder_lr", "learning_rate"),
        "steps": _steps(values),
        "training_seconds": _seconds(values, problems),
        "alpha_ratio": _ratio(values.get("network_alpha"), values.get("network_dim")),
    }
    derived |= _images_seen({**values, **derived}, datasets)
    _drop_too_large(derived, problems)
    images, area = derived.get("images_seen"), _area(values)
    if images is None:
        derived["images_seen_is_lower_bound"] = None
    elif area is not None:
        derived["megapixels_seen"] = images * area / 1e6
    derived["seconds_per_image"] = _ratio(derived["training_seconds"], images)
    _drop_too_large(derived, problems)
    return derived, tuple(problems)


def _drop_too_large(derived: dict[str, Any], problems: list[Problem]) -> None:
    """Replace values that cannot be stored by None."""
    for name, value in derived.items():
        if math.isfinite(value) if isinstance(value, float) else value is None or value in INT64:
            continue
        derived[name] = None
        problems.append(problem(OUT_OF_RANGE, name, "the result is beyond 64 bits"))


def _first(values: Mapping[str, Any], *names: str) -> Any:
    """The first value that is not None; a rate of 0 counts as a rate."""
    return next((values[name] for name in names if values.get(name) is not None), None)


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper is not None and lower else None


def _area(values: Mapping[str, Any]) -> float | None:
    """Pixels of one image: width x height, which is exact; the resolution squared has rounding errors."""
    width, height = values.get("resolution_width"), values.get("resolution_height")
    if width is not None and height is not None:
        return float(width * height)
    side = values.get("resolution")
    return None if side is None else side * side


def _steps(values: Mapping[str, Any]) -> int | None:
    """Optimizer steps done at this save.

    Files from before 2023-04-24 do not have `ss_steps`. In the last epoch the planned steps were done;
    else the steps of the completed epochs, at most the planned ones. A save between epochs has the
    index of its epoch from 0, so 0 means unknown.
    """
    if values.get("steps") is not None:
        return int(values["steps"])
    epoch, planned = values.get("epoch"), values.get("max_train_steps")
    if epoch is None or epoch <= 0:
        return None
    if planned is not None and epoch == values.get("num_epochs"):
        return int(planned)
    batches = values.get("batches_per_epoch")
    if batches is None:
        return None
    done: int = epoch * -(-batches // _accumulation(values))
    return done if planned is None else min(done, planned)


def _accumulation(values: Mapping[str, Any]) -> int:
    """Batches per step; 1, the trainers' default, when the metadata has no number."""
    return max(values.get("gradient_accumulation_steps") or 1, 1)


def _images_seen(values: Mapping[str, Any], datasets: Iterable[Dataset]) -> dict[str, Any]:
    """Steps x batch. Without the total batch size the number of GPUs is unknown: a lower bound."""
    steps, total = values["steps"], values.get("total_batch_size")
    if steps is None or steps < 0:
        return {}
    if total is not None and total > 0:
        return {"images_seen": steps * total, "images_seen_is_lower_bound": False}
    images = _images_of(steps * _accumulation(values), values.get("batch_size"), datasets)
    return {"images_seen": images, "images_seen_is_lower_bound": None if images is None else True}


def _images_of(batches: int, batch_size: int | None, datasets: Iterable[Dataset]) -> int | None:
    """Images in so many batches, rounded down.

    Batches of datasets with different batch sizes alternate, so a batch holds on average the images of
    all datasets divided by their batches.
    """
    counted = [
        (max(one.num_train_images or 0, 0) + max(one.num_reg_images or 0, 0), one.batch_size)
        for one in datasets
        if one.batch_size and one.batch_size > 0
    ]
    sizes = {size for _, size in counted}
    if len(sizes) <= 1:
        size = next(iter(sizes), batch_size)
        return batches * size if size is not None and size > 0 else None
    per_epoch = sum(images for images, _ in counted)
    if per_epoch == 0:
        return batches * min(sizes)
    mean = per_epoch / sum(images / size for images, size in counted)
    return math.floor(batches * mean) if math.isfinite(mean) else None


def _seconds(values: Mapping[str, Any], problems: list[Problem]) -> float | None:
    """From the start to this save, in seconds, including caching, sampling and pauses."""
    started, finished = values.get("training_started_at"), values.get("training_finished_at")
    if started is None or finished is None:
        return None
    lasted: timedelta = finished - started
    if not timedelta() <= lasted <= MAX_TRAINING:
        span = f"from {started:%F %T} to {finished:%F %T}"
        problems.append(problem(IMPOSSIBLE_TIME, "training_seconds", span))
        return None
    return lasted.total_seconds()
