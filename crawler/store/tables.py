"""The tables, the same on SQLite and PostgreSQL. Users write SQL against these names."""

import sqlalchemy as sa

from crawler.store.fields import FIELDS
from crawler.store.types import UtcTime, integer_type, json_type, text_type, type_of

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_REQUIRED = {"file_id", "version_id", "model_id", "site", "outcome", "attempts"}


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, integer_type(), primary_key=True, autoincrement=False)


def _file_key() -> sa.Column[int]:
    return sa.Column(
        "file_id",
        integer_type(),
        sa.ForeignKey("loras.file_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


models = sa.Table(
    "models",
    metadata,
    _key("model_id"),
    sa.Column("site", text_type(), nullable=False),
    sa.Column("name", text_type()),
    sa.Column("type", text_type()),
    sa.Column("creator", text_type()),
    sa.Column("tags", json_type()),
    sa.Column("nsfw", sa.Boolean()),
    sa.Column("nsfw_level", integer_type()),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
    sa.Column("mode", text_type()),
    sa.Column("body", json_type()),
    sa.Column("first_seen_at", UtcTime(), nullable=False),
    sa.Column("last_seen_at", UtcTime(), nullable=False),
    sa.Column("gone_at", UtcTime()),
)

versions = sa.Table(
    "versions",
    metadata,
    _key("version_id"),
    sa.Column("model_id", integer_type(), sa.ForeignKey("models.model_id"), nullable=False),
    sa.Column("name", text_type()),
    sa.Column("base_model", text_type()),
    sa.Column("published_at", UtcTime()),
    sa.Column("early_access_until", UtcTime()),
    sa.Column("trained_words", json_type()),
    sa.Column("nsfw_level", integer_type()),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
    sa.Column("body", json_type()),
    sa.Column("first_seen_at", UtcTime(), nullable=False),
    sa.Column("last_seen_at", UtcTime(), nullable=False),
    sa.Column("gone_at", UtcTime()),
    sa.Index(None, "model_id"),
)

loras = sa.Table(
    "loras",
    metadata,
    *(
        sa.Column(
            field.name,
            type_of(field.kind),
            primary_key=field.name == "file_id",
            autoincrement=False,
            nullable=field.name not in _REQUIRED,
        )
        for field in FIELDS
    ),
    sa.Index(None, "model_id"),
    sa.Index(None, "version_id"),
    sa.Index(None, "sha256"),
    sa.Index(None, "autov2"),
    sa.Index(None, "autov3"),
    # What nearly every grouping asks for.
    sa.Index(None, "base_model"),
    # The pending files in their order, and the counts of a crawl.
    sa.Index(None, "outcome", "file_id"),
)

headers = sa.Table(
    "headers",
    metadata,
    _file_key(),
    # Bytes of JSON that the file announces; None when fewer than 8 bytes were there.
    sa.Column("length", integer_type()),
    # zstd of the bytes as read: the 8 bytes of the length and the JSON.
    sa.Column("data", sa.LargeBinary(), nullable=False),
    # The file's true length as the server gave it, which decides whether a header is sound.
    sa.Column("file_bytes", integer_type()),
    sa.Column("decoder_version", integer_type(), nullable=False),
)

datasets = sa.Table(
    "datasets",
    metadata,
    _file_key(),
    _key("number"),
    sa.Column("resolution_width", integer_type()),
    sa.Column("resolution_height", integer_type()),
    sa.Column("batch_size", integer_type()),
    sa.Column("num_train_images", integer_type()),
    sa.Column("num_reg_images", integer_type()),
    sa.Column("enable_bucket", sa.Boolean()),
    sa.Column("bucket_no_upscale", sa.Boolean()),
    sa.Column("min_bucket_reso", integer_type()),
    sa.Column("max_bucket_reso", integer_type()),
    sa.Column("mean_img_ar_error", sa.Double()),
    sa.Column("buckets", json_type()),
    sa.Column("settings", json_type()),
)

directories = sa.Table(
    "directories",
    metadata,
    _file_key(),
    _key("number"),
    sa.Column("dataset_number", integer_type()),
    sa.Column("name", text_type(), nullable=False),
    sa.Column("repeats", integer_type()),
    sa.Column("image_count", integer_type()),
    sa.Column("is_reg", sa.Boolean()),
    sa.Column("class_tokens", text_type()),
    sa.Column("settings", json_type()),
)

tags = sa.Table(
    "tags",
    metadata,
    # 63 bits of a hash of the name: the same on every machine and in every order of arrival.
    _key("tag_id"),
    sa.Column("name", text_type(), nullable=False),
    # A hash index, since PostgreSQL's ordinary one refuses texts over 2,700 bytes.
    sa.Index(None, "name", postgresql_using="hash"),
)

file_tags = sa.Table(
    "file_tags",
    metadata,
    _file_key(),
    # The directory's number; -1, -2 … where the tags name directories that the file does not list.
    _key("directory_number"),
    sa.Column(
        "tag_id",
        integer_type(),
        sa.ForeignKey("tags.tag_id"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("count", integer_type(), nullable=False),
    sa.Index(None, "tag_id"),
)

problems = sa.Table(
    "problems",
    metadata,
    _file_key(),
    _key("number"),
    sa.Column("code", text_type(), nullable=False),
    sa.Column("field", text_type(), nullable=False),
    sa.Column("detail", text_type(), nullable=False),
)

# The empty base model stands for all of them together.
field_stats = sa.Table(
    "field_stats",
    metadata,
    sa.Column("base_model", text_type(), primary_key=True),
    sa.Column("field", text_type(), primary_key=True),
    # Rows that have the field, and the quartiles of numbers among them.
    sa.Column("count", integer_type(), nullable=False),
    sa.Column("quartile1", sa.Double()),
    sa.Column("median", sa.Double()),
    sa.Column("quartile3", sa.Double()),
)

stat_history = sa.Table(
    "stat_history",
    metadata,
    sa.Column(
        "model_id",
        integer_type(),
        sa.ForeignKey("models.model_id"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("seen_at", UtcTime(), primary_key=True),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
)

crawls = sa.Table(
    "crawls",
    metadata,
    sa.Column("crawl_id", integer_type(), primary_key=True, autoincrement=True),
    # The API that this database was filled from; all crawls of one database name the same.
    sa.Column("origin", text_type(), nullable=False),
    sa.Column("walk", text_type(), nullable=False),
    sa.Column("started_at", UtcTime(), nullable=False),
    sa.Column("finished_at", UtcTime()),
    # done, or why it stopped, and counts; None while it runs or when it was killed.
    sa.Column("ending", text_type()),
    sa.Column("summary", json_type()),
)

# A walk is one question to the catalogue: order and filters. Each of its maturity passes has a
# cursor, as `model.walk.CursorState` tells.
cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("walk", text_type(), primary_key=True),
    sa.Column("maturity", text_type(), primary_key=True),
    sa.Column("cursor", text_type()),
    sa.Column("lap", integer_type(), nullable=False),
    sa.Column("ended", sa.Boolean(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
)

# Which models a walk has met, so that a limit counts them across runs and a fetch stays within the walk.
walk_models = sa.Table(
    "walk_models",
    metadata,
    sa.Column("walk", text_type(), primary_key=True),
    sa.Column(
        "model_id",
        integer_type(),
        sa.ForeignKey("models.model_id"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("lap", integer_type(), nullable=False),
)
