"""The tables, the same on SQLite and PostgreSQL. Users write SQL against these names."""

import sqlalchemy as sa

from crawler.store.schema.fields import FIELDS
from crawler.store.schema.types import UtcTime, integer_type, json_type, text_type, type_of

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str) -> sa.Column[int]:
    """An id that is given, or a part of one."""
    return sa.Column(name, integer_type(), primary_key=True, autoincrement=False)


def file_key() -> sa.Column[int]:
    """The file that a row belongs to, and goes with."""
    return sa.Column(
        "file_id",
        integer_type(),
        sa.ForeignKey("loras.file_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
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
    # Whether an API key was sent; None where there is no API.
    sa.Column("keyed", sa.Boolean()),
    # When the site takes requests again, None when it said nothing of that.
    sa.Column("go_on_at", UtcTime()),
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
    sa.Column("lap_began_at", UtcTime()),
    sa.Column("refreshing", sa.Boolean()),
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


#: The base model under which `field_stats` has all of them together.
ALL = ""

_REQUIRED = {"file_id", "version_id", "model_id", "site", "outcome", "attempts"}

models = sa.Table(
    "models",
    metadata,
    key("model_id"),
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
    key("version_id"),
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
    file_key(),
    # Bytes of JSON that the file announces; None when fewer than 8 bytes were there.
    sa.Column("length", integer_type()),
    # zstd of the bytes as read: the 8 bytes of the length and the JSON.
    sa.Column("data", sa.LargeBinary(), nullable=False),
    # The file's true length as the server gave it, which decides whether a header is sound.
    sa.Column("file_bytes", integer_type()),
    sa.Column("decoder_version", integer_type(), nullable=False),
    # To find the old ones. On SQLite the column lies behind the data, which would all be read.
    sa.Index(None, "decoder_version"),
)

# What the header of a file said before the file was replaced by another one, from 1.
old_headers = sa.Table(
    "old_headers",
    metadata,
    file_key(),
    key("number"),
    # As in `headers`.
    sa.Column("length", integer_type()),
    sa.Column("data", sa.LargeBinary(), nullable=False),
    sa.Column("file_bytes", integer_type()),
    sa.Column("replaced_at", UtcTime(), nullable=False),
)

# Where the files of `site = 'local'` lie.
local_files = sa.Table(
    "local_files",
    metadata,
    file_key(),
    # No index: PostgreSQL's ordinary one refuses long paths, and a scan reads them all.
    sa.Column("path", text_type(), nullable=False),
    # As they were before the file was read; the same again means that it need not be.
    sa.Column("size_bytes", integer_type(), nullable=False),
    sa.Column("mtime_ns", integer_type()),
    # SHA-256 of the weights as the header claims it, None when it claims none to be trusted.
    sa.Column("claimed_weights", text_type()),
    # The crawled file that has the same weights, and what shows it.
    sa.Column("matched_file_id", integer_type()),
    sa.Column("matched_by", text_type()),
)

datasets = sa.Table(
    "datasets",
    metadata,
    file_key(),
    key("number"),
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
    file_key(),
    key("number"),
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
    key("tag_id"),
    sa.Column("name", text_type(), nullable=False),
    # On PostgreSQL a hash index, since the ordinary one refuses texts over 2,700 bytes: the revision
    # that makes it says so. Said here, it would cost every command the import of that dialect.
    sa.Index(None, "name"),
)

file_tags = sa.Table(
    "file_tags",
    metadata,
    file_key(),
    # The directory's number; -1, -2 … where the tags name directories that the file does not list.
    key("directory_number"),
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
    file_key(),
    key("number"),
    sa.Column("code", text_type(), nullable=False),
    sa.Column("field", text_type(), nullable=False),
    sa.Column("detail", text_type(), nullable=False),
)

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
    # The values that stand at 0 %, 1 % … 100 % of them in ascending order.
    sa.Column("percentiles", json_type()),
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
