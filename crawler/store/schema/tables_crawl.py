"""The tables of crawls: what ran, and where each walk goes on."""

import sqlalchemy as sa

from crawler.store.schema.columns import metadata
from crawler.store.schema.types import UtcTime, integer_type, json_type, text_type

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
