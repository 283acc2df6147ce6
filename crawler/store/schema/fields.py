"""The registry of every column of `loras`: name, type, group, meaning, unit.

The table, the query language, `fields` and the docs are made from it. A row here, what is worth
knowing of it in `field_notes`, an attribute of `model.Recipe` (or `Weights`) and a migration make a
new column.
"""

from crawler.query.fields import Field, Kind
from crawler.store.schema.field_notes import NOTES, Notes, written_by

_INT, _NUM, _TEXT = Kind.INTEGER, Kind.NUMBER, Kind.TEXT
_BOOL, _TIME, _LIST, _OBJECT = Kind.BOOLEAN, Kind.TIME, Kind.LIST, Kind.OBJECT

_ROWS: tuple[tuple[str, tuple[tuple[str, Kind, str, str], ...]], ...] = (
    (
        "what it is",
        (
            ("file_id", _INT, "", "id of the file, negative when it does not come from Civitai"),
            ("version_id", _INT, "", "id of the version"),
            ("model_id", _INT, "", "id of the model"),
            ("site", _TEXT, "", "where it was found: civitai or local"),
            ("page_url", _TEXT, "", "the page a person opens"),
            ("model_name", _TEXT, "", "title of the model"),
            ("version_name", _TEXT, "", "name of the version"),
            ("creator", _TEXT, "", "user name of its creator"),
            ("model_type", _TEXT, "", "LORA, LoCon or DoRA, as the site files it"),
            ("base_model", _TEXT, "", "base model as the site names it, e.g. Pony"),
            ("model_tags", _LIST, "", "the site's tags for the model"),
            ("trained_words", _LIST, "", "trigger words the creator names"),
            ("nsfw", _BOOL, "", "marked as mature"),
            ("nsfw_level", _INT, "bit mask", "1 PG, 2 PG-13, 4 R, 8 X, 16 XXX, added up"),
            ("published_at", _TIME, "UTC", "when the version was published"),
            ("downloads", _INT, "", "downloads of the model, all versions together"),
            ("likes", _INT, "", "thumbs up of the model, all versions together"),
            ("file_name", _TEXT, "", "name of the file"),
            ("is_primary", _BOOL, "", "the file the site offers first"),
            ("size_bytes", _INT, "bytes", "size of the file"),
            ("sha256", _TEXT, "hex", "SHA-256 of the file"),
            ("autov2", _TEXT, "hex", "first 10 digits of sha256"),
            ("autov3", _TEXT, "hex", "SHA-256 of the weights, cut short"),
            ("outcome", _TEXT, "", "how reading the file ended, e.g. decoded"),
            ("reason", _TEXT, "", "why it ended so, in words"),
            ("attempts", _INT, "", "how often the file was asked for"),
            ("next_try_at", _TIME, "UTC", "not asked for again before this time"),
            ("fetched_at", _TIME, "UTC", "when it was last asked for"),
            ("early_access_until", _TIME, "UTC", "end of early access"),
            ("gone_at", _TIME, "UTC", "when the site no longer listed it"),
        ),
    ),
    (
        "trainer",
        (
            ("trainer", _TEXT, "", "program that trained it, e.g. kohya"),
            ("trainer_version", _TEXT, "", "its version or commit"),
            ("output_name", _TEXT, "", "name given to the result"),
            ("training_comment", _TEXT, "", "comment given to the run"),
            ("session_id", _TEXT, "", "random number shared by all files of one run"),
        ),
    ),
    (
        "network",
        (
            ("network_module", _TEXT, "", "module that built the network, e.g. networks.lora"),
            ("network_dim", _INT, "", "rank: width of the added layers"),
            ("network_alpha", _NUM, "", "scaling: real strength is alpha / rank"),
            ("conv_dim", _INT, "", "rank of the 3x3 convolutions"),
            ("conv_alpha", _NUM, "", "alpha of the 3x3 convolutions"),
            ("network_dropout", _NUM, "0..1", "random switching off of neurons"),
            ("network_args", _OBJECT, "", "further arguments of the network module"),
            ("network_algo", _TEXT, "", "lora, locon, loha, lokr, dora, oft …"),
            ("original_dim", _INT, "", "rank before a resize"),
        ),
    ),
    (
        "rates",
        (
            ("learning_rate", _NUM, "", "base learning rate"),
            ("unet_lr", _NUM, "", "learning rate of the U-Net or transformer"),
            ("text_encoder_lr", _NUM, "", "learning rate of the (first) text encoder"),
            ("text_encoder_lrs", _LIST, "", "learning rates of all text encoders"),
            ("effective_unet_lr", _NUM, "", "unet_lr, else learning_rate"),
            ("effective_text_encoder_lr", _NUM, "", "text_encoder_lr, else learning_rate"),
            ("optimizer", _TEXT, "", "class name, e.g. AdamW8bit"),
            ("optimizer_path", _TEXT, "", "module and class"),
            ("optimizer_args", _OBJECT, "", "arguments of the optimizer"),
            ("lr_scheduler", _TEXT, "", "curve of the learning rate"),
            ("lr_warmup_steps", _INT, "steps", "ramp from 0 to the learning rate"),
            ("lr_warmup_ratio", _NUM, "0..1", "the ramp as a share of all steps"),
            ("max_grad_norm", _NUM, "", "gradient clipping, 0 = off"),
        ),
    ),
    (
        "length",
        (
            ("steps", _INT, "steps", "optimizer steps done at this save"),
            ("max_train_steps", _INT, "steps", "optimizer steps planned"),
            ("epoch", _INT, "epochs", "epoch of this save"),
            ("num_epochs", _INT, "epochs", "epochs planned"),
            ("batches_per_epoch", _INT, "batches", "batches per epoch, before accumulation"),
            ("batch_size", _INT, "images", "images per step and device"),
            ("gradient_accumulation_steps", _INT, "batches", "batches summed before one update"),
            ("total_batch_size", _INT, "images", "batch x devices x accumulation"),
        ),
    ),
    (
        "data",
        (
            ("image_count", _INT, "images", "distinct training images"),
            ("num_train_images", _INT, "images", "training images with repeats"),
            ("num_reg_images", _INT, "images", "regularisation images with repeats"),
            ("mean_repeats", _NUM, "", "num_train_images / image_count"),
            ("resolution", _NUM, "px", "side of the square of equal area"),
            ("resolution_width", _INT, "px", "width trained at"),
            ("resolution_height", _INT, "px", "height trained at"),
            ("enable_bucket", _BOOL, "", "images grouped by aspect ratio"),
            ("bucket_no_upscale", _BOOL, "", "small images are not enlarged"),
            ("min_bucket_reso", _INT, "px", "smallest bucket side"),
            ("max_bucket_reso", _INT, "px", "largest bucket side"),
            ("tag_count", _INT, "tags", "distinct caption tags"),
            ("caption_dropout_rate", _NUM, "0..1", "share of captions left out"),
            ("caption_tag_dropout_rate", _NUM, "0..1", "share of tags left out"),
            ("shuffle_caption", _BOOL, "", "tags in random order"),
            ("keep_tokens", _INT, "tags", "first tags that stay in place"),
            ("flip_aug", _BOOL, "", "images mirrored at random"),
            ("color_aug", _BOOL, "", "colours changed at random"),
            ("random_crop", _BOOL, "", "images cropped at random"),
        ),
    ),
    (
        "loss and noise",
        (
            ("noise_offset", _NUM, "", "noise offset"),
            ("adaptive_noise_scale", _NUM, "", "noise offset adjusted by the latent mean"),
            ("multires_noise_iterations", _INT, "", "layers of noise of several sizes"),
            ("multires_noise_discount", _NUM, "0..1", "weight of the further layers"),
            ("min_snr_gamma", _NUM, "", "lowers the weight of easy timesteps"),
            ("ip_noise_gamma", _NUM, "", "input perturbation noise"),
            ("zero_terminal_snr", _BOOL, "", "noise schedule that ends in pure noise"),
            ("debiased_estimation", _BOOL, "", "debiased loss weighting"),
            ("scale_weight_norms", _NUM, "", "cap on the norms of the layers"),
            ("prior_loss_weight", _NUM, "", "weight of regularisation images"),
            ("loss_type", _TEXT, "", "l1, l2, huber or smooth_l1"),
            ("huber_c", _NUM, "", "where the Huber loss turns linear"),
            ("guidance_scale", _NUM, "", "guidance while training (Flux)"),
            ("timestep_sampling", _TEXT, "", "how timesteps are drawn (flow models)"),
            ("discrete_flow_shift", _NUM, "", "shift of the flow schedule"),
            ("weighting_scheme", _TEXT, "", "weighting of timesteps (flow models)"),
        ),
    ),
    (
        "machine",
        (
            ("mixed_precision", _TEXT, "", "no, fp16 or bf16"),
            ("full_fp16", _BOOL, "", "gradients in fp16 too"),
            ("full_bf16", _BOOL, "", "gradients in bf16 too"),
            ("fp8_base", _BOOL, "", "base model held in fp8"),
            ("gradient_checkpointing", _BOOL, "", "memory saved at the cost of time"),
            ("cache_latents", _BOOL, "", "images encoded once, before training"),
            ("lowram", _BOOL, "", "base model loaded to the GPU at once"),
            ("seed", _INT, "", "random seed"),
            ("clip_skip", _INT, "layers", "CLIP layer used, counted from the end"),
            ("max_token_length", _INT, "tokens", "longest caption"),
            ("v2", _BOOL, "", "base is Stable Diffusion 2"),
            ("base_model_version", _TEXT, "", "base as the trainer names it"),
            ("sd_model_name", _TEXT, "", "file trained on"),
            ("sd_model_hash", _TEXT, "hex", "its short hash (AutoV1)"),
            ("sd_model_sha256", _TEXT, "hex", "its SHA-256"),
            ("vae_name", _TEXT, "", "VAE trained with"),
            ("other_settings", _OBJECT, "", "metadata that no column takes"),
        ),
    ),
    (
        "time",
        (
            ("training_started_at", _TIME, "UTC", "start of the run"),
            ("training_finished_at", _TIME, "UTC", "when this file was saved"),
            ("training_seconds", _NUM, "s", "from start to this save"),
        ),
    ),
    (
        "effort",
        (
            ("images_seen", _INT, "images", "steps x batch: images that went through training"),
            ("images_seen_is_lower_bound", _BOOL, "", "the number of GPUs is unknown"),
            ("megapixels_seen", _NUM, "MP", "images_seen x resolution² / 1e6"),
            ("seconds_per_image", _NUM, "s", "training_seconds / images_seen"),
            ("alpha_ratio", _NUM, "", "network_alpha / network_dim"),
        ),
    ),
    (
        "tensors",
        (
            ("tensor_rank", _INT, "", "rank by the tensors, the most common one"),
            ("tensor_rank_min", _INT, "", "smallest rank of any layer"),
            ("tensor_rank_max", _INT, "", "largest rank of any layer"),
            ("tensor_algo", _TEXT, "", "algorithm by the tensor names"),
            ("tensor_dtype", _TEXT, "", "number format of most weights"),
            ("tensor_count", _INT, "tensors", "tensors in the file"),
            ("parameter_count", _INT, "", "numbers in all tensors together"),
            ("architecture", _TEXT, "", "kind of base by the tensors, e.g. sdxl"),
            ("trains_text_encoder", _BOOL, "", "has text encoder weights"),
            ("trains_conv", _BOOL, "", "has 3x3 convolution weights"),
        ),
    ),
)


def _field(group: str, row: tuple[str, Kind, str, str]) -> Field:
    name, kind, unit, meaning = row
    notes = NOTES.get(name, Notes())
    keys = tuple(f"{', '.join(written_by(key))}: {key}" for key in notes.keys.split())
    return Field(name, kind, group, meaning, unit, notes.default, notes.usual, keys)


FIELDS: tuple[Field, ...] = tuple(_field(group, row) for group, rows in _ROWS for row in rows)

BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}

#: Groups whose columns come from the metadata: one filled makes a file `decoded`.
TRAINING_GROUPS = frozenset(
    {"network", "rates", "length", "data", "loss and noise", "machine", "time"}
)
