"""The work that creators put into their LoRAs.

A training run often saves several files, one every few epochs, and each of them states the work done
until then. So a run counts once, with the highest number that any of its files states. Files belong to
the same run if the trainer gave them the same session id, or else if they belong to the same version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras

#: Decimal places of sums: the two databases add in different orders.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Creator:
    """A creator and the work in the selected files.

    Attributes:
        creator: The user name.
        loras: Number of models.
        files: Number of files of these models.
        with_metadata: The share of files with training metadata among those whose header was read;
            None if no header was read.
        runs: Training runs, counted as the module describes; the attributes below are over these runs.
        median_images_seen: The median over the runs that state it; None if none does.
        megapixels_seen: The sum over all runs; None if none states it.
        training_hours: The sum over all runs; None if none states it.
    """

    creator: str
    loras: int
    files: int
    with_metadata: float | None
    runs: int
    median_images_seen: float | None
    megapixels_seen: float | None
    training_hours: float | None


@dataclass(frozen=True, slots=True)
class Creators:
    """The requested creators, and counts over all of them.

    Attributes:
        listed: In order, cut to the limit.
        total: Number of creators.
        files: Number of files of all creators.
        read: Files among these whose header was read.
        no_metadata: Files among these that contain no training metadata.
        without_creator: Further selected files that have no creator, such as local ones.
    """

    listed: tuple[Creator, ...]
    total: int
    files: int
    read: int
    no_metadata: int
    without_creator: int


def creators(connection: sa.Connection, tree: Node | None, *, sort: str, limit: int) -> Creators:
    """The creators of the files for which `tree` is true.

    Args:
        connection: To read from.
        tree: None for every file.
        sort: An attribute of `Creator`. Numbers are sorted from the largest, names alphabetically;
            missing values come last, and the name breaks ties.
        limit: Most creators, 0 for all.
    """
    selected = condition_on(tree, connection.dialect.name)
    files, runs = _files(selected), _runs(_each_run(selected))
    columns: dict[str, sa.ColumnElement[Any]] = {
        "creator": files.c.creator,
        "loras": files.c.loras,
        "files": files.c.files,
        "with_metadata": files.c.decoded / sa.func.nullif(sa.cast(files.c.read, sa.Double()), 0),
        "runs": sa.func.coalesce(runs.c.runs, 0),
        "median_images_seen": runs.c.median,
        "megapixels_seen": runs.c.megapixels,
        "training_hours": runs.c.seconds / 3600.0,
    }
    order = columns[sort]
    statement = (
        sa.select(*(column.label(name) for name, column in columns.items()))
        .select_from(files)
        .outerjoin(runs, runs.c.creator == files.c.creator)
        .order_by(
            order.asc() if sort == "creator" else order.desc().nulls_last(), files.c.creator.asc()
        )
    )
    named = loras.c.creator.is_not(None)
    counts = sa.select(
        sa.func.count(loras.c.creator.distinct()),
        sa.func.count().filter(named),
        sa.func.count().filter(named, loras.c.outcome.in_(READ)),
        sa.func.count().filter(named, loras.c.outcome == Outcome.NO_METADATA),
        sa.func.count().filter(loras.c.creator.is_(None)),
    ).where(selected)
    with number_errors(tree):
        rows = connection.execute(statement.limit(limit) if limit else statement).all()
        totals = connection.execute(counts).one()
    return Creators(tuple(_creator(row) for row in rows), *totals)


def _creator(row: Sequence[Any]) -> Creator:
    *counts, megapixels, hours = row
    sums = (None if value is None else round(value, _DIGITS) for value in (megapixels, hours))
    return Creator(*counts, *sums)


def _files(selected: sa.ColumnElement[bool]) -> sa.Subquery:
    """The numbers of files and models of each creator."""
    return (
        sa.select(
            loras.c.creator,
            sa.func.count(loras.c.model_id.distinct()).label("loras"),
            sa.func.count().label("files"),
            sa.func.count().filter(loras.c.outcome.in_(READ)).label("read"),
            sa.func.count().filter(loras.c.outcome == Outcome.DECODED).label("decoded"),
        )
        .where(selected, loras.c.creator.is_not(None))
        .group_by(loras.c.creator)
        .subquery()
    )


def _each_run(selected: sa.ColumnElement[bool]) -> sa.Subquery:
    """The work of each run of each creator: the highest value among its files."""
    version = sa.literal("version ") + sa.cast(loras.c.version_id, sa.Text())
    run = sa.func.coalesce(loras.c.session_id, version).label("run")
    return (
        sa.select(
            loras.c.creator,
            run,
            sa.func.max(loras.c.images_seen).label("images"),
            sa.func.max(loras.c.megapixels_seen).label("megapixels"),
            sa.func.max(loras.c.training_seconds).label("seconds"),
        )
        .where(selected, loras.c.creator.is_not(None), loras.c.outcome == Outcome.DECODED)
        .group_by(loras.c.creator, run)
        .subquery()
    )


def _runs(each: sa.Subquery) -> sa.Subquery:
    """The number of runs of each creator, the sums of their work, and the median number of images.

    The median is the mean of the two middle numbers if there are two.
    """
    owner, images = each.c.creator, each.c.images
    place = sa.func.row_number().over(partition_by=owner, order_by=images.asc().nulls_last())
    known = sa.func.count(images).over(partition_by=owner)
    ranked = sa.select(*each.c, place.label("place"), known.label("known")).subquery()
    middle = ranked.c.place.in_(((ranked.c.known + 1) // 2, (ranked.c.known + 2) // 2))
    return (
        sa.select(
            ranked.c.creator,
            sa.func.count().label("runs"),
            sa.func.avg(sa.case((middle, sa.cast(ranked.c.images, sa.Double())))).label("median"),
            sa.func.sum(ranked.c.megapixels).label("megapixels"),
            sa.func.sum(ranked.c.seconds).label("seconds"),
        )
        .group_by(ranked.c.creator)
        .subquery()
    )
