"""The registry of the columns of `loras`.

The table, the query language, `lora-crawl fields` and docs/fields.md are made from it. A new column
needs an entry here, an attribute of `model.Recipe` or `model.Weights`, and a revision in migrations/.
"""

from collections.abc import Mapping
from dataclasses import replace

from crawler.model.trainer import Trainer
from crawler.query.fields import Field, Kind

#: The first part of a key -> the trainers that write it. The longest match counts. musubi-tuner,
#: traintrain and merge tools also write many of sd-scripts' keys (`kohya`).
_WRITTEN_BY: Mapping[str, tuple[Trainer, ...]] = {
    "ss_num_train_items": (Trainer.MUSUBI_TUNER,),
    "ss_full_bf16": (Trainer.MUSUBI_TUNER,),
    "ss_network_rank": (Trainer.MERGE_TOOL,),
    "ss_base_model_name": (Trainer.MERGE_TOOL,),
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

_INT, _NUM, _TEXT = Kind.INTEGER, Kind.NUMBER, Kind.TEXT
_BOOL, _TIME, _LIST, _OBJECT = Kind.BOOLEAN, Kind.TIME, Kind.LIST, Kind.OBJECT


def _group(name: str, *columns: Field) -> tuple[Field, ...]:
    return tuple(replace(column, group=name) for column in columns)


def _column(  # noqa: PLR0917 - a row of the table below
    name: str,
    kind: Kind,
    unit: str,
    meaning: str,
    default: str = "",
    usual: str = "",
    keys: str = "",
) -> Field:
    """A column; `_group` adds its group.

    `default` and `usual` are those of sd-scripts. `keys` are the metadata keys, separated by blanks: a
    dot leads into the JSON of a key, `[]` into each item of a list, `*` into each folder or layer. There
    are none for values of the site or the tensors, and for values computed from other columns.
    """
    sources = tuple(f"{', '.join(_trainers(key))}: {key}" for key in keys.split())
    return Field(name, kind, "", meaning, unit, default, usual, sources)


def _trainers(key: str) -> tuple[Trainer, ...]:
    return _WRITTEN_BY[max((start for start in _WRITTEN_BY if key.startswith(start)), key=len)]


# One line or two for each column: name, type, unit, meaning, default, usual values, metadata keys.
# fmt: off
FIELDS: tuple[Field, ...] = (
    *_group(
        "what it is",
        _column("file_id", _INT, "", "file id; negative if the file is not from Civitai"),
        _column("version_id", _INT, "", "id of the model version"),
        _column("model_id", _INT, "", "id of the model"),
        _column("site", _TEXT, "", "where the file was found: civitai or local"),
        _column("page_url", _TEXT, "", "URL of the model's page"),
        _column("model_name", _TEXT, "", "name of the model"),
        _column("version_name", _TEXT, "", "name of the version"),
        _column("creator", _TEXT, "", "user name of the creator"),
        _column("model_type", _TEXT, "", "type on the site: LORA, LoCon or DoRA"),
        _column("base_model", _TEXT, "", "base model as the site names it, e.g. Pony"),
        _column("model_tags", _LIST, "", "tags of the model on the site"),
        _column("trained_words", _LIST, "", "trigger words given by the creator"),
        _column("nsfw", _BOOL, "", "the site marks the model as mature"),
        _column("nsfw_level", _INT, "bit mask", "sum of 1 PG, 2 PG-13, 4 R, 8 X and 16 XXX"),
        _column("published_at", _TIME, "UTC", "when the version was published"),
        _column("downloads", _INT, "", "downloads of the model, over all its versions"),
        _column("likes", _INT, "", "thumbs up of the model, over all its versions"),
        _column("likes_per_month", _NUM, "",
                "likes per month since the model's first version, at least one month"),
        _column("file_name", _TEXT, "", "name of the file"),
        _column("is_primary", _BOOL, "", "the file that the site offers first"),
        _column("size_bytes", _INT, "bytes", "size of the file"),
        _column("sha256", _TEXT, "hex", "SHA-256 of the file"),
        _column("autov2", _TEXT, "hex", "first 10 digits of sha256"),
        _column("autov3", _TEXT, "hex", "SHA-256 of the weights, shortened"),
        _column("outcome", _TEXT, "", "result of reading the file, e.g. decoded"),
        _column("reason", _TEXT, "", "explanation of the outcome"),
        _column("attempts", _INT, "", "how many times the file was requested"),
        _column("next_try_at", _TIME, "UTC", "the file is not requested again before this time"),
        _column("fetched_at", _TIME, "UTC", "when the file was last requested"),
        _column("early_access_until", _TIME, "UTC", "when early access ends"),
        _column("gone_at", _TIME, "UTC", "when the file was found to be no longer listed"),
    ),
    *_group(
        "trainer",
        _column("trainer", _TEXT, "", "program that trained the LoRA, e.g. kohya"),
        _column("trainer_version", _TEXT, "", "version or commit of the trainer", keys=
                "ss_sd_scripts_commit_hash modelspec.implementation_version software.version"
                " ot_revision lora_adapter_metadata.peft_version"),
        _column("output_name", _TEXT, "", "name given to the output file", keys=
                "ss_output_name name ot_config.output_model_destination"),
        _column("training_comment", _TEXT, "", "comment given to the run", keys="ss_training_comment"),
        _column("session_id", _TEXT, "", "random number shared by all files of one run", keys=
                "ss_session_id"),
    ),
    *_group(
        "network",
        _column("network_module", _TEXT, "", "Python module of the network, e.g. networks.lora",
                keys="ss_network_module"),
        _column("network_dim", _INT, "", "rank: width of the added layers", "4", "8 to 64",
                "ss_network_dim lora_adapter_metadata.r lora_config.r lycoris_config.linear_dim"
                " ot_config.lora_rank ot_config.lokr_dim unet:*:rank text_encoder:*:rank"
                " ss_network_rank"),
        _column("network_alpha", _NUM, "", "scaling: the weights are multiplied by alpha / rank",
                "1", "the rank, half of it, or 1",
                "ss_network_alpha lora_adapter_metadata.lora_alpha lora_adapter_metadata.alpha"
                " lora_config.lora_alpha lycoris_config.linear_alpha ot_config.lora_alpha"),
        _column("conv_dim", _INT, "", "rank of the 3x3 convolutions", "off", "4 to 16",
                "ss_network_args.conv_dim lycoris_config.conv_dim"),
        _column("conv_alpha", _NUM, "", "alpha of the 3x3 convolutions", "1",
                "the rank, half of it, or 1", "ss_network_args.conv_alpha lycoris_config.conv_alpha"),
        _column("network_dropout", _NUM, "0..1", "probability of dropping a neuron", "off", "0 to 0.3",
                "ss_network_dropout ss_dropout ss_network_args.dropout"
                " lora_adapter_metadata.lora_dropout lycoris_config.dropout"
                " ot_config.dropout_probability"),
        _column("network_args", _OBJECT, "", "further arguments of the network module", keys=
                "ss_network_args lora_adapter_metadata lora_config lycoris_config ot_config unet"
                " text_encoder"),
        _column("network_algo", _TEXT, "", "algorithm: lora, locon, loha, lokr, dora, oft …", keys=
                "ss_network_module ss_network_args.algo lora_adapter_metadata.peft_type"
                " lora_adapter_metadata.use_dora lora_config.lora_alpha lycoris_config.algo"
                " ot_config.peft_type ot_config.lora_decompose unet"),
        _column("network_scale", _NUM, "",
                "what the weights are multiplied by: alpha / rank, alpha / √rank if rank-stabilised,"
                " 1 for a LoKr of full matrices"),
        _column("original_dim", _INT, "", "rank before the file was resized", keys=
                "ss_training_comment"),
    ),
    *_group(
        "rates",
        _column("learning_rate", _NUM, "", "base learning rate", "2e-6", "1e-4 to 5e-4, 1 with Prodigy",
                "ss_learning_rate ss_lr_scheduler ot_config.learning_rate"),
        _column("unet_lr", _NUM, "", "learning rate of the U-Net or transformer", "learning_rate",
                "1e-4 to 5e-4, 1 with Prodigy",
                "ss_unet_lr ot_config.unet.learning_rate ot_config.transformer.learning_rate"),
        _column("text_encoder_lr", _NUM, "", "learning rate of the first text encoder",
                "learning_rate", "half of unet_lr",
                "ss_text_encoder_lr ot_config.text_encoder.learning_rate"),
        _column("text_encoder_lrs", _LIST, "", "learning rates of all text encoders",
                "learning_rate", "half of unet_lr",
                "ss_text_encoder_lr ot_config.text_encoder.learning_rate"),
        _column("effective_unet_lr", _NUM, "", "unet_lr, or learning_rate if that is missing"),
        _column("effective_text_encoder_lr", _NUM, "",
                "text_encoder_lr, or learning_rate if that is missing"),
        _column("optimizer", _TEXT, "", "class of the optimizer, e.g. AdamW8bit", "AdamW",
                "AdamW8bit, Prodigy, Adafactor, Lion", "ss_optimizer ot_config.optimizer.optimizer"),
        _column("optimizer_path", _TEXT, "", "module and class of the optimizer", keys="ss_optimizer"),
        _column("optimizer_args", _OBJECT, "", "arguments of the optimizer", keys=
                "ss_optimizer ot_config.optimizer"),
        _column("lr_scheduler", _TEXT, "", "schedule of the learning rate", "constant",
                "cosine, cosine_with_restarts, constant",
                "ss_lr_scheduler ot_config.learning_rate_scheduler"
                " ot_config.custom_learning_rate_scheduler"),
        _column("lr_warmup_steps", _INT, "steps", "steps until the learning rate is reached", "0",
                "up to 10 % of the steps", "ss_lr_warmup_steps ot_config.learning_rate_warmup_steps"),
        _column("lr_warmup_ratio", _NUM, "0..1", "warmup as a share of all steps", "0", "0 to 0.1",
                "ss_lr_warmup_steps ot_config.learning_rate_warmup_steps"),
        _column("max_grad_norm", _NUM, "", "limit of the gradient norm, 0 = off", "1", "1",
                "ss_max_grad_norm ot_config.clip_grad_norm"),
    ),
    *_group(
        "length",
        _column("steps", _INT, "steps", "optimizer steps done when the file was saved", "",
                "1,000 to 4,000", "ss_steps ss_training_step ss_epoch training_info.step global_step"),
        _column("max_train_steps", _INT, "steps", "optimizer steps planned", "1600", "1,000 to 4,000",
                "ss_max_train_steps"),
        _column("epoch", _INT, "epochs", "epoch in which the file was saved", keys=
                "ss_epoch training_info.epoch"),
        _column("num_epochs", _INT, "epochs", "epochs planned", keys=
                "ss_num_epochs ss_epochs ot_config.epochs"),
        _column("batches_per_epoch", _INT, "batches", "batches per epoch, before accumulation", keys=
                "ss_num_batches_per_epoch"),
        _column("batch_size", _INT, "images", "images per step and device", "1", "1 to 6",
                "ss_batch_size_per_device ss_batch_size_per_gpu ss_datasets[].batch_size_per_device"
                " ot_config.batch_size"),
        _column("gradient_accumulation_steps", _INT, "batches", "batches summed before one update",
                "1", "1 to 4",
                "ss_gradient_accumulation_steps ot_config.gradient_accumulation_steps"),
        _column("total_batch_size", _INT, "images", "batch x devices x accumulation", keys=
                "ss_total_batch_size"),
    ),
    *_group(
        "data",
        _column("image_count", _INT, "images", "distinct training images", keys=
                "ss_dataset_dirs.*.img_count ss_datasets[].subsets[].img_count ss_num_train_items"),
        _column("num_train_images", _INT, "images", "training images, repeats included", keys=
                "ss_num_train_images ss_num_train_items"),
        _column("num_reg_images", _INT, "images", "regularisation images, repeats included", keys=
                "ss_num_reg_images"),
        _column("mean_repeats", _NUM, "", "num_train_images / image_count", "1", "1 to 20",
                "ss_num_train_images ss_dataset_dirs.*.img_count ss_num_train_items"),
        _column("resolution", _NUM, "px", "side of a square with the area trained at", "",
                "512, 768, 1024", "ss_resolution ss_datasets[].resolution ot_config.resolution"),
        _column("resolution_width", _INT, "px", "width trained at", "", "512, 768, 1024",
                "ss_resolution ss_datasets[].resolution ot_config.resolution"),
        _column("resolution_height", _INT, "px", "height trained at", "", "512, 768, 1024",
                "ss_resolution ss_datasets[].resolution ot_config.resolution"),
        _column("enable_bucket", _BOOL, "", "images are grouped by aspect ratio", "off", "on",
                "ss_enable_bucket ss_datasets[].enable_bucket ot_config.aspect_ratio_bucketing"),
        _column("bucket_no_upscale", _BOOL, "", "small images are not enlarged", "off", "",
                "ss_bucket_no_upscale ss_datasets[].bucket_no_upscale"),
        _column("min_bucket_reso", _INT, "px", "shortest side of a bucket", "256", "256",
                "ss_min_bucket_reso ss_datasets[].min_bucket_reso"),
        _column("max_bucket_reso", _INT, "px", "longest side of a bucket", "1024", "1024 to 2048",
                "ss_max_bucket_reso ss_datasets[].max_bucket_reso"),
        _column("tag_count", _INT, "tags", "distinct caption tags", keys=
                "ss_tag_frequency ss_datasets[].tag_frequency"),
        _column("caption_dropout_rate", _NUM, "0..1", "share of captions dropped", "0", "0 to 0.1",
                "ss_caption_dropout_rate ot_config.text_encoder.dropout_probability"),
        _column("caption_tag_dropout_rate", _NUM, "0..1", "share of tags dropped", "0", "0 to 0.1",
                "ss_caption_tag_dropout_rate ot_config.concepts[].text.tag_dropout_probability"),
        _column("shuffle_caption", _BOOL, "", "tags are put in random order", "off", "on with tags",
                "ss_shuffle_caption ss_datasets[].subsets[].shuffle_caption"
                " ot_config.concepts[].text.enable_tag_shuffling"),
        _column("keep_tokens", _INT, "tags", "number of first tags that keep their place", "0", "1",
                "ss_keep_tokens ss_datasets[].subsets[].keep_tokens"
                " ot_config.concepts[].text.keep_tags_count"),
        _column("flip_aug", _BOOL, "", "images are mirrored at random", "off", "",
                "ss_flip_aug ss_datasets[].subsets[].flip_aug"
                " ot_config.concepts[].image.enable_random_flip"),
        _column("color_aug", _BOOL, "", "colours are changed at random", "off", "off",
                "ss_color_aug ss_datasets[].subsets[].color_aug"
                " ot_config.concepts[].image.enable_random_hue"),
        _column("random_crop", _BOOL, "", "images are cropped at random", "off", "off",
                "ss_random_crop ss_datasets[].subsets[].random_crop"),
    ),
    *_group(
        "loss and noise",
        _column("noise_offset", _NUM, "", "strength of the noise offset", "off", "0.03 to 0.1",
                "ss_noise_offset ot_config.offset_noise_weight"),
        _column("adaptive_noise_scale", _NUM, "", "share of the latent mean added to the noise offset",
                "off", "off", "ss_adaptive_noise_scale"),
        _column("multires_noise_iterations", _INT, "", "layers of multi-resolution noise", "off", "6",
                "ss_multires_noise_iterations"),
        _column("multires_noise_discount", _NUM, "0..1", "weight of each further layer", "0.3", "0.3",
                "ss_multires_noise_discount"),
        _column("min_snr_gamma", _NUM, "", "lowers the loss weight of easy timesteps", "off", "5",
                "ss_min_snr_gamma ot_config.loss_weight_strength"),
        _column("ip_noise_gamma", _NUM, "", "strength of input perturbation noise", "off", "0.1",
                "ss_ip_noise_gamma ot_config.perturbation_noise_weight"),
        _column("zero_terminal_snr", _BOOL, "", "the noise schedule ends in pure noise", "off",
                "on for v-prediction",
                "ss_zero_terminal_snr ot_config.rescale_noise_scheduler_to_zero_terminal_snr"),
        _column("debiased_estimation", _BOOL, "", "debiased loss weighting", "off", "off",
                "ss_debiased_estimation ot_config.loss_weight_fn"),
        _column("scale_weight_norms", _NUM, "", "upper limit of the weight norms", "off", "1",
                "ss_scale_weight_norms"),
        _column("prior_loss_weight", _NUM, "", "loss weight of regularisation images", "1", "1",
                "ss_prior_loss_weight"),
        _column("loss_type", _TEXT, "", "l1, l2, huber or smooth_l1", "l2", "l2",
                "ss_loss_type ot_config.mse_strength ot_config.mae_strength ot_config.huber_strength"),
        _column("huber_c", _NUM, "", "error at which the Huber loss turns linear", "0.1", "0.1",
                "ss_huber_c"),
        _column("guidance_scale", _NUM, "", "guidance during training (Flux)", "3.5", "1",
                "ss_guidance_scale ot_config.transformer.guidance_scale"),
        _column("timestep_sampling", _TEXT, "", "how timesteps are sampled (flow models)", "sigma",
                "sigmoid, shift",
                "ss_timestep_sampling ss_timestep_sample_method ot_config.timestep_distribution"),
        _column("discrete_flow_shift", _NUM, "", "shift of the timesteps (flow models)", "3", "3",
                "ss_discrete_flow_shift ot_config.timestep_shift"),
        _column("weighting_scheme", _TEXT, "", "loss weight by timestep (flow models)", "uniform", "",
                "ss_weighting_scheme"),
    ),
    *_group(
        "machine",
        _column("mixed_precision", _TEXT, "", "number format: no, fp16 or bf16", "no", "bf16, fp16",
                "ss_mixed_precision ot_config.train_dtype"),
        _column("full_fp16", _BOOL, "", "gradients in fp16 too", "off", "off", "ss_full_fp16"),
        _column("full_bf16", _BOOL, "", "gradients in bf16 too", "off", "", "ss_full_bf16"),
        _column("fp8_base", _BOOL, "", "base model in fp8", "off", "",
                "ss_fp8_base ot_config.transformer.weight_dtype"),
        _column("gradient_checkpointing", _BOOL, "", "saves memory, takes more time", "off", "on",
                "ss_gradient_checkpointing ot_config.gradient_checkpointing"),
        _column("cache_latents", _BOOL, "", "images are encoded once, before training", "off", "on",
                "ss_cache_latents ot_config.latent_caching ot_config.image_caching"),
        _column("lowram", _BOOL, "", "base model is loaded directly to the GPU", "off", "",
                "ss_lowram"),
        _column("seed", _INT, "", "random seed", "random", "", "ss_seed"),
        _column("clip_skip", _INT, "layers", "CLIP layer used, counted from the last", "1",
                "1; 2 for models based on NovelAI's",
                "ss_clip_skip modelspec.encoder_layer ot_config.text_encoder_layer_skip"),
        _column("max_token_length", _INT, "tokens", "longest caption", "75", "225",
                "ss_max_token_length"),
        _column("v2", _BOOL, "", "the base model is Stable Diffusion 2", "off", "", "ss_v2"),
        _column("base_model_version", _TEXT, "", "base model as the trainer names it", keys=
                "ss_base_model_version modelspec.architecture ot_config.model_type"
                " ss_base_model_name"),
        _column("sd_model_name", _TEXT, "", "file of the base model", keys=
                "ss_sd_model_name lora_adapter_metadata.base_model_name_or_path"
                " ot_config.base_model_name"),
        _column("sd_model_hash", _TEXT, "hex", "short hash (AutoV1) of the base model", keys=
                "ss_sd_model_hash"),
        _column("sd_model_sha256", _TEXT, "hex", "SHA-256 of the base model", keys=
                "ss_new_sd_model_hash"),
        _column("vae_name", _TEXT, "", "VAE used for training", keys=
                "ss_vae_name ot_config.vae.model_name"),
        _column("other_settings", _OBJECT, "", "metadata without a column of its own"),
    ),
    *_group(
        "time",
        _column("training_started_at", _TIME, "UTC", "when the run started", keys=
                "ss_training_started_at"),
        _column("training_finished_at", _TIME, "UTC", "when this file was saved", keys=
                "ss_training_finished_at"),
        _column("training_seconds", _NUM, "s", "from the start to this save"),
    ),
    *_group(
        "effort",
        _column("images_seen", _INT, "images", "images processed in training: steps x batch"),
        _column("images_seen_is_lower_bound", _BOOL, "", "the number of GPUs is unknown"),
        _column("megapixels_seen", _NUM, "MP", "images_seen x the mean area of the images / 1e6"),
        _column("seconds_per_image", _NUM, "s", "training_seconds / images_seen"),
        _column("alpha_ratio", _NUM, "", "network_alpha / network_dim; none for a LoKr of full matrices"),
    ),
    *_group(
        "tensors",
        _column("tensor_rank", _INT, "", "most common rank among the layers"),
        _column("tensor_rank_min", _INT, "", "smallest rank of any layer"),
        _column("tensor_rank_max", _INT, "", "largest rank of any layer"),
        _column("tensor_algo", _TEXT, "", "algorithm, by the tensor names"),
        _column("tensor_dtype", _TEXT, "", "number format of most weights"),
        _column("tensor_count", _INT, "tensors", "tensors in the file"),
        _column("parameter_count", _INT, "", "numbers in all tensors together"),
        _column("architecture", _TEXT, "", "architecture of the base model, e.g. sdxl"),
        _column("trains_text_encoder", _BOOL, "", "the file has text encoder weights"),
        _column("trains_conv", _BOOL, "", "the file has 3x3 convolution weights"),
    ),
)
# fmt: on

BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
