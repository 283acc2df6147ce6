"""The tables, the same on SQLite and PostgreSQL. Users write SQL against these names.

They are in the order of the data: the lists of a site, the files, the contents of headers, statistics,
and the crawls themselves. Tables of short rows whose key has several columns are WITHOUT ROWID on
SQLite, which otherwise keeps the key in a tree of its own.

Every table and column has a comment; `columns` says how.
"""

import sqlalchemy as sa

from crawler.store.schema.columns import column, file_key, key, model_key, time
from crawler.store.schema.fields import BY_NAME, FIELDS
from crawler.store.schema.types import Json, integer_type, text_type, type_of

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

#: The files that the site no longer lists.
_GONE = sa.text("gone_at IS NOT NULL")

models = sa.Table(
    "models",
    metadata,
    key("model_id"),
    column("site", text_type(), meaning="where it was found: civitai or local", nullable=False),
    column("name", text_type(), meaning="name of the model"),
    column("type", text_type(), meaning=BY_NAME["model_type"].meaning),
    column("creator", text_type()),
    column("tags", Json(), meaning=BY_NAME["model_tags"].meaning),
    column("nsfw", sa.Boolean()),
    column("nsfw_level", integer_type()),
    column("downloads", integer_type()),
    column("likes", integer_type()),
    column("mode", text_type(), meaning="what the site restricts, e.g. Archived"),
    column("body", Json(), meaning="the site's JSON without versions and pictures"),
    time("first_seen_at", "when it was listed first", nullable=False),
    time("last_seen_at", "when it was listed last", nullable=False),
    time("gone_at", "when it was found to be no longer listed"),
    # Counts the models too: SQLite would read every `body`.
    sa.Index(None, "gone_at"),
    comment="a model of the site",
)

versions = sa.Table(
    "versions",
    metadata,
    key("version_id"),
    column("model_id", integer_type(), sa.ForeignKey("models.model_id"), nullable=False),
    column("name", text_type(), meaning="name of the version"),
    column("base_model", text_type()),
    time("published_at"),
    time("early_access_until"),
    column("trained_words", Json()),
    column("nsfw_level", integer_type()),
    column("downloads", integer_type(), meaning="downloads of this version"),
    column("likes", integer_type(), meaning="thumbs up of this version"),
    column("body", Json(), meaning="the site's JSON without pictures"),
    time("first_seen_at", "when it was listed first", nullable=False),
    time("last_seen_at", "when it was listed last", nullable=False),
    time("gone_at", "when it was found to be no longer listed"),
    # With the date, since the first version of each model is asked for.
    sa.Index(None, "model_id", "published_at"),
    comment="a version of a model",
)

_PARENTS = {
    "version_id": (sa.ForeignKey("versions.version_id"),),
    "model_id": (sa.ForeignKey("models.model_id"),),
}
_REQUIRED = {"file_id", "version_id", "model_id", "site", "outcome", "attempts"}

