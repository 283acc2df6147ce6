"""Values derived from a recipe: how much was trained, for how long, how strongly.

What the weights are multiplied by: LyCORIS `modules/lokr.py`, PEFT `tuners/lora/layer.py` (`use_rslora`).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import problem, take
from crawler.decode.problems import IMPOSSIBLE_TIME, OUT_OF_RANGE
from crawler.model import Dataset, Problem, Trainer, Weights
from crawler.model.int64 import INT64

#: Longest training that is believed; a longer one means a wrong clock.
MAX_TRAINING = timedelta(days=30)

#: Ends of the arguments by which networks divide alpha by the square root of the rank, and by which a
#: LoKr is not decomposed: those of LyCORIS and PEFT, and of OneTrainer with `lokr_` in front.
_RANK_STABILISED = ("rs_lora", "rslora", "rank_stabilized")
_FULL_MATRIX = ("full_matrix",)

#: From this rank on every LoKr consists of full matrices. People write it to ask for them; the factors
#: that LyCORIS would decompose are narrower than twice that.
_RANK_OF_FULL_LOKR = 10_000


def derive(
    values: Mapping[str, Any], datasets: Collection[Dataset], weights: Weights
) -> tuple[Mapping[str, Any], tuple[Problem, ...]]:
    """The derived attributes of `Recipe`: effective rates, steps, training time, scale, the group effort.

    `values` are the attributes that the metadata gives; `datasets` are needed for their batch sizes and
    resolutions, `weights` for whether a LoKr has a rank. A derived value that is None although its
    inputs are known has a problem.
    """
    problems: list[Problem] = []
    derived: dict[str, Any] = {
        "effective_unet_lr": _first(values, "unet_lr", "learning_rate"),
        "effective_text_encoder_lr": _first(values, "text_encoder_lr", "learning_rate"),
        "steps": _steps(values),
        "training_seconds": _seconds(values, problems),
        **_strength(values, weights),
    }
    if values.get("trainer") == Trainer.MUSUBI_TUNER:
        derived["effective_text_encoder_lr"] = None  # it trains no text encoder
    derived |= _images_seen({**values, **derived}, datasets)
    _drop_too_large(derived, problems)
    images, area = derived.get("images_seen"), _area(values, datasets)
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


def _strength(values: Mapping[str, Any], weights: Weights) -> dict[str, float | None]:
    """`network_scale`, what the weights are multiplied by, and `alpha_ratio`, alpha / rank."""
    arguments = values.get("network_args") or {}
    if _is_full_lokr(values, arguments, weights):
        return {"network_scale": 1.0, "alpha_ratio": None}
    alpha, dim = values.get("network_alpha"), values.get("network_dim")
    divisor = dim
    if dim and dim > 0 and _is_on(arguments, _RANK_STABILISED):
        divisor = math.sqrt(dim)
    return {"network_scale": _ratio(alpha, divisor), "alpha_ratio": _ratio(alpha, dim)}


def _is_full_lokr(
    values: Mapping[str, Any], arguments: Mapping[str, Any], weights: Weights
) -> bool:
    """Whether the network is a LoKr without decomposed factors, which has neither rank nor alpha."""
    if "lokr" not in (values.get("network_algo"), arguments.get("algo"), weights.tensor_algo):
        return False
    if weights.tensor_algo is not None:
        return weights.tensor_rank is None
    return _is_on(arguments, _FULL_MATRIX) or (
        (values.get("network_dim") or 0) >= _RANK_OF_FULL_LOKR
    )


def _is_on(arguments: Mapping[str, Any], ends: tuple[str, ...]) -> bool:
    """Whether an argument with one of these ends is true."""
    return any(
        take(clean.boolean, value, name, []) is True
        for name, value in arguments.items()
        if name.endswith(ends)
    )


def _area(values: Mapping[str, Any], datasets: Collection[Dataset]) -> float | None:
    """Mean pixels of an image, over the datasets by their images; None if those may differ.

    Width x height is exact; the square of `resolution` has rounding errors.
    """
    areas = {_pixels(one.resolution_width, one.resolution_height) for one in datasets}
    if len(areas) > 1:
        counted = [
            (area, images)
            for one in datasets
            if (area := _pixels(one.resolution_width, one.resolution_height))
            and (images := _images(one))
        ]
        if len(counted) < len(datasets):
            return None
        return sum(area * images for area, images in counted) / sum(each for _, each in counted)
    pixels = _pixels(values.get("resolution_width"), values.get("resolution_height"))
    side = values.get("resolution")
    return pixels if pixels is not None or side is None else side * side


def _pixels(width: int | None, height: int | None) -> float | None:
    return None if width is None or height is None else float(width * height)


def _images(dataset: Dataset) -> int:
    """Images of a dataset in one epoch, with repeats and regularisation images; 0 when unknown."""
    return max(dataset.num_train_images or 0, 0) + max(dataset.num_reg_images or 0, 0)


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
    images = _images_of(steps * _accumulation(values), values, datasets)
    return {"images_seen": images, "images_seen_is_lower_bound": None if images is None else True}


def _images_of(batches: int, values: Mapping[str, Any], datasets: Iterable[Dataset]) -> int | None:
    """Images in so many batches, rounded down.

    Batches of datasets with different batch sizes alternate, so a batch holds on average the images of
    all datasets divided by their batches. musubi-tuner counts both for the whole run only.
    """
    counted = [
        (_images(one), one.batch_size) for one in datasets if one.batch_size and one.batch_size > 0
    ]
    sizes = {size for _, size in counted}
    if len(sizes) <= 1:
        size = next(iter(sizes), values.get("batch_size"))
        return batches * size if size is not None and size > 0 else None
    per_epoch = sum(images for images, _ in counted)
    if per_epoch > 0:
        mean = per_epoch / sum(images / size for images, size in counted)
        return math.floor(batches * mean) if math.isfinite(mean) else None
    items, epoch = values.get("num_train_images") or 0, values.get("batches_per_epoch") or 0
    if items > 0 and epoch > 0:
        return batches * items // epoch
    return batches * min(sizes)


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
