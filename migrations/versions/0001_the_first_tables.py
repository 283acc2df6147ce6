"""The first tables.

Revision 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.Text().with_variant(postgresql.TIMESTAMP(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "crawls",
        sa.Column("crawl_id", INTEGER, autoincrement=True, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("walk", TEXT, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("ending", TEXT),
        sa.Column("summary", JSON),
        sa.PrimaryKeyConstraint("crawl_id", name="pk_crawls"),
    )

    op.create_table(
        "cursors",
        sa.Column("walk", TEXT, nullable=False),
        sa.Column("maturity", TEXT, nullable=False),
        sa.Column("cursor", TEXT),
        sa.Column("lap", INTEGER, nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("walk", "maturity", name="pk_cursors"),
    )

    op.create_table(
        "field_stats",
        sa.Column("base_model", TEXT, nullable=False),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.Column("quartile1", sa.Double()),
        sa.Column("median", sa.Double()),
        sa.Column("quartile3", sa.Double()),
        sa.PrimaryKeyConstraint("base_model", "field", name="pk_field_stats"),
    )

    op.create_table(
        "loras",
        # what it is
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("version_id", INTEGER, nullable=False),
        sa.Column("model_id", INTEGER, nullable=False),
        sa.Column("site", TEXT, nullable=False),
        sa.Column("page_url", TEXT),
        sa.Column("model_name", TEXT),
        sa.Column("version_name", TEXT),
        sa.Column("creator", TEXT),
        sa.Column("model_type", TEXT),
        sa.Column("base_model", TEXT),
        sa.Column("model_tags", JSON),
        sa.Column("trained_words", JSON),
        sa.Column("nsfw", sa.Boolean()),
        sa.Column("nsfw_level", INTEGER),
        sa.Column("published_at", TIME),
        sa.Column("downloads", INTEGER),
        sa.Column("likes", INTEGER),
        sa.Column("file_name", TEXT),
        sa.Column("is_primary", sa.Boolean()),
        sa.Column("size_bytes", INTEGER),
        sa.Column("sha256", TEXT),
        sa.Column("autov2", TEXT),
        sa.Column("autov3", TEXT),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("reason", TEXT),
        sa.Column("attempts", INTEGER, nullable=False),
        sa.Column("next_try_at", TIME),
        sa.Column("fetched_at", TIME),
        sa.Column("early_access_until", TIME),
        sa.Column("gone_at", TIME),
        # trainer
        sa.Column("trainer", TEXT),
        sa.Column("trainer_version", TEXT),
        sa.Column("output_name", TEXT),
        sa.Column("training_comment", TEXT),
        sa.Column("session_id", TEXT),
        # network
        sa.Column("network_module", TEXT),
        sa.Column("network_dim", INTEGER),
        sa.Column("network_alpha", sa.Double()),
        sa.Column("conv_dim", INTEGER),
        sa.Column("conv_alpha", sa.Double()),
        sa.Column("network_dropout", sa.Double()),
        sa.Column("network_args", JSON),
        sa.Column("network_algo", TEXT),
        sa.Column("original_dim", INTEGER),
        # rates
        sa.Column("learning_rate", sa.Double()),
        sa.Column("unet_lr", sa.Double()),
        sa.Column("text_encoder_lr", sa.Double()),
        sa.Column("text_encoder_lrs", JSON),
        sa.Column("effective_unet_lr", sa.Double()),
        sa.Column("effective_text_encoder_lr", sa.Double()),
        sa.Column("optimizer", TEXT),
        sa.Column("optimizer_path", TEXT),
        sa.Column("optimizer_args", JSON),
        sa.Column("lr_scheduler", TEXT),
        sa.Column("lr_warmup_steps", INTEGER),
        sa.Column("lr_warmup_ratio", sa.Double()),
        sa.Column("max_grad_norm", sa.Double()),
        # length
        sa.Column("steps", INTEGER),
        sa.Column("max_train_steps", INTEGER),
        sa.Column("epoch", INTEGER),
        sa.Column("num_epochs", INTEGER),
        sa.Column("batches_per_epoch", INTEGER),
        sa.Column("batch_size", INTEGER),
        sa.Column("gradient_accumulation_steps", INTEGER),
        sa.Column("total_batch_size", INTEGER),
        # data
        sa.Column("image_count", INTEGER),
        sa.Column("num_train_images", INTEGER),
        sa.Column("num_reg_images", INTEGER),
        sa.Column("mean_repeats", sa.Double()),
        sa.Column("resolution", sa.Double()),
        sa.Column("resolution_width", INTEGER),
        sa.Column("resolution_height", INTEGER),
        sa.Column("enable_bucket", sa.Boolean()),
        sa.Column("bucket_no_upscale", sa.Boolean()),
        sa.Column("min_bucket_reso", INTEGER),
        sa.Column("max_bucket_reso", INTEGER),
        sa.Column("tag_count", INTEGER),
        sa.Column("caption_dropout_rate", sa.Double()),
        sa.Column("caption_tag_dropout_rate", sa.Double()),
        sa.Column("shuffle_caption", sa.Boolean()),
        sa.Column("keep_tokens", INTEGER),
        sa.Column("flip_aug", sa.Boolean()),
        sa.Column("color_aug", sa.Boolean()),
        sa.Column("random_crop", sa.Boolean()),
        # loss and noise
        sa.Column("noise_offset", sa.Double()),
        sa.Column("adaptive_noise_scale", sa.Double()),
        sa.Column("multires_noise_iterations", INTEGER),
        sa.Column("multires_noise_discount", sa.Double()),
        sa.Column("min_snr_gamma", sa.Double()),
        sa.Column("ip_noise_gamma", sa.Double()),
        sa.Column("zero_terminal_snr", sa.Boolean()),
        sa.Column("debiased_estimation", sa.Boolean()),
        sa.Column("scale_weight_norms", sa.Double()),
        sa.Column("prior_loss_weight", sa.Double()),
        sa.Column("loss_type", TEXT),
        sa.Column("huber_c", sa.Double()),
        sa.Column("guidance_scale", sa.Double()),
        sa.Column("timestep_sampling", TEXT),
        sa.Column("discrete_flow_shift", sa.Double()),
        sa.Column("weighting_scheme", TEXT),
        # machine
        sa.Column("mixed_precision", TEXT),
        sa.Column("full_fp16", sa.Boolean()),
        sa.Column("full_bf16", sa.Boolean()),
        sa.Column("fp8_base", sa.Boolean()),
        sa.Column("gradient_checkpointing", sa.Boolean()),
        sa.Column("cache_latents", sa.Boolean()),
        sa.Column("lowram", sa.Boolean()),
        sa.Column("seed", INTEGER),
        sa.Column("clip_skip", INTEGER),
        sa.Column("max_token_length", INTEGER),
        sa.Column("v2", sa.Boolean()),
        sa.Column("base_model_version", TEXT),
        sa.Column("sd_model_name", TEXT),
        sa.Column("sd_model_hash", TEXT),
        sa.Column("sd_model_sha256", TEXT),
        sa.Column("vae_name", TEXT),
        sa.Column("other_settings", JSON),
        # time
        sa.Column("training_started_at", TIME),
        sa.Column("training_finished_at", TIME),
        sa.Column("training_seconds", sa.Double()),
        # effort
        sa.Column("images_seen", INTEGER),
        sa.Column("images_seen_is_lower_bound", sa.Boolean()),
        sa.Column("megapixels_seen", sa.Double()),
        sa.Column("seconds_per_image", sa.Double()),
        sa.Column("alpha_ratio", sa.Double()),
        # tensors
        sa.Column("tensor_rank", INTEGER),
        sa.Column("tensor_rank_min", INTEGER),
        sa.Column("tensor_rank_max", INTEGER),
        sa.Column("tensor_algo", TEXT),
        sa.Column("tensor_dtype", TEXT),
        sa.Column("tensor_count", INTEGER),
        sa.Column("parameter_count", INTEGER),
        sa.Column("architecture", TEXT),
        sa.Column("trains_text_encoder", sa.Boolean()),
        sa.Column("trains_conv", sa.Boolean()),
        sa.PrimaryKeyConstraint("file_id", name="pk_loras"),
    )
    op.create_index("ix_loras_autov2", "loras", ["autov2"])
    op.create_index("ix_loras_autov3", "loras", ["autov3"])
    op.create_index("ix_loras_base_model", "loras", ["base_model"])
    op.create_index("ix_loras_model_id", "loras", ["model_id"])
    op.create_index("ix_loras_outcome_file_id", "loras", ["outcome", "file_id"])
    op.create_index("ix_loras_sha256", "loras", ["sha256"])
    op.create_index("ix_loras_version_id", "loras", ["version_id"])

    op.create_table(
        "models",
        sa.Column("model_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("site", TEXT, nullable=False),
        sa.Column("name", TEXT),
        sa.Column("type", TEXT),
        sa.Column("creator", TEXT),
        sa.Column("tags", JSON),
        sa.Column("nsfw", sa.Boolean()),
        sa.Column("nsfw_level", INTEGER),
        sa.Column("downloads", INTEGER),
        sa.Column("likes", INTEGER),
        sa.Column("mode", TEXT),
        sa.Column("body", JSON),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("gone_at", TIME),
        sa.PrimaryKeyConstraint("model_id", name="pk_models"),
    )

    op.create_table(
        "tags",
        sa.Column("tag_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("tag_id", name="pk_tags"),
    )
    op.create_index("ix_tags_name", "tags", ["name"], postgresql_using="hash")

    op.create_table(
        "datasets",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("resolution_width", INTEGER),
        sa.Column("resolution_height", INTEGER),
        sa.Column("batch_size", INTEGER),
        sa.Column("num_train_images", INTEGER),
        sa.Column("num_reg_images", INTEGER),
        sa.Column("enable_bucket", sa.Boolean()),
        sa.Column("bucket_no_upscale", sa.Boolean()),
        sa.Column("min_bucket_reso", INTEGER),
        sa.Column("max_bucket_reso", INTEGER),
        sa.Column("mean_img_ar_error", sa.Double()),
        sa.Column("buckets", JSON),
        sa.Column("settings", JSON),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_datasets_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_datasets"),
    )

    op.create_table(
        "directories",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("dataset_number", INTEGER),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("repeats", INTEGER),
        sa.Column("image_count", INTEGER),
        sa.Column("is_reg", sa.Boolean()),
        sa.Column("class_tokens", TEXT),
        sa.Column("settings", JSON),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_directories_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_directories"),
    )

    op.create_table(
        "file_tags",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("directory_number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("tag_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_file_tags_file_id_loras", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.tag_id"], name="fk_file_tags_tag_id_tags"),
        sa.PrimaryKeyConstraint("file_id", "directory_number", "tag_id", name="pk_file_tags"),
    )
    op.create_index("ix_file_tags_tag_id", "file_tags", ["tag_id"])

    op.create_table(
        "headers",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("length", INTEGER),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("file_bytes", INTEGER),
        sa.Column("decoder_version", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_headers_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", name="pk_headers"),
    )

    op.create_table(
        "problems",
        sa.Column("file_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("number", INTEGER, autoincrement=False, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["loras.file_id"], name="fk_problems_file_id_loras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name="pk_problems"),
    )

    op.create_table(
        "stat_history",
        sa.Column("model_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("downloads", INTEGER),
        sa.Column("likes", INTEGER),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.model_id"], name="fk_stat_history_model_id_models"
        ),
        sa.PrimaryKeyConstraint("model_id", "seen_at", name="pk_stat_history"),
    )

    op.create_table(
        "versions",
        sa.Column("version_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("model_id", INTEGER, nullable=False),
        sa.Column("name", TEXT),
        sa.Column("base_model", TEXT),
        sa.Column("published_at", TIME),
        sa.Column("early_access_until", TIME),
        sa.Column("trained_words", JSON),
        sa.Column("nsfw_level", INTEGER),
        sa.Column("downloads", INTEGER),
        sa.Column("likes", INTEGER),
        sa.Column("body", JSON),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("gone_at", TIME),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.model_id"], name="fk_versions_model_id_models"
        ),
        sa.PrimaryKeyConstraint("version_id", name="pk_versions"),
    )
    op.create_index("ix_versions_model_id", "versions", ["model_id"])

    op.create_table(
        "walk_models",
        sa.Column("walk", TEXT, nullable=False),
        sa.Column("model_id", INTEGER, autoincrement=False, nullable=False),
        sa.Column("lap", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.model_id"], name="fk_walk_models_model_id_models"
        ),
        sa.PrimaryKeyConstraint("walk", "model_id", name="pk_walk_models"),
    )


def downgrade() -> None:
    op.drop_table("walk_models")
    op.drop_table("versions")
    op.drop_table("stat_history")
    op.drop_table("problems")
    op.drop_table("headers")
    op.drop_table("file_tags")
    op.drop_table("directories")
    op.drop_table("datasets")
    op.drop_table("tags")
    op.drop_table("models")
    op.drop_table("loras")
    op.drop_table("field_stats")
    op.drop_table("cursors")
    op.drop_table("crawls")