loras = sa.Table(
    "loras",
    metadata,
    *(
        column(
            field.name,
            type_of(field.kind),
            *_PARENTS.get(field.name, ()),
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
    # Few files are gone.
    sa.Index(None, "gone_at", info={"sqlite_where": _GONE, "postgresql_where": _GONE}),
    # For the pending files in order, and for counts by outcome.
    sa.Index(None, "outcome", "file_id"),
    comment="a file, with everything known about it",
)

# What people ask most among a million files: milliseconds in place of a second on PostgreSQL, for a fiftieth
# of the database (docs/postgres.md). SQLite has no index of the members of a list.
_SERVER_ONLY = (
    # `creator:name` and `creator like 'name%'`, which ignore case.
    sa.Index("ix_loras_lower_creator", sa.func.lower(loras.c.creator)),
    # Members of lists.
    *(
        sa.Index(
            f"ix_loras_{name}",
            loras.c[name],
            info={"postgresql_using": "gin", "postgresql_ops": {name: "jsonb_path_ops"}},
        )
        for name in ("model_tags", "trained_words")
    ),
    # The first rows of the usual orders.
    *(
        sa.Index(f"ix_loras_{name}", loras.c[name].desc().nulls_last(), loras.c.file_id)
        for name in ("likes", "published_at")
    ),
)
for _index in _SERVER_ONLY:
    _index.ddl_if(dialect="postgresql")

_JSON_LENGTH = (
    "length of the JSON, from the length prefix; NULL if the file is shorter than 8 bytes"
)
_FILE_LENGTH = "length of the whole file, according to the server"

headers = sa.Table(
    "headers",
    metadata,
    file_key(),
    column("length", integer_type(), meaning=_JSON_LENGTH, unit="bytes"),
    column(
        "data",
        sa.LargeBinary(),
        meaning="the length prefix and the JSON, as read, without the tensor list, compressed with zstd",
        nullable=False,
    ),
    # The tensors of a sound header fill it exactly.
    column("file_bytes", integer_type(), meaning=_FILE_LENGTH, unit="bytes"),
    column(
        "decoder_version",
        integer_type(),
        meaning="version of the decoder that read the header",
        nullable=False,
    ),
    # A header that is not sound or not written as usual is whole.
    column(
        "list_digest",
        sa.LargeBinary(),
        meaning="the tensor list in tensor_lists; NULL if data is the whole header",
    ),
    column(
        "list_start",
        integer_type(),
        meaning="where in data the tensor list belongs",
        unit="bytes",
    ),
    # Finds old headers. Without it SQLite would read `data`, which comes before this column.
    sa.Index(None, "decoder_version"),
    # Headers in the order of their lists, so that each list is decoded once.
    sa.Index(None, "list_digest", "file_id"),
    comment="the header of a file as it was read",
)

# LoRAs of one base model, rank and trainer share a list.
tensor_lists = sa.Table(
    "tensor_lists",
    metadata,
    column("digest", sa.LargeBinary(), meaning="SHA-256 of the list", primary_key=True),
    column("length", integer_type(), meaning="length of the list", unit="bytes", nullable=False),
    column(
        "data",
        sa.LargeBinary(),
        meaning="from the first name to the end of the last entry, compressed with zstd",
        nullable=False,
    ),
    comment="the entries of the tensors in a header, as written",
)

old_headers = sa.Table(
    "old_headers",
    metadata,
    file_key(),
    key("number", meaning="counted from 1 for each file"),
    column("length", integer_type(), meaning=_JSON_LENGTH, unit="bytes"),
    column(
        "data",
        sa.LargeBinary(),
        meaning="the whole header, as read, compressed with zstd",
        nullable=False,
    ),
    column("file_bytes", integer_type(), meaning=_FILE_LENGTH, unit="bytes"),
    time("replaced_at", "when another header took its place", nullable=False),
    comment="an earlier header of a file that was replaced",
)

local_files = sa.Table(
    "local_files",
    metadata,
    file_key(),
    # No index: a B-tree of PostgreSQL refuses long paths, and a scan reads all rows anyway.
    column("path", text_type(), meaning="path of the file", nullable=False),
    # A file with the same size and time has not changed.
    column(
        "size_bytes",
        integer_type(),
        meaning="size before it was read",
        unit="bytes",
        nullable=False,
    ),
    column(
        "mtime_ns", integer_type(), meaning="change time before it was read, since 1970", unit="ns"
    ),
    column(
        "claimed_weights",
        text_type(),
        meaning="SHA-256 of the weights that the header claims",
        unit="hex",
    ),
    column("matched_file_id", integer_type(), meaning="the crawled file with the same weights"),
    column(
        "matched_by", text_type(), meaning="proof that they are the same: sha256, autov3 or header"
    ),
    comment="a file of this machine",
)

datasets = sa.Table(
    "datasets",
    metadata,
    file_key(),
    key("number", meaning="counted from 0 for each file"),
    column("resolution_width", integer_type()),
    column("resolution_height", integer_type()),
    column("batch_size", integer_type()),
    column("num_train_images", integer_type()),
    column("num_reg_images", integer_type()),
    column("enable_bucket", sa.Boolean()),
    column("bucket_no_upscale", sa.Boolean()),
    column("min_bucket_reso", integer_type()),
    column("max_bucket_reso", integer_type()),
    column("mean_img_ar_error", sa.Double(), meaning="mean error of the aspect ratio by cropping"),
    column("buckets", Json(), meaning="the buckets: width, height and number of images"),
    column("settings", Json(), meaning="what the metadata says besides"),
    comment="a dataset of a training run",
)

directories = sa.Table(
    "directories",
    metadata,
    file_key(),
    key("number", meaning="counted from 0 for each file"),
    column("dataset_number", integer_type(), meaning="its dataset; NULL if the file does not say"),
    column("name", text_type(), meaning="name of the folder", nullable=False),
    column("repeats", integer_type(), meaning="how often each image is used in an epoch"),
    column("image_count", integer_type(), meaning="images in the folder", unit="images"),
    column("is_reg", sa.Boolean(), meaning="the images are regularisation images"),
    column("class_tokens", text_type(), meaning="caption of images without one"),
    column("settings", Json(), meaning="what the metadata says besides"),
    comment="a training folder",
    sqlite_with_rowid=False,
)

tags = sa.Table(
    "tags",
    metadata,
    # Below 2**31, from a hash of the name, so that several writers need not agree on it.
    key("tag_id", meaning="from a hash of the name"),
    column("name", text_type(), meaning="the tag as written in captions", nullable=False),
    # PostgreSQL's B-tree refuses texts over 2,700 bytes.
    sa.Index(None, "name", info={"postgresql_using": "hash"}),
    comment="a caption tag",
)

TAG_COUNT = "captions in the folder that have the tag"

file_tags = sa.Table(
    "file_tags",
    metadata,
    file_key(),
    key(
        "directory_number",
        meaning="number in directories; -1, -2 … for folders that only the tag counts name",
    ),
    key("tag_id", sa.ForeignKey("tags.tag_id"), "the tag, in tags"),
    column("count", integer_type(), meaning=TAG_COUNT, nullable=False),
    sa.Index(None, "tag_id"),
    comment="how often a tag occurs in the captions of a training folder",
    sqlite_with_rowid=False,
)

problems = sa.Table(
    "problems",
    metadata,
    file_key(),
    key("number", meaning="counted from 0 for each file"),
    column("code", text_type(), meaning="kind of the problem, e.g. not_a_number", nullable=False),
    column("field", text_type(), meaning="the column, or the part of the metadata", nullable=False),
    column("detail", text_type(), meaning="what is wrong, with the value", nullable=False),
    comment="a value in a header that could not be read, or a contradiction",
    sqlite_with_rowid=False,
)

field_stats = sa.Table(
    "field_stats",
    metadata,
    column("base_model", text_type(), meaning="base model; empty for all", primary_key=True),
    column("field", text_type(), meaning="column of loras", primary_key=True),
    column("count", integer_type(), meaning="rows that have a value", nullable=False),
    column("quartile1", sa.Double(), meaning="a quarter of the numbers are lower"),
    column("median", sa.Double(), meaning="half of the numbers are lower"),
    column("quartile3", sa.Double(), meaning="three quarters of the numbers are lower"),
    column(
        "percentiles", Json(), meaning="101 values: those at 0%, 1% … 100% of the sorted numbers"
    ),
    time("made_at", "when the statistics were made"),
    column(
        "changed",
        integer_type(),
        meaning="rows added or changed since; only beside the number of all files",
    ),
    comment="statistics of a field for a base model",
)

stat_history = sa.Table(
    "stat_history",
    metadata,
    model_key(),
    time("seen_at", "when the site showed these numbers", primary_key=True),
    column("downloads", integer_type()),
    column("likes", integer_type()),
    comment="downloads and likes of a model, one row for each change",
    sqlite_with_rowid=False,
)

_WALK = "the list query: its order and filters"
_LAP = "how often the walk was begun"

crawls = sa.Table(
    "crawls",
    metadata,
    column(
        "crawl_id",
        integer_type(),
        meaning="number of the run",
        primary_key=True,
        autoincrement=True,
    ),
    # The same URL for all crawls of a database.
    column("origin", text_type(), meaning="URL of the API, or local", nullable=False),
    column("walk", text_type(), meaning=_WALK, nullable=False),
    time("started_at", "when the run started", nullable=False),
    time("finished_at", "when the run ended; NULL while it runs or if it was killed"),
    column("ending", text_type(), meaning="done, or why it stopped"),
    column("summary", Json(), meaning="what was listed and read, and what it cost"),
    column("keyed", sa.Boolean(), meaning="an API key was sent; NULL without an API"),
    time("go_on_at", "when the site accepts requests again; NULL if it did not say"),
    comment="a run of sync or scan",
)

# Each maturity pass of a walk has a cursor, as `model.catalogue.CursorState` describes.
cursors = sa.Table(
    "cursors",
    metadata,
    column("walk", text_type(), meaning=_WALK, primary_key=True),
    column(
        "maturity",
        text_type(),
        meaning="the maturity pass: with or without mature models",
        primary_key=True,
    ),
    column("cursor", text_type(), meaning="where the site continues the list"),
    column("lap", integer_type(), meaning=_LAP, nullable=False),
    column("ended", sa.Boolean(), meaning="the list was read to its end", nullable=False),
    time("updated_at", "when the cursor was stored", nullable=False),
    time("lap_began_at", "when the walk was begun last"),
    column("refreshing", sa.Boolean(), meaning="known models are read again"),
    comment="where a walk through the catalogue continues",
)

# `--limit` counts them over all runs, and a run reads only their files.
walk_models = sa.Table(
    "walk_models",
    metadata,
    column("walk", text_type(), meaning=_WALK, primary_key=True),
    model_key(),
    column("lap", integer_type(), meaning=_LAP, nullable=False),
    comment="a model that a walk has listed",
    sqlite_with_rowid=False,
)

# What the processes of a fleet share. There is no row before the first one.
fleet = sa.Table(
    "fleet",
    metadata,
    key("fleet_id", meaning="always 1"),
    column(
        "rate",
        sa.Double(),
        meaning="requests a second to the API, of all together; 0 means no limit",
        nullable=False,
    ),
    time("next_request_at", "when the next request may go out, by the rate"),
    time("held_until", "when the site wants the next request; NULL if it never said"),
    column(
        "max_downloads",
        integer_type(),
        meaning="number of downloads at which the workers stop; NULL means no limit",
    ),
    column(
        "downloads",
        integer_type(),
        meaning="counted downloads of all workers so far, and those reserved",
        nullable=False,
    ),
    time("paused_until", "when a worker tries the site again that refused one"),
    column("pause_reason", text_type(), meaning="why the workers wait; NULL while they do not"),
    column(
        "pauses",
        integer_type(),
        meaning="pauses since a file was last read",
        nullable=False,
    ),
    column("tried_by", integer_type(), meaning="the worker that tries first after a pause"),
    time("tried_at", "when it made its last request"),
    comment="what the workers of a fleet share, in one row",
)

workers = sa.Table(
    "workers",
    metadata,
    column(
        "worker_id",
        integer_type(),
        meaning="number of the worker",
        primary_key=True,
        autoincrement=True,
    ),
    column("host", text_type(), meaning="name of its machine", nullable=False),
    column("pid", integer_type(), meaning="its process", nullable=False),
    time("started_at", "when it started", nullable=False),
    time("last_seen_at", "when it was last heard of", nullable=False),
    time("ended_at", "when it ended; NULL while it runs or if it was killed"),
    column("ending", text_type(), meaning="done, or why it stopped"),
    column("files", integer_type(), meaning="files that ended", nullable=False),
    column("downloads", integer_type(), meaning="counted downloads it cost", nullable=False),
    column(
        "standing",
        integer_type(),
        meaning="files that failed, perhaps because of the site",
        nullable=False,
    ),
    comment="a run of worker",
)

field_notes = sa.Table(
    "field_notes",
    metadata,
    column("table_name", text_type(), meaning="name of the table or view", primary_key=True),
    column(
        "column_name",
        text_type(),
        meaning="name of the column; empty for the table",
        primary_key=True,
    ),
    column("meaning", text_type(), meaning="what it is", nullable=False),
    column("unit", text_type(), meaning="unit of the values"),
    column("field_group", text_type(), meaning="heading in lora-crawl fields"),
    column("sd_scripts_default", text_type(), meaning="default of sd-scripts"),
    column("usual", text_type(), meaning="what people train with"),
    column("metadata_keys", Json(), meaning="trainers and the metadata keys that they write it in"),
    comment="what each table and column means",
    sqlite_with_rowid=False,
)


def create(connection: sa.Connection) -> None:
    """Make every table and index.

    What an index has on one database only is in its `info` until then: among its options it would make
    every command import the dialects of both databases.
    """
    _finish_indexes()
    metadata.create_all(connection)


def indexes_on(table: sa.Table, dialect: str) -> list[sa.Index]:
    """The indexes that a table has on `sqlite` or `postgresql`."""
    return [one for one in table.indexes if dialect == "postgresql" or one not in _SERVER_ONLY]


def create_missing_indexes(connection: sa.Connection) -> None:
    """Make the indexes that a database with all tables lacks."""
    for index in _finish_indexes():
        index.create(connection, checkfirst=True)


def _finish_indexes() -> list[sa.Index]:
    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    for index in indexes:
        index.dialect_kwargs.update(index.info)
    return indexes
