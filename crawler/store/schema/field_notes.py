"""What is worth knowing of a column beside its type and meaning: what is usual, and which keys feed it.

Sources: sd-scripts' options and their documentation, `decode/dialects`. A test takes each key away
from a golden pair of each trainer that writes it, and demands that the column changes.
"""

from typing import Final, NamedTuple

#: How a key begins -> the trainers that write it; a longer beginning goes before a shorter one. Those
#: that borrow sd-scripts' keys write the ones of `kohya` too: musubi-tuner, traintrain, merge-tool.
WRITTEN_BY: Final = {
    "ss_num_train_items": ("musubi-tuner",),
    "ss_full_bf16": ("musubi-tuner",),
    "ss_": ("kohya",),
    "modelspec.implementation_version": ("kohya",),
    "modelspec.encoder_layer": ("kohya",),
    "modelspec.architecture": ("onetrainer", "simpletuner"),
    "ot_": ("onetrainer",),
    "lora_adapter_metadata.peft_version": ("peft",),
    "lora_adapter_metadata.base_model_name_or_path": ("peft",),
    "lora_adapter_metadata.alpha": ("peft",),
    "lora_adapter_metadata": ("diffusers", "peft", "simpletuner"),
    "lora_config": ("peft",),
    "lycoris_config": ("simpletuner",),
    "global_step": ("simpletuner",),
    "software": ("ai-toolkit",),
    "training_info": ("ai-toolkit",),
    "name": ("ai-toolkit",),
    "unet": ("cloneofsimo",),
    "text_encoder": ("cloneofsimo",),
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
