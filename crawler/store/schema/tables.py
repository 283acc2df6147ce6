"""The tables, the same on SQLite and PostgreSQL. Users write SQL against these names.

They are in the order of the data: the lists of a site, the files, the contents of headers, statistics,
and the crawls themselves. Tables of short rows whose key has several columns are WITHOUT ROWID on
SQLite, which otherwise keeps the key in a tree of its own.
"""

import sqlalchemy as sa

from crawler.store.schema.fields import FIELDS
from crawler.store.schema.types import Json, UtcTime, integer_type, text_type, type_of

#: The value of `field_stats.base_model` for all base models together.
ALL = ""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str, foreign: sa.ForeignKey | None = None) -> sa.Column[int]:
    """A primary key, or a part of one, whose value the program supplies."""
    rules = () if foreign is None else (foreign,)
    return sa.Column(name, integer_type(), *rules, primary_key=True, autoincrement=False)


def _file_key() -> sa.Column[int]:
    """The file that a row belongs to; the row is deleted with the file."""
    return _key("file_id", sa.ForeignKey("loras.file_id", ondelete="CASCADE"))


def _model_key() -> sa.Column[int]:
    """The model that a row belongs to."""
    return _key("model_id", sa.ForeignKey("models.model_id"))


models = sa.Table(
    "models",
    metadata,
    _key("model_id"),
    sa.Column("site", text_type(), nullable=False),
    sa.Column("name", text_type()),
    sa.Column("type", text_type()),
    sa.Column("creator", text_type()),
    sa.Column("tags", Json()),
    sa.Column("nsfw", sa.Boolean()),
    sa.Column("nsfw_level", integer_type()),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
    sa.Column("mode", text_type()),
    sa.Column("body", Json()),
    sa.Column("first_seen_at", UtcTime(), nullable=False),
    sa.Column("last_seen_at", UtcTime(), nullable=False),
    sa.Column("gone_at", UtcTime()),
    # Counts the models too: SQLite would read every `body`.
    sa.Index(None, "gone_at"),
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
    sa.Column("trained_words", Json()),
    sa.Column("nsfw_level", integer_type()),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
    sa.Column("body", Json()),
    sa.Column("first_seen_at", UtcTime(), nullable=False),
    sa.Column("last_seen_at", UtcTime(), nullable=False),
    sa.Column("gone_at", UtcTime()),
    # With the date, since the first version of each model is asked for.
    sa.Index(None, "model_id", "published_at"),
)

_REQUIRED = {"file_id", "version_id", "model_id", "site", "outcome", "attempts"}

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
    # Most statistics group by it, and count what was read.
    sa.Index(None, "base_model", "outcome", "model_id"),
    # What `authors` and `stats` ask for by default, so that they need not read whole rows.
    sa.Index(
        "ix_loras_creator",
        *("creator", "session_id", "version_id", "outcome", "model_id", "base_model"),
        *("published_at", "network_dim", "images_seen", "megapixels_seen", "training_seconds"),
    ),
    # Only of the rows that have it, which are few. Only the revision says so: here it would make every
    # command import PostgreSQL's dialect.
    sa.Index(None, "gone_at"),
    # For the pending files in order, and for counts by outcome.
    sa.Index(None, "outcome", "file_id"),
)

headers = sa.Table(
    "headers",
    metadata,
    _file_key(),
    # Length of the JSON in bytes, from the length prefix; NULL if the file has fewer than 8 bytes.
    sa.Column("length", integer_type()),
    # The length prefix and the JSON, as read, without the tensor list, compressed with zstd.
    sa.Column("data", sa.LargeBinary(), nullable=False),
    # Length of the whole file, from the server. The tensors of a sound header fill it exactly.
    sa.Column("file_bytes", integer_type()),
    sa.Column("decoder_version", integer_type(), nullable=False),
    # The tensor list, and where in `data` it belongs, in bytes. NULL if `data` is the whole header,
    # which then is not sound or not written as usual.
    sa.Column("list_digest", sa.LargeBinary()),
    sa.Column("list_start", integer_type()),
    # Finds old headers. Without it SQLite would read `data`, which comes before this column.
    sa.Index(None, "decoder_version"),
    # Headers in the order of their lists, so that each list is decoded once.
    sa.Index(None, "list_digest", "file_id"),
)

# The tensors of a header, as written: from the first name to the end of the last entry. LoRAs of one base
# model, rank and trainer share a list.
tensor_lists = sa.Table(
    "tensor_lists",
    metadata,
    # SHA-256 of the bytes.
    sa.Column("digest", sa.LargeBinary(), primary_key=True),
    sa.Column("length", integer_type(), nullable=False),
    # Compressed with zstd.
    sa.Column("data", sa.LargeBinary(), nullable=False),
)

