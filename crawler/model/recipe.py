"""The decoded header: the recipe by its metadata, the weights by its tensors.

Each attribute of Recipe and Weights is a column of `loras` and a query field of the same name;
`crawler.store.schema.fields` has their meanings, units and types. None means that the file does not
contain the value, or that no column can hold it; then a Problem says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from crawler.model.header import Header
from crawler.model.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that could not be read, or that contradicts another one.

    Attributes:
        code: A short stable word, see `crawler.decode.problems`.
        field: The column or metadata key concerned.
        detail: In words; quotes at most 80 characters of the file.
    """

    code: str
    field: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset of a training run.

    Attributes:
        number: From 0, in the order of the metadata.
        buckets: `{"resolution": [w, h], "count": n}` each, in px and images with repeats; None
            without buckets.
        settings: Other settings, as in the metadata.
    """

    number: int
    resolution_width: int | None = None
    resolution_height: int | None = None
    batch_size: int | None = None
    num_train_images: int | None = None
    num_reg_images: int | None = None
    enable_bucket: bool | None = None
    bucket_no_upscale: bool | None = None
    min_bucket_reso: int | None = None
    max_bucket_reso: int | None = None
    mean_img_ar_error: float | None = None
    buckets: tuple[Mapping[str, Any], ...] | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One training folder (a subset of a dataset).

    Attributes:
        number: From 0 over all datasets of the file.
        dataset_number: Its dataset; None when the metadata has none. A run without a dataset
            config has one dataset, number 0, made of its flat settings.
        name: The base name, as the trainer wrote it.
        repeats: How often each image is used per epoch.
        image_count: Distinct images.
        settings: Other settings, as in the metadata.
    """

    number: int
    dataset_number: int | None = None
    name: str
    repeats: int | None = None
    image_count: int | None = None
    is_reg: bool | None = None
    class_tokens: str | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a LoRA was trained, by its metadata. The groups are those of the columns of `loras`."""

    # trainer
    trainer: str | None = None
    trainer_version: str | None = None
    output_name: str | None = None
    training_comment: str | None = None
    session_id: str | None = None
    # network
    network_module: str | None = None
    network_dim: int | None = None
    network_alpha: float | None = None
    conv_dim: int | None = None
    conv_alpha: float | None = None
    network_dropout: float | None = None
    network_args: Mapping[str, Any] | None = None
    network_algo: str | None = None
    network_scale: float | None = None
    original_dim: int | None = None
    # rates
    learning_rate: float | None = None
    unet_lr: float | None = None
    text_encoder_lr: float | None = None
    text_encoder_lrs: tuple[float, ...] | None = None
    effective_unet_lr: float | None = None
    effective_text_encoder_lr: float | None = None
    optimizer: str | None = None
    optimizer_path: str | None = None
    optimizer_args: Mapping[str, Any] | None = None
    lr_scheduler: str | None = None
    lr_warmup_steps: int | None = None
    lr_warmup_ratio: float | None = None
    max_grad_norm: float | None = None
    # length
    steps: int | None = None
    max_train_steps: int | None = None
    epoch: int | None = None
    num_epochs: int | None = None
    batches_per_epoch: int | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    total_batch_size: int | None = None
    # data
    image_count: int | None = None
    num_train_images: int | None = None
    num_reg_images: int | None = None
    mean_repeats: float | None = None
    resolution: float | None = None
    resolution_width: int | None = None
    resolution_height: int | None = None
    enable_bucket: bool | None = None
    bucket_no_upscale: bool | None = None
    min_bucket_reso: int | None = None
    max_bucket_reso: int | None = None
    tag_count: int | None = None
    caption_dropout_rate: float | None = None
    caption_tag_dropout_rate: float | None = None
    shuffle_caption: bool | None = None
    keep_tokens: int | None = None
    flip_aug: bool | None = None
    color_aug: bool | None = None
    random_crop: bool | None = None
    # loss and noise
    noise_offset: float | None = None
    adaptive_noise_scale: float | None = None
    multires_noise_iterations: int | None = None
    multires_noise_discount: float | None = None
    min_snr_gamma: float | None = None
    ip_noise_gamma: float | None = None
    zero_terminal_snr: bool | None = None
    debiased_estimation: bool | None = None
    scale_weight_norms: float | None = None
    prior_loss_weight: float | None = None
    loss_type: str | None = None
    huber_c: float | None = None
    guidance_scale: float | None = None
    timestep_sampling: str | None = None
    discrete_flow_shift: float | None = None
    weighting_scheme: str | None = None
    # machine
    mixed_precision: str | None = None
    full_fp16: bool | None = None
    full_bf16: bool | None = None
    fp8_base: bool | None = None
    gradient_checkpointing: bool | None = None
    cache_latents: bool | None = None
    lowram: bool | None = None
    seed: int | None = None
    clip_skip: int | None = None
    max_token_length: int | None = None
    v2: bool | None = None
    base_model_version: str | None = None
    sd_model_name: str | None = None
    sd_model_hash: str | None = None
    sd_model_sha256: str | None = None
    vae_name: str | None = None
    other_settings: Mapping[str, Any] | None = None
    # time
    training_started_at: datetime | None = None
    training_finished_at: datetime | None = None
    training_seconds: float | None = None
    # effort, derived
    images_seen: int | None = None
    images_seen_is_lower_bound: bool | None = None
    megapixels_seen: float | None = None
    seconds_per_image: float | None = None
    alpha_ratio: float | None = None


_NAMES = [attribute.name for attribute in fields(Recipe)]

#: The attributes of the groups network to time, without the leftovers: these show how a file was
#: trained. A file is `decoded` when its metadata fills at least one of them.
TRAINING = frozenset(_NAMES[_NAMES.index("network_module") : _NAMES.index("images_seen")]) - {
    "other_settings"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Facts about the tensors, by their names, shapes and dtypes alone."""

    tensor_rank: int | None = None
    tensor_rank_min: int | None = None
    tensor_rank_max: int | None = None
    tensor_algo: str | None = None
    tensor_dtype: str | None = None
    tensor_count: int | None = None
    parameter_count: int | None = None
    architecture: str | None = None
    trains_text_encoder: bool | None = None
    trains_conv: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Everything that a sound header contains, typed.

    Attributes:
        outcome: `decoded` or `no_metadata`.
        tags: Directory name -> tag -> count, as in the metadata.
    """

    header: Header
    outcome: Outcome
    recipe: Recipe
    weights: Weights
    datasets: tuple[Dataset, ...] = ()
    directories: tuple[Directory, ...] = ()
    tags: Mapping[str, Mapping[str, int]]
    problems: tuple[Problem, ...] = ()
