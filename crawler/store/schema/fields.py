"""The registry of every column of `loras`: name, type, group, meaning, unit.

The table, the query language, `fields` and the docs are made from it. A row here, what is worth
knowing of it in `field_notes`, an attribute of `model.Recipe` (or `Weights`) and a migration make a
new column.
"""

from typing import Final, NamedTuple

from crawler.model import Trainer
from crawler.query.fields import Field, Kind

#: How a key begins -> the trainers that write it; a longer beginning goes before a shorter one. Those
#: that borrow sd-scripts' keys write the ones of `kohya` too: musubi-tuner, traintrain, merge-tool.
WRITTEN_BY: Final = {
    "ss_num_train_items": (Trainer.MUSUBI_TUNER,),
    "ss_full_bf16": (Trainer.MUSUBI_TUNER,),
    "ss_": (Trainer.KOHYA,),
    "modelspec.implementation_version": (Trainer.KOHYA,),
    "modelspec.encoder_layer": (Trainer.KOHYA,),
    "modelspec.architecture": (Trainer.ONETRAINER, Trainer.SIMPLETUNER),
    "ot_": (Trainer.ONETRAINER,),
    "lora_adapter_metadata.peft_version": (Trainer.PEFT,),
    "lora_adapter_metadata.base_model_name_or_path": (Trainer.PEFT,),
    "lora_adapter_metadata.alpha": (Trainer.PEFT,),
    "lora_adapter_metadata": (Trainer.DIFFUSERS, Trainer.PEFT, Trainer.SIMPLETUNER),
    "lora_config": (Trainer.PEFT,),
    "lycoris_config": (Trainer.SIMPLETUNER,),
    "global_step": (Trainer.SIMPLETUNER,),
    "software": (Trainer.AI_TOOLKIT,),
    "training_info": (Trainer.AI_TOOLKIT,),
    "name": (Trainer.AI_TOOLKIT,),
    "unet": (Trainer.CLONEOFSIMO,),
    "text_encoder": (Trainer.CLONEOFSIMO,),
}


class Notes(NamedTuple):
    """What is worth knowing of a column.

    Attributes:
        default: What sd-scripts takes when it is told nothing; empty where nothing is to be said.
        usual: What people train with; empty where nothing is usual.
        keys: Those of the metadata that the column is read from, separated by blanks. A dot leads
            into the JSON that a key holds, `[]` into each item of a list, `*` into each folder or
            layer. Empty for what the site or the tensors say and for what follows from columns.
    """

    default: str = ""
    usual: str = ""
    keys: str = ""


_RATE = "1e-4 to 5e-4, 1 with Prodigy"
_OF_CONV = "ss_network_args.{0} lycoris_config.{0}"
_OF_DATASET = "ss_{0} ss_datasets[].{0}"
_OF_SUBSET = "ss_{0} ss_datasets[].subsets[].{0}"
_OF_CONCEPT = " ot_config.concepts[].{0}.{1}"
_RESOLUTION = "ss_resolution ss_datasets[].resolution ot_config.resolution"
_ARGUMENTS = (
    "ss_network_args lora_adapter_metadata lora_config lycoris_config ot_config unet text_encoder"
)
_MODEL = "ss_sd_model_name lora_adapter_metadata.base_model_name_or_path ot_config.base_model_name"
_TAG_DROPOUT = "ss_caption_tag_dropout_rate ot_config.concepts[].text.tag_dropout_probability"
_WARMUP = "ss_lr_warmup_steps ot_config.learning_rate_warmup_steps"
_ZERO_SNR = "ss_zero_terminal_snr ot_config.rescale_noise_scheduler_to_zero_terminal_snr"
_ENCODER_RATES = "ss_text_encoder_lr ot_config.text_encoder.learning_rate"