# Earlier headers of files that were replaced, numbered from 1.
old_headers = sa.Table(
    "old_headers",
    metadata,
    _file_key(),
    _key("number"),
    # As in `headers`; `data` is the whole header.
    sa.Column("length", integer_type()),
    sa.Column("data", sa.LargeBinary(), nullable=False),
    sa.Column("file_bytes", integer_type()),
    sa.Column("replaced_at", UtcTime(), nullable=False),
)

# The paths of the files with site='local'.
local_files = sa.Table(
    "local_files",
    metadata,
    _file_key(),
    # No index: a B-tree of PostgreSQL refuses long paths, and a scan reads all rows anyway.
    sa.Column("path", text_type(), nullable=False),
    # As they were before the file was read. A file with the same values has not changed.
    sa.Column("size_bytes", integer_type(), nullable=False),
    sa.Column("mtime_ns", integer_type()),
    # SHA-256 of the weights as the header claims it; NULL without a credible claim.
    sa.Column("claimed_weights", text_type()),
    # The crawled file with the same weights, and the kind of proof.
    sa.Column("matched_file_id", integer_type()),
    sa.Column("matched_by", text_type()),
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
    sa.Column("buckets", Json()),
    sa.Column("settings", Json()),
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
    sa.Column("settings", Json()),
    sqlite_with_rowid=False,
)

tags = sa.Table(
    "tags",
    metadata,
    # Below 2**31, from a hash of the name, so that several writers need not agree on it.
    _key("tag_id"),
    sa.Column("name", text_type(), nullable=False),
    # A hash index on PostgreSQL, whose B-tree refuses texts over 2,700 bytes. Only the revision says
    # so: here it would make every command import that dialect.
    sa.Index(None, "name"),
)

file_tags = sa.Table(
    "file_tags",
    metadata,
    _file_key(),
    # As in `directories`; -1, -2 … for directories that only the tag counts name.
    _key("directory_number"),
    _key("tag_id", sa.ForeignKey("tags.tag_id")),
    sa.Column("count", integer_type(), nullable=False),
    sa.Index(None, "tag_id"),
    sqlite_with_rowid=False,
)

problems = sa.Table(
    "problems",
    metadata,
    _file_key(),
    _key("number"),
    sa.Column("code", text_type(), nullable=False),
    sa.Column("field", text_type(), nullable=False),
    sa.Column("detail", text_type(), nullable=False),
    sqlite_with_rowid=False,
)

field_stats = sa.Table(
    "field_stats",
    metadata,
    sa.Column("base_model", text_type(), primary_key=True),
    sa.Column("field", text_type(), primary_key=True),
    # Rows with a value; for numbers their quartiles.
    sa.Column("count", integer_type(), nullable=False),
    sa.Column("quartile1", sa.Double()),
    sa.Column("median", sa.Double()),
    sa.Column("quartile3", sa.Double()),
    # 101 values: those at 0 %, 1 % … 100 % of the sorted numbers.
    sa.Column("percentiles", Json()),
    sa.Column("made_at", UtcTime()),
    # Rows that were added or changed since; only beside the number of all files.
    sa.Column("changed", integer_type()),
)

stat_history = sa.Table(
    "stat_history",
    metadata,
    _model_key(),
    sa.Column("seen_at", UtcTime(), primary_key=True),
    sa.Column("downloads", integer_type()),
    sa.Column("likes", integer_type()),
    sqlite_with_rowid=False,
)

crawls = sa.Table(
    "crawls",
    metadata,
    sa.Column("crawl_id", integer_type(), primary_key=True, autoincrement=True),
    # URL of the API, the same for all crawls of a database, or `local`.
    sa.Column("origin", text_type(), nullable=False),
    sa.Column("walk", text_type(), nullable=False),
    sa.Column("started_at", UtcTime(), nullable=False),
    sa.Column("finished_at", UtcTime()),
    # `done` or why it stopped, and the counts; NULL while it runs or if it was killed.
    sa.Column("ending", text_type()),
    sa.Column("summary", Json()),
    # Whether an API key was sent; NULL when there is no API.
    sa.Column("keyed", sa.Boolean()),
    # When the site accepts requests again; NULL if it did not say.
    sa.Column("go_on_at", UtcTime()),
)

# A walk is a list query: an order and filters. Each of its maturity passes has a cursor, as
# `model.catalogue.CursorState` describes. `lap` counts how often the walk was begun.
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

# The models that a walk has listed. `--limit` counts them over all runs, and a run reads only their files.
walk_models = sa.Table(
    "walk_models",
    metadata,
    sa.Column("walk", text_type(), primary_key=True),
    _model_key(),
    sa.Column("lap", integer_type(), nullable=False),
    sqlite_with_rowid=False,
)