NOTES: Final = {
    # trainer
    "trainer_version": Notes(
        keys="ss_sd_scripts_commit_hash modelspec.implementation_version software.version"
        " ot_revision lora_adapter_metadata.peft_version"
    ),
    "output_name": Notes(keys="ss_output_name name ot_config.output_model_destination"),
    "training_comment": Notes(keys="ss_training_comment"),
    "session_id": Notes(keys="ss_session_id"),
    # network
    "network_module": Notes(keys="ss_network_module"),
    "network_dim": Notes(
        "4",
        "8 to 64",
        "ss_network_dim lora_adapter_metadata.r lora_config.r lycoris_config.linear_dim"
        " ot_config.lora_rank ot_config.lokr_dim unet:*:rank text_encoder:*:rank",
    ),
    "network_alpha": Notes(
        "1",
        "the rank, half of it, or 1",
        "ss_network_alpha lora_adapter_metadata.lora_alpha lora_adapter_metadata.alpha"
        " lora_config.lora_alpha lycoris_config.linear_alpha ot_config.lora_alpha",
    ),
    "conv_dim": Notes("off", "4 to 16", _OF_CONV.format("conv_dim")),
    "conv_alpha": Notes("1", "the rank, half of it, or 1", _OF_CONV.format("conv_alpha")),
    "network_dropout": Notes(
        "off",
        "0 to 0.3",
        "ss_network_dropout ss_dropout ss_network_args.dropout lora_adapter_metadata.lora_dropout"
        " lycoris_config.dropout ot_config.dropout_probability",
    ),
    "network_args": Notes(keys=_ARGUMENTS),
    "network_algo": Notes(
        keys="ss_network_module ss_network_args.algo lora_adapter_metadata.peft_type"
        " lora_adapter_metadata.use_dora lora_config.lora_alpha lycoris_config.algo"
        " ot_config.peft_type ot_config.lora_decompose unet"
    ),
    "original_dim": Notes(keys="ss_training_comment"),
    # rates
    "learning_rate": Notes(
        "2e-6", _RATE, "ss_learning_rate ss_lr_scheduler ot_config.learning_rate"
    ),
    "unet_lr": Notes(
        "learning_rate",
        _RATE,
        "ss_unet_lr ot_config.unet.learning_rate ot_config.transformer.learning_rate",
    ),
    **dict.fromkeys(
        ("text_encoder_lr", "text_encoder_lrs"),
        Notes("learning_rate", "half of unet_lr", _ENCODER_RATES),
    ),
    "optimizer": Notes(
        "AdamW",
        "AdamW8bit, Prodigy, Adafactor, Lion",
        "ss_optimizer ot_config.optimizer.optimizer",
    ),
    "optimizer_path": Notes(keys="ss_optimizer"),
    "optimizer_args": Notes(keys="ss_optimizer ot_config.optimizer"),
    "lr_scheduler": Notes(
        "constant",
        "cosine, cosine_with_restarts, constant",
        "ss_lr_scheduler ot_config.learning_rate_scheduler"
        " ot_config.custom_learning_rate_scheduler",
    ),
    "lr_warmup_steps": Notes("0", "up to 10 % of the steps", _WARMUP),
    "lr_warmup_ratio": Notes("0", "0 to 0.1", _WARMUP),
    "max_grad_norm": Notes("1", "1", "ss_max_grad_norm ot_config.clip_grad_norm"),
    # length
    "steps": Notes("", "1,000 to 4,000", "ss_steps ss_epoch training_info.step global_step"),
    "max_train_steps": Notes("1600", "1,000 to 4,000", "ss_max_train_steps"),
    "epoch": Notes(keys="ss_epoch training_info.epoch"),
    "num_epochs": Notes(keys="ss_num_epochs ot_config.epochs"),
    "batches_per_epoch": Notes(keys="ss_num_batches_per_epoch"),
    "batch_size": Notes(
        "1",
        "1 to 6",
        "ss_batch_size_per_device ss_batch_size_per_gpu ss_datasets[].batch_size_per_device"
        " ot_config.batch_size",
    ),
    "gradient_accumulation_steps": Notes(
        "1", "1 to 4", "ss_gradient_accumulation_steps ot_config.gradient_accumulation_steps"
    ),
    "total_batch_size": Notes(keys="ss_total_batch_size"),
    # data
    "image_count": Notes(
        keys="ss_dataset_dirs.*.img_count ss_datasets[].subsets[].img_count ss_num_train_items"
    ),
    "num_train_images": Notes(keys="ss_num_train_images ss_num_train_items"),
    "num_reg_images": Notes(keys="ss_num_reg_images"),
    "mean_repeats": Notes(
        "1", "1 to 20", "ss_num_train_images ss_dataset_dirs.*.img_count ss_num_train_items"
    ),
    **dict.fromkeys(
        ("resolution", "resolution_width", "resolution_height"),
        Notes("", "512, 768, 1024", _RESOLUTION),
    ),
    "enable_bucket": Notes(
        "off", "on", _OF_DATASET.format("enable_bucket") + " ot_config.aspect_ratio_bucketing"
    ),
    "bucket_no_upscale": Notes("off", "", _OF_DATASET.format("bucket_no_upscale")),
    "min_bucket_reso": Notes("256", "256", _OF_DATASET.format("min_bucket_reso")),
    "max_bucket_reso": Notes("1024", "1024 to 2048", _OF_DATASET.format("max_bucket_reso")),
    "tag_count": Notes(keys="ss_tag_frequency ss_datasets[].tag_frequency"),
    "caption_dropout_rate": Notes(
        "0", "0 to 0.1", "ss_caption_dropout_rate ot_config.text_encoder.dropout_probability"
    ),
    "caption_tag_dropout_rate": Notes("0", "0 to 0.1", _TAG_DROPOUT),
    "shuffle_caption": Notes(
        "off",
        "on with tags",
        _OF_SUBSET.format("shuffle_caption") + _OF_CONCEPT.format("text", "enable_tag_shuffling"),
    ),
    "keep_tokens": Notes(
        "0", "1", _OF_SUBSET.format("keep_tokens") + _OF_CONCEPT.format("text", "keep_tags_count")
    ),
    "flip_aug": Notes(
        "off", "", _OF_SUBSET.format("flip_aug") + _OF_CONCEPT.format("image", "enable_random_flip")
    ),
    "color_aug": Notes(
        "off",
        "off",
        _OF_SUBSET.format("color_aug") + _OF_CONCEPT.format("image", "enable_random_hue"),
    ),
    "random_crop": Notes("off", "off", _OF_SUBSET.format("random_crop")),
    # loss and noise
    "noise_offset": Notes("off", "0.03 to 0.1", "ss_noise_offset ot_config.offset_noise_weight"),
    "adaptive_noise_scale": Notes("off", "off", "ss_adaptive_noise_scale"),
    "multires_noise_iterations": Notes("off", "6", "ss_multires_noise_iterations"),
    "multires_noise_discount": Notes("0.3", "0.3", "ss_multires_noise_discount"),
    "min_snr_gamma": Notes("off", "5", "ss_min_snr_gamma ot_config.loss_weight_strength"),
    "ip_noise_gamma": Notes("off", "0.1", "ss_ip_noise_gamma ot_config.perturbation_noise_weight"),
    "zero_terminal_snr": Notes("off", "on for v-prediction", _ZERO_SNR),
    "debiased_estimation": Notes("off", "off", "ss_debiased_estimation ot_config.loss_weight_fn"),
    "scale_weight_norms": Notes("off", "1", "ss_scale_weight_norms"),
    "prior_loss_weight": Notes("1", "1", "ss_prior_loss_weight"),
    "loss_type": Notes(
        "l2",
        "l2",
        "ss_loss_type ot_config.mse_strength ot_config.mae_strength ot_config.huber_strength",
    ),
    "huber_c": Notes("0.1", "0.1", "ss_huber_c"),
    "guidance_scale": Notes("3.5", "1", "ss_guidance_scale ot_config.transformer.guidance_scale"),
    "timestep_sampling": Notes(
        "sigma",
        "sigmoid, shift",
        "ss_timestep_sampling ss_timestep_sample_method ot_config.timestep_distribution",
    ),
    "discrete_flow_shift": Notes("3", "3", "ss_discrete_flow_shift ot_config.timestep_shift"),
    "weighting_scheme": Notes("uniform", "", "ss_weighting_scheme"),
    # machine
    "mixed_precision": Notes("no", "bf16, fp16", "ss_mixed_precision ot_config.train_dtype"),
    "full_fp16": Notes("off", "off", "ss_full_fp16"),
    "full_bf16": Notes("off", "", "ss_full_bf16"),
    "fp8_base": Notes("off", "", "ss_fp8_base ot_config.transformer.weight_dtype"),
    "gradient_checkpointing": Notes(
        "off", "on", "ss_gradient_checkpointing ot_config.gradient_checkpointing"
    ),
    "cache_latents": Notes(
        "off", "on", "ss_cache_latents ot_config.latent_caching ot_config.image_caching"
    ),
    "lowram": Notes("off", "", "ss_lowram"),
    "seed": Notes("drawn at random", "", "ss_seed"),
    "clip_skip": Notes(
        "1",
        "1; 2 for what comes of NovelAI's",
        "ss_clip_skip modelspec.encoder_layer ot_config.text_encoder_layer_skip",
    ),
    "max_token_length": Notes("75", "225", "ss_max_token_length"),
    "v2": Notes("off", "", "ss_v2"),
    "base_model_version": Notes(
        keys="ss_base_model_version modelspec.architecture ot_config.model_type"
    ),
    "sd_model_name": Notes(keys=_MODEL),
    "sd_model_hash": Notes(keys="ss_sd_model_hash"),
    "sd_model_sha256": Notes(keys="ss_new_sd_model_hash"),
    "vae_name": Notes(keys="ss_vae_name ot_config.vae.model_name"),
    # time
    **{f"training_{at}": Notes(keys=f"ss_training_{at}") for at in ("started_at", "finished_at")},
}


def written_by(key: str) -> tuple[str, ...]:
    """The trainers that write a key of NOTES, as in the column `trainer`."""
    begin = max((one for one in WRITTEN_BY if key.startswith(one)), key=len)
    return WRITTEN_BY[begin]


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
